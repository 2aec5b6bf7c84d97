"""The system checks: each tells what is wrong and what to do about it."""

import ast
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from django.core.checks import run_checks
from django.test import override_settings
from django.urls import include, path

from channels_api.checks import tasks
from channels_api.settings import DEFAULTS
from tests.servers import ROOT


def found(configured: object = None, *, deploy: bool = False) -> list:
    """What `manage.py check` says of the library's own with this as CHANNELS_API.

    But for E004: the result backend of the test process is in memory.
    """
    with override_settings(CHANNELS_API=configured):
        said = run_checks(include_deployment_checks=deploy)
    ours = [each for each in said if str(each.id).startswith("channels_api.")]
    assert all(each.hint for each in ours if each.id != "channels_api.E003")
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
        ("AUTH_MAX_AGE", 0, "a number over 0 or None"),
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


def test_w002_an_embedded_worker_in_production(settings):
    settings.DEBUG = False
    (warning,) = found({"EMBEDDED_WORKER": True})
    assert warning.id == "channels_api.W002"
    assert not warning.is_serious()
    assert warning.msg == 'CHANNELS_API["EMBEDDED_WORKER"] does nothing while DEBUG is off.'


def test_e005_an_embedded_worker_without_a_new_celery(settings, monkeypatch):
    settings.DEBUG = True
    assert found({"EMBEDDED_WORKER": True}) == []
    monkeypatch.setattr(tasks, "EMBEDDED_NEEDS", (99, 0))
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
# How a project uses tasks: nothing but Celery itself says so.
RESOURCE = "import channels_api.resources"
STREAM = """
import sys, types
from channels_api.demultiplexer import WebsocketDemultiplexer
from channels_api.tasks import TaskBinding
assert mine() == [], mine()  # imported, as the debugger does, and not used for anything
class Demultiplexer(WebsocketDemultiplexer):
    consumers = [TaskBinding]
sys.modules["proj"] = types.ModuleType("proj")
sys.modules["proj"].application = AllowedHostsOriginValidator(Demultiplexer.as_asgi())
settings.ASGI_APPLICATION = "proj.application"
"""


def run_in_project(code: str) -> list[str]:
    """Run code in a project of its own: an app of Celery keeps the backend that it began with."""
    start = """
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="x", INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth",
    "channels_api"], DATABASES={}, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
django.setup()
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.checks import run_checks
mine = lambda: [str(e.id) + " " + e.msg for e in run_checks() if "channels_api" in str(e.id)]
"""
    done = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout)


@pytest.mark.parametrize("use", [RESOURCE, STREAM], ids=["resource", "stream"])
@pytest.mark.parametrize(("backend", "fault"), BACKENDS.items(), ids=str)
def test_e004_a_result_backend_that_no_server_can_read(backend, fault, use):
    code = f"""
from celery import Celery
app = Celery("proj", backend={backend!r})
app.set_default()
assert mine() == [], mine()  # not used for anything
{use}
print(mine())
"""
    said = f"Celery's result backend can't be used for tasks that clients watch: {fault}"
    assert run_in_project(code) == [f"channels_api.E004 {said}"]


@pytest.mark.parametrize("use", [RESOURCE, STREAM], ids=["resource", "stream"])
def test_e009_tasks_without_celery(use):
    code = f"""
import sys
sys.modules["celery"] = None
{use}
print(mine())
"""
    said = "The project's sockets or resources are for Celery's tasks, and Celery is not installed."
    assert run_in_project(code) == [f"channels_api.E009 {said}"]


def ids(messages: list) -> list[str]:
    return sorted(each.id.removeprefix("channels_api.") for each in messages)


