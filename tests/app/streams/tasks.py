"""Actions that hand their work to Celery."""

from celery.result import AsyncResult

from channels_api.bindings import ResourceBindingBase
from channels_api.decorators import list_action
from channels_api.permissions import AllowAny
from channels_api.tasks import TaskBinding
from tests.app import tasks
from tests.app.celery_app import app  # noqa: F401 - the app that the tasks are published by
from tests.app.tasks_api import DoubleViewSet


class Work(ResourceBindingBase):
    """Each action starts one task, or several."""

    stream = "work"
    permission_classes = (AllowAny,)

    @list_action()
    def start(self, data=None, **kwargs):
        """Any task by its name: `{"task", "args", "options"}`."""
        task = getattr(tasks, data["task"])
        return task.apply_async(data.get("args", ()), **data.get("options", {}))

    @list_action(concurrent=True)
    async def start_async(self, data=None, **kwargs):
        return tasks.double.delay(data["number"])

    @list_action()
    def compose(self, data=None, **kwargs):
        return getattr(tasks, data["kind"])(*data["args"])

    @list_action()
    def aside(self, data=None, **kwargs):
        """Two tasks, and only one of them is the answer."""
        tasks.tick.delay(data["wait"])
        return tasks.tick.delay(data["wait"]), 202

    @list_action()
    def known(self, data=None, **kwargs):
        """A task that was published elsewhere."""
        return AsyncResult(data["id"])

    @list_action()
    def in_place(self, data=None, **kwargs):
        return getattr(tasks, data["task"]).apply(data.get("args", ()))


CONSUMERS = {"work": Work, "tasks": TaskBinding.consumer, "work-http": DoubleViewSet}
