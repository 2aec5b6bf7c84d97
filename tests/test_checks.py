"""The system checks: each tells what is wrong and what to do about it."""

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from channels_api.settings import DEFAULTS


def found(configured: object) -> list:
    """What `manage.py check` says of the library's own with this as CHANNELS_API."""
    with override_settings(CHANNELS_API=configured):
        return [each for each in run_checks() if str(each.id).startswith("channels_api.")]


@pytest.mark.parametrize(
    "configured",
    [None, {}, dict(DEFAULTS), {"MAX_DEPTH": None}, {"THREADS": 0}, {"SEND_TIMEOUT": 0.5}],
)
def test_nothing_is_wrong(configured):
    assert found(configured) == []


@pytest.mark.parametrize("configured", [["THREADS"], [], "THREADS", 1, {"THREADS"}])
def test_e001_no_dict(configured):
    (error,) = found(configured)
    assert error.id == "channels_api.E001"
    assert error.is_serious()
    assert error.msg == "CHANNELS_API must be a dict."
    assert error.hint == 'Write CHANNELS_API = {"DEFAULT_PAGE_SIZE": 25}, for example.'


def test_e002_unknown_keys():
    """One for each, and the hint names all the keys that there are."""
    errors = found({"THREADS": 1, "PAGE_SIZE": 25, "threads": 2})
    assert [(each.id, each.msg) for each in errors] == [
        ("channels_api.E002", "CHANNELS_API has an unknown key: 'PAGE_SIZE'."),
        ("channels_api.E002", "CHANNELS_API has an unknown key: 'threads'."),
    ]
    assert all(each.is_serious() for each in errors)
    assert all(name in each.hint for each in errors for name in DEFAULTS)


@pytest.mark.parametrize(
    ("key", "value", "must"),
    [
        ("THREADS", None, "a whole number over 0"),
        ("THREADS", -1, "a whole number over 0"),
        ("THREADS", 2.5, "a whole number over 0"),
        ("FRAME_RATE", 0, "a number over 0 or None"),
        ("FRAME_BURST", 0.5, "a whole number over 0 or None"),
        ("MAX_DEPTH", "32", "a whole number over 0 or None"),
        ("MAX_DEPTH", True, "a whole number over 0 or None"),
        ("DEFAULT_PERMISSION_CLASSES", "a.b", "a list or tuple, or None"),
    ],
)
def test_e003_values(key, value, must):
    """What would fail at each frame is said at the start."""
    (error,) = found({key: value})
    assert error.id == "channels_api.E003"
    assert error.is_serious()
    assert error.msg == f"CHANNELS_API[{key!r}] must be {must}."