class TestDeployment:
    """`check --deploy`, which nobody runs by chance, and with DEBUG off."""

    SHARED = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}}
    LOG = {"LOG": "redis://127.0.0.1:6379/0"}

    @pytest.fixture(autouse=True)
    def production(self, settings):
        settings.DEBUG = False
        settings.CHANNEL_LAYERS = self.SHARED

    @pytest.mark.parametrize(
        "layers", [None, {}, {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}]
    )
    def test_w001_a_layer_in_memory(self, settings, layers):
        settings.CHANNEL_LAYERS = layers
        (warning,) = found(self.LOG, deploy=True)
        assert warning.id == "channels_api.W001"
        assert not warning.is_serious()
        assert warning.msg == (
            "The channel layer is in memory: CHANNEL_LAYERS. "
            "Several processes do not hear of each other's changes."
        )

    @pytest.mark.parametrize("configured", [None, {}, {"LOG": "memory"}])
    def test_w001_a_log_in_memory(self, configured):
        (warning,) = found(configured, deploy=True)
        assert warning.id == "channels_api.W001"
        assert warning.msg == (
            'The log of changes is in memory: CHANNELS_API["LOG"]. '
            "Several processes do not hear of each other's changes."
        )

    def test_w001_both(self, settings):
        settings.CHANNEL_LAYERS = {}
        assert ids(found(deploy=True)) == ["W001", "W001"]

    @pytest.mark.parametrize("prefix", ["", "api/v1/"])
    def test_w003_the_debugger(self, settings, prefix):
        settings.ROOT_URLCONF = (path(prefix, include("channels_api.urls")),)
        (warning,) = found(self.LOG, deploy=True)
        assert warning.id == "channels_api.W003"
        assert not warning.is_serious()
        expected = "The debugger is in the URLconf. It answers with 404 while DEBUG is off."
        assert warning.msg == expected

    def test_w003_the_debugger_in_urls_of_urls(self, settings):
        inner = [path("debug/", include("channels_api.urls"))]
        settings.ROOT_URLCONF = (path("a/", include([path("b/", include(inner))])),)
        assert ids(found(self.LOG, deploy=True)) == ["W003"]

    def test_other_urls_are_no_debugger(self, settings):
        settings.ROOT_URLCONF = (path("api-auth/", include("rest_framework.urls")),)
        assert found(self.LOG, deploy=True) == []
        del settings.ROOT_URLCONF
        assert found(self.LOG, deploy=True) == []

    def test_in_development_nothing_is_wrong(self, settings):
        settings.CHANNEL_LAYERS = {}
        settings.ROOT_URLCONF = (path("", include("channels_api.urls")),)
        assert found() == []
        settings.DEBUG = True
        assert found(deploy=True) == []


ORIGINS = "Pages of any site may open the socket of {} as the user who visits them."
USERS = (
    "Nobody can use {} of {}: the permissions need a user, and no middleware finds out who it is."
)


@pytest.fixture
def check_world(settings) -> Callable[[str], list]:
    """A function that checks one of the applications in tests/checks_world.py."""

    def check(name: str) -> list:
        settings.ASGI_APPLICATION = f"tests.checks_world.{name}"
        return found()

    return check


