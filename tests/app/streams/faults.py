"""Actions for the tests of faults."""

import asyncio

from channels_api.bindings import ResourceBindingBase
from channels_api.decorators import list_action
from channels_api.permissions import AllowAny
from tests.app import faults_tasks, tasks


class Faults(ResourceBindingBase):
    stream = "faults"
    permission_classes = (AllowAny,)

    @list_action()
    def start(self, data=None, **kwargs):
        """A task of `faults_tasks`, as the stream `work` starts those of `tasks`."""
        return getattr(faults_tasks, data["task"]).delay(*data["args"])

    @list_action()
    def wait(self, data=None, **kwargs):
        """What a project had better not do: wait for the result itself."""
        return tasks.double.delay(data["number"]).get(timeout=10)

    @list_action(concurrent=True)
    async def breathe(self, data=None, **kwargs):
        """How late the event loop was at most, in seconds."""
        loop, latest = asyncio.get_running_loop(), 0.0
        for _ in range(data["times"]):
            before = loop.time()
            await asyncio.sleep(0.01)
            latest = max(latest, loop.time() - before - 0.01)
        return latest


CONSUMERS = {"faults": Faults}
