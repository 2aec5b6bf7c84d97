"""Actions that begin tasks in all the ways there are, and what the server holds for them."""

import asyncio

from asgiref.sync import sync_to_async
from celery import chord, group
from celery.result import AsyncResult
from rest_framework.permissions import AllowAny as DRFAllowAny
from rest_framework.viewsets import ViewSet

from channels_api.background.hub import get_hub
from channels_api.bindings import ResourceBindingBase
from channels_api.decorators import list_action
from channels_api.permissions import AllowAny
from channels_api.resources import AsyncResourceMixin
from channels_api.tasks import TaskBinding
from tests.app import tasks, wire_tasks
from tests.app.celery_app import app


class Wire(ResourceBindingBase):
    stream = "wire"
    permission_classes = (AllowAny,)

    @list_action()
    def start(self, data=None, **kwargs):
        """Any task by its name: `{"task", "args", "options"}`."""
        return find(data["task"]).apply_async(data.get("args", ()), **data.get("options", {}))

    @list_action()
    def compose(self, data=None, **kwargs):
        return getattr(wire_tasks, data["kind"])(*data.get("args", ()))

    @list_action()
    def with_status(self, data=None, **kwargs):
        return tasks.double.delay(data["number"]), 202

    @list_action()
    async def sync_to_async(self, data=None, **kwargs):
        return await sync_to_async(tasks.double.delay)(data["number"], data["wait"])

    @list_action()
    async def sync_to_async_aside(self, data=None, **kwargs):
        delay = sync_to_async(tasks.double.delay, thread_sensitive=False)
        return await delay(data["number"], data["wait"])

    @list_action()
    async def to_thread(self, data=None, **kwargs):
        return await asyncio.to_thread(tasks.double.delay, data["number"], data["wait"])

    @list_action()
    def known(self, data=None, **kwargs):
        """A task that was published elsewhere."""
        return AsyncResult(data["id"])

    @list_action()
    def in_place(self, data=None, **kwargs):
        return find(data["task"]).apply(data.get("args", ()))

    @list_action()
    def eager(self, data=None, **kwargs):
        """As the action of a project whose tests are eager."""
        app.conf.task_always_eager = True
        try:
            if data["kind"] == "task":
                return tasks.double.delay(4)
            if data["kind"] == "group":
                return group(tasks.double.s(1), tasks.double.s(2)).delay()
            if data["kind"] == "failing group":
                return group(tasks.double.s(1), tasks.fail.s("secret")).delay()
            return chord([tasks.double.s(1), tasks.double.s(2)], tasks.total.s()).delay()
        finally:
            app.conf.task_always_eager = False


def find(name):
    """A task of one of the modules."""
    return getattr(wire_tasks, name, None) or getattr(tasks, name)


class WireState(ResourceBindingBase):
    """What this process holds for the tasks that are watched."""

    stream = "wire-state"
    permission_classes = (AllowAny,)

    @list_action()
    async def look(self, data=None, **kwargs):
        hub = get_hub()
        return {
            "tasks": len(hub._tasks),  # noqa: SLF001
            "jobs": len(hub._jobs),  # noqa: SLF001
            "groups": len(hub._listener._wanted),  # noqa: SLF001
            "running": sorted(own_coroutines()),
        }


def own_coroutines():
    """The names of the coroutines of tasks and layers that run in this loop."""
    for task in asyncio.all_tasks():
        name = getattr(task.get_coro(), "__qualname__", "")
        if name.startswith(("TaskHub", "Listener", "Watch")):
            yield name


class OneHook(AsyncResourceMixin, ViewSet):
    """Has a hook for rows only."""

    permission_classes = (DRFAllowAny,)

    def async_get_detail(self, request, pk, **kwargs):
        return tasks.double.delay(int(pk))


class OtherTasks(TaskBinding):
    """The same tasks under another name."""


CONSUMERS = {"wire": Wire, "wire-state": WireState, "wire-tasks": OtherTasks, "wire-http": OneHook}
