"""Tasks that are to be cancelled, and the two ways of doing that."""

from channels_api.bindings import ResourceBindingBase
from channels_api.decorators import list_action
from channels_api.permissions import AllowAny
from channels_api.tasks import TaskBinding
from tests.app import cancel_tasks
from tests.app.celery_app import app  # noqa: F401 - the app that the tasks are published by


class Cancellable(ResourceBindingBase):
    """Starts any of the tasks, or of the canvases."""

    permission_classes = (AllowAny,)

    @list_action()
    def start(self, data=None, **kwargs):
        task = getattr(cancel_tasks, data["task"])
        return task.apply_async(data["args"], **data.get("options", {}))

    @list_action()
    def compose(self, data=None, **kwargs):
        return getattr(cancel_tasks, data["kind"])(*data["args"])


class GentleTasks(TaskBinding):
    terminate_tasks = False


CONSUMERS = {"cancel": Cancellable, "tasks-gentle": GentleTasks}
