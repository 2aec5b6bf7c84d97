"""What is known of Celery while another thread is just importing it."""

import sys
from types import ModuleType

import pytest

from channels_api.handover import has_celery_app, task_in


@pytest.fixture
def half_imported(monkeypatch):
    """Celery's modules as they are before their first class is defined."""
    for name in ("celery.result", "celery._state"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))


@pytest.mark.usefixtures("half_imported")
@pytest.mark.parametrize("result", [None, {"a": "row"}, ({"a": "row"}, 200)])
def test_what_an_action_returns_is_no_task(result):
    assert task_in(result) is None


@pytest.mark.usefixtures("half_imported")
def test_there_is_no_app():
    assert not has_celery_app()
