"""Celery is imported when it is used, and what needs it says so where it is missing."""

import json
import os
import subprocess
import sys

import pytest

from tests.servers import ROOT

LIMIT = 30

#: A project that has nothing of ours but the package. The urls are the module itself.
PROJECT = """
import asyncio, importlib.abc, json, sys, types

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("celery", "kombu", "billiard", "vine"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

if BLOCKED:
    sys.meta_path.insert(0, Blocker())

import django
from django.conf import settings
settings.configure(
    SECRET_KEY="only for tests",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework",
                    "channels", "channels_api"],
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    ROOT_URLCONF="project_urls",
    CHANNELS_API={"THREADS": 2},
)
django.setup()

import channels_api.bindings, channels_api.demultiplexer, channels_api.tasks
import channels_api.resources, channels_api.viewsets, channels_api.handover
from channels_api.bindings import ResourceBindingBase
from channels_api.decorators import list_action
from channels_api.demultiplexer import WebsocketDemultiplexer
from channels_api.permissions import AllowAny
from channels_api.resources import AsyncResourceMixin
from channels_api.tasks import TaskBinding
from channels.testing import WebsocketCommunicator
from rest_framework.permissions import AllowAny as DRFAllowAny
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import ViewSet


class Work(ResourceBindingBase):
    permission_classes = (AllowAny,)

    @list_action()
    def echo(self, data=None, **kwargs):
        return data

    @list_action()
    async def echo_async(self, data=None, **kwargs):
        return data

    @list_action()
    def start(self, data=None, **kwargs):
        from celery import shared_task
        return shared_task(echo).delay()

    @list_action()
    async def start_async(self, data=None, **kwargs):
        import celery.result
        return celery.result.AsyncResult("any")


class Hooks(AsyncResourceMixin, ViewSet):
    permission_classes = (DRFAllowAny,)

    def async_get_list(self, request, **kwargs):
        from celery.result import AsyncResult
        return AsyncResult("any")

    def async_get_detail(self, request, pk, **kwargs):
        from rest_framework.response import Response
        return Response({"pk": pk})


class Demultiplexer(WebsocketDemultiplexer):
    consumers = {"work": Work, "tasks": TaskBinding.consumer, "hooks": Hooks}


router = DefaultRouter()
router.register("hooks", Hooks, basename="hooks")
urls = sys.modules["project_urls"] = types.ModuleType("project_urls")
urls.urlpatterns = router.urls

from django.core import checks
assert BLOCKED or checks.run_checks() == []  # else they say that Celery is missing


async def ask(stream, action, **rest):
    await socket.send_json_to({"stream": stream, "payload": {"action": action, **rest}})
    payload = (await socket.receive_json_from(timeout=20))["payload"]
    return [payload["response_status"], payload["data"], payload["errors"]]


def get(path, method="get"):
    from django.test import Client
    response = getattr(Client(), method)(path)
    return [response.status_code, response.json()]


async def main():
    global socket
    socket = WebsocketCommunicator(Demultiplexer.as_asgi(), "/")
    await socket.connect(timeout=20)
    await steps()
    await socket.disconnect(timeout=20)


def tell(what):
    print(json.dumps(what), flush=True)


def imported():
    return sorted({"celery", "kombu"} & {name.partition(".")[0] for name in sys.modules})
"""

IMPORTS = """
async def steps():
    tell(await ask("work", "echo", data=1))
    tell(await ask("work", "echo_async", data=2))
    tell(await ask("tasks", "list"))
    tell(await ask("hooks", "retrieve", pk="4"))

asyncio.run(main())
tell(get("/hooks/4/"))
tell(imported())
"""

MISSING = """
from channels_api.background.references import TaskReference
task = TaskReference("any", "job").sign()

async def steps():
    tell(await ask("work", "echo", data=1))
    tell(await ask("work", "echo_async", data=2))
    for action in ("start", "start_async"):
        tell(await ask("work", action))
    for action in ("retrieve", "subscribe", "delete"):
        tell(await ask("tasks", action, pk=task))
    tell(await ask("hooks", "list"))
    tell(await ask("hooks", "retrieve", pk="4"))

asyncio.run(main())
tell(get("/hooks/4/"))
for path, method in (("/hooks/", "get"), (f"/hooks/state/{task}/", "get"),
                     (f"/hooks/state/{task}/", "delete"), (f"/hooks/result/{task}/", "get")):
    tell(get(path, method))
"""


def run(code: str, *, blocked: bool) -> list:
    """What it told, line by line."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [sys.executable, "-c", f"BLOCKED = {blocked}\n{PROJECT}\n{code}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("blocked", [False, True])
def test_celery_is_not_imported_until_it_is_used(blocked):
    assert run(IMPORTS, blocked=blocked) == [
        [200, 1, []],
        [200, 2, []],
        [400, None, ["Invalid Action"]],
        [200, {"pk": "4"}, []],
        [200, {"pk": "4"}],
        [],
    ]


def test_what_needs_celery_says_what_to_install():
    text = 'This needs Celery: pip install "channels-api[celery]".'
    refused = [501, None, [text]]
    assert run(MISSING, blocked=True) == [
        [200, 1, []],
        [200, 2, []],
        *[refused] * 2,
        *[refused] * 3,
        refused,
        [200, {"pk": "4"}, []],
        [200, {"pk": "4"}],
        *[[501, {"detail": text}]] * 4,
    ]
