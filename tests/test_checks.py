"""The system checks: each tells what is wrong and what to do about it."""

import ast
import subprocess
import sys

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from channels_api import checks
from channels_api.settings import DEFAULTS


def found(configured: object) -> list:
    """What `manage.py check` says of the library's own with this as CHANNELS_API.

    But for E004: the result backend of the test process is in memory.
    """
    with override_settings(CHANNELS_API=configured):
        ours = [each for each in run_checks() if str(each.id).startswith("channels_api.")]
    return [each for each in ours if each.id != "channels_api.E004"]


@pytest.mark.parametrize(
    "configured",
    [
        None,
        {},
        dict(DEFAULTS),
        {"MAX_DEPTH": None},
        {"THREADS": 0},
        {"SEND_TIMEOUT": 0.5},
        {"REVALIDATE": None, "PING_INTERVAL": None},
        {"REVALIDATE": 0.5, "PING_INTERVAL": 2.5, "HISTORY_SECONDS": 0.5},
        {"LOG": "redis://127.0.0.1:6379/0"},
        {"LOG": "rediss://user:secret@example.org"},
        {"LOG": "unix:///run/redis.sock?db=1"},
    ],
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
        ("HEARTBEAT", 0, "a number over 0"),
        ("HEARTBEAT", None, "a number over 0"),
        ("REVALIDATE", 0, "a number over 0 or None"),
        ("PING_INTERVAL", "20", "a number over 0 or None"),
        ("SNAPSHOT_ROWS", None, "a whole number over 0"),
        ("SNAPSHOT_ROWS", 0.5, "a whole number over 0"),
        ("HISTORY_SIZE", None, "a whole number over 0"),
        ("HISTORY_SECONDS", None, "a number over 0"),
        ("HISTORY_SECONDS", 0, "a number over 0"),
        ("LOG", None, '"memory" or the URL of a Redis'),
        ("LOG", "redis", '"memory" or the URL of a Redis'),
        ("LOG", "http://127.0.0.1:6379", '"memory" or the URL of a Redis'),
        ("LOG", ["memory"], '"memory" or the URL of a Redis'),
        ("EMBEDDED_WORKER", 1, "True or False"),
        ("EMBEDDED_WORKER", None, "True or False"),
    ],
)
def test_e003_values(key, value, must):
    """What would fail at each frame is said at the start."""
    (error,) = found({key: value})
    assert error.id == "channels_api.E003"
    assert error.is_serious()
    assert error.msg == f"CHANNELS_API[{key!r}] must be {must}."


def test_w001_an_embedded_worker_in_production(settings):
    settings.DEBUG = False
    (warning,) = found({"EMBEDDED_WORKER": True})
    assert warning.id == "channels_api.W001"
    assert not warning.is_serious()
    assert warning.msg == 'CHANNELS_API["EMBEDDED_WORKER"] does nothing while DEBUG is off.'


def test_e005_an_embedded_worker_without_a_new_celery(settings, monkeypatch):
    settings.DEBUG = True
    assert found({"EMBEDDED_WORKER": True}) == []
    monkeypatch.setattr(checks, "EMBEDDED_NEEDS", (99, 0))
    (error,) = found({"EMBEDDED_WORKER": True})
    assert error.id == "channels_api.E005"
    assert error.hint == 'pip install "celery>=5.7"'


def test_e006_a_log_in_redis_without_redis_py(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    assert found({"LOG": "memory"}) == []
    (error,) = found({"LOG": "redis://127.0.0.1:6379/0"})
    assert error.id == "channels_api.E006"
    assert error.is_serious()
    assert error.msg == 'CHANNELS_API["LOG"] is the URL of a Redis, and redis-py is not installed.'
    assert error.hint == "pip install channels-api[redis]"


BACKENDS = {
    None: "there is none.",
    "rpc://": "rpc:// gives each result to a single reader.",
    "file:///tmp": "file:// is read while it is written.",
    "cache+memory://": "cache+memory:// is seen by its own process only (see EMBEDDED_WORKER).",
}


@pytest.mark.parametrize(("backend", "fault"), BACKENDS.items(), ids=str)
def test_e004_a_result_backend_that_no_server_can_read(backend, fault):
    """In a process of its own: an app keeps the backend that it began with."""
    code = f"""
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="x", INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth",
    "channels_api"], DATABASES={{}}, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
from celery import Celery
app = Celery("proj", backend={backend!r})
app.set_default()
django.setup()
from django.core.checks import run_checks
mine = lambda: [str(e.id) + " " + e.msg for e in run_checks() if "channels_api" in str(e.id)]
assert mine() == [], mine()  # not used for anything
import channels_api.tasks
print(mine())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = f"Celery's result backend can't be used for tasks that clients watch: {fault}"
    assert ast.literal_eval(done.stdout) == [f"channels_api.E004 {said}"]
