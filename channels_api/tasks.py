"""Tasks as a stream: to come back to one that was begun before, and to cancel it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from .background.hub import get_hub
from .background.references import TaskReference, read_reference
from .background.states import REVOKED, TaskState
from .bindings import ResourceBindingBase
from .decorators import detail_action
from .handover import Begun, get_engine
from .threads import CANCELS, TASKS, run_in_thread

# Seconds that a result backend has to answer before the client is told that it does not.
ASK_TIMEOUT = 2.0


class TaskBinding(ResourceBindingBase):
    """The tasks that the user of the socket has begun, by the ids in the replies of 202.

    `retrieve` shows what a task is at, `subscribe` and then each change, `delete` cancels it. The
    statuses are those of every frame about tasks: 202 under way, 200 done, 500 failed, 410 revoked.
    An id that was made up, or is somebody else's, is 404. A subclass may set `permission_classes`.
    """

    stream = "tasks"
    #: Whether `delete` ends the process of a task that runs. Otherwise, and where the worker's
    #: pool can't do that, the task ends at its next `update_state`.
    terminate_tasks = True

    @detail_action(method="GET", uses_data=False)
    async def retrieve(self, pk: Any, data: Any = None, **kwargs: Any) -> Any:
        engine, reference = get_engine(), self._reference(pk)
        with engine.asking():
            reading = run_in_thread(engine.read_state, reference, owner=TASKS)
            state = await asyncio.wait_for(reading, ASK_TIMEOUT)
        return Begun(reference, engine.make_reader(reference), state)

    @detail_action(method="GET", uses_data=False)
    async def subscribe(self, pk: Any, data: Any = None, **kwargs: Any) -> Any:
        engine, reference = get_engine(), self._reference(pk)
        reader = engine.make_reader(reference)
        watch = await self.watches.subscribe(self.frame.stream, reference, reader, self.frame.reply)
        # Its states come after the reply.
        try:
            with engine.asking():
                state = await asyncio.wait_for(get_hub().read(watch.task), ASK_TIMEOUT)
            await run_in_thread(engine.check_known, reference, state, owner=self.handshake)
        except BaseException:
            watch.close()
            raise
        self.after_reply(partial(watch.open, state), otherwise=watch.close)
        return Begun(reference, reader, state)

    @detail_action(method="GET", uses_data=False)
    async def unsubscribe(self, pk: Any, data: Any = None, **kwargs: Any) -> Any:
        self.watches.unsubscribe(self.frame.stream, self._reference(pk))
        return {}, 200

    @detail_action(method="DELETE", uses_data=False)
    async def delete(self, pk: Any, data: Any = None, **kwargs: Any) -> Any:
        engine, reference = get_engine(), self._reference(pk)
        cancel = partial(engine.cancel, terminate=self.terminate_tasks)
        await run_in_thread(cancel, reference, owner=CANCELS)
        return Begun(reference, engine.make_reader(reference), TaskState(REVOKED))

    def _reference(self, pk: Any) -> TaskReference:
        return read_reference(pk, self.task_owner)