class TestSockets:
    @pytest.mark.parametrize("name", ["bare", "routed", "with_users", "nested", "back_door"])
    def test_w005_no_origin_validator(self, check_world, name):
        (warning,) = check_world(name)
        assert warning.id == "channels_api.W005"
        assert not warning.is_serious()
        assert warning.msg == ORIGINS.format("Open")
        hint = "Wrap it in channels.security.websocket.AllowedHostsOriginValidator."
        assert warning.hint == hint

    def test_w006_no_user(self, check_world):
        (warning,) = check_world("without_users")
        assert warning.id == "channels_api.W006"
        assert not warning.is_serious()
        assert warning.msg == USERS.format("'accounts', 'classic', 'viewset'", "Closed")
        assert warning.hint == (
            "Wrap it in channels.auth.AuthMiddlewareStack, or set authentication_classes."
        )

    def test_w006_by_the_defaults_of_the_project(self, check_world, settings):
        needed = "rest_framework.permissions.IsAuthenticated"
        settings.REST_FRAMEWORK = {"DEFAULT_PERMISSION_CLASSES": [needed]}
        (warning,) = check_world("guarded")
        assert warning.id == "channels_api.W006"
        assert warning.msg == USERS.format("'questions'", "Open")

    def test_each_socket_is_looked_at(self, check_world):
        said = {each.msg for each in check_world("several")}
        assert said == {
            ORIGINS.format("Closed"),
            USERS.format("'accounts', 'classic', 'viewset'", "Closed"),
        }

    @pytest.mark.parametrize(
        "name",
        [
            *("guarded", "guarded_users", "own_validator", "own_origins", "own_middleware"),
            *("own_function", "own_decorator", "own_connect", "own_call", "own_users"),
            *("foreign", "http_only", "several_guarded", "not_an_application"),
        ],
    )
    def test_no_false_alarm(self, check_world, name):
        assert check_world(name) == []

    def test_w004_what_can_not_be_imported(self, settings):
        for name, why in {
            "no.such.module": "ImproperlyConfigured: Cannot import ASGI_APPLICATION module 'no.su",
            "application": "ImproperlyConfigured: Cannot find ASGI_APPLICATION setting.",
            "tests.checks_world.nothing": "ImproperlyConfigured: Cannot find 'nothing' in ",
            "tests.checks_broken.application": "ZeroDivisionError: division by zero",
        }.items():
            settings.ASGI_APPLICATION = name
            (warning,) = found()
            assert warning.id == "channels_api.W004"
            assert not warning.is_serious()
            assert warning.msg.startswith(f"ASGI_APPLICATION ({name}) was not checked: {why}")

    def test_the_suite_and_the_demo_are_quiet(self, settings):
        settings.ASGI_APPLICATION = "tests.app.asgi.application"
        assert found() == []
        manage = [sys.executable, "manage.py", "check", "--fail-level", "INFO"]
        env = {**os.environ, "DJANGO_SETTINGS_MODULE": "proj.settings"}
        done = subprocess.run(manage, capture_output=True, text=True, cwd=ROOT / "demo", env=env)
        assert (done.returncode, done.stderr) == (0, "")


LACKS = "{} (stream {!r}) has no {}, which its actions need: {}."


class TestBindings:
    def test_e007_no_queryset_and_no_serializer(self, check_world):
        errors = check_world("incomplete")
        every = "create, list, patch, retrieve, subscribe, update"
        rows = "delete, list, patch, retrieve, subscribe, update"
        viewset_rows = "destroy, list, partial_update, retrieve, update"
        assert {(each.id, each.msg) for each in errors} == {
            ("channels_api.E007", LACKS.format(*each))
            for each in [
                ("Nothing", "nothing", "queryset", rows),
                ("Nothing", "nothing", "serializer_class", every),
                ("ModelOnly", "model", "queryset", rows),
                ("RowsOnly", "rows", "serializer_class", "list"),
                ("EmptyViewSet", "viewset", "queryset", viewset_rows),
            ]
        }
        assert all(each.is_serious() for each in errors)
        assert "Set queryset, or override get_queryset()." in {each.hint for each in errors}

    def test_what_a_project_does_itself_is_no_lack(self, check_world):
        assert check_world("complete") == []

    def test_e008_two_bindings_for_one_stream(self, tmp_path):
        """Its module can't be imported, which is told and fails nothing by itself."""
        (tmp_path / "proj.py").write_text(
            """
from channels_api.bindings import ResourceBindingBase
from channels_api.demultiplexer import WebsocketDemultiplexer

class A(ResourceBindingBase):
    stream = "a"

class Good(WebsocketDemultiplexer):
    consumers = [A]

class Twice(WebsocketDemultiplexer):
    consumers = [A, A.consumer]

class Named(WebsocketDemultiplexer):
    consumers = {"a": A, "b": A}

def fail():
    class Local(WebsocketDemultiplexer):
        consumers = [A, A]
    return Local

local = fail()
application = Twice.as_asgi()
"""
        )
        code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
settings.ASGI_APPLICATION = "proj.application"
print(sorted(mine()))
"""
        fault = "Twice has two bindings for 'a'."
        unloaded = "ASGI_APPLICATION (proj.application) was not checked: ImproperlyConfigured:"
        said = [f"channels_api.E008 {fault}", f"channels_api.W004 {unloaded} {fault}"]
        assert run_in_project(code) == said
