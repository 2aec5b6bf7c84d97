"""The ring of a task: "it has a new state". The state itself is read where it is stored."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..layers.sender import Message, get_sender, layer_between_processes
from ..logs import log_sometimes
from ..loops import PerLoop
from .states import FINAL

if TYPE_CHECKING:
    from .hub import TaskHub

# The message type is never dispatched: the hub reads the messages itself.
MESSAGE_TYPE = "channels_api.task"
# Seconds between two rings for a state that only changes its meta: ten frames a second are more
# than anybody can see.
PACE = 0.1


class Ring(NamedTuple):
    """`task_id` of `job` has stored `state`, in its attempt number `retries`."""

    job: str
    task_id: str
    state: str
    retries: int


def group_of(job: str) -> str:
    """The group of a job in a channel layer."""
    return f"channels_api.task.{job}"


def to_message(ring: Ring) -> Message:
    """A ring as a layer message."""
    return Message(group_of(ring.job), {"type": MESSAGE_TYPE, **ring._asdict()})


def from_message(message: dict[str, Any]) -> Ring:
    """The ring in a layer message. Raises KeyError or TypeError for any other message."""
    return Ring(message["job"], message["task_id"], message["state"], message["retries"])


class _Slot:
    """The state of a task that was rung a moment ago, and the ring that waits."""

    def __init__(self, state: str, timer: asyncio.TimerHandle) -> None:
        self.state = state
        self.timer = timer
        self.waiting: Message | None = None


class Pacer:
    """Sends rings in the loop of the process's sender: new states at once, progress at a pace."""

    def __init__(self) -> None:
        self.sender = get_sender()
        self._slots: dict[str, _Slot] = {}

    def offer(self, ring: Ring) -> None:
        """Take a ring; the last one of a state is always sent."""
        slot = self._slots.get(ring.task_id)
        if slot is not None:
            if slot.state == ring.state:
                slot.waiting = to_message(ring)
                return
            slot.timer.cancel()
            del self._slots[ring.task_id]
        self.sender.put([to_message(ring)])
        if ring.state not in FINAL:
            self._slots[ring.task_id] = _Slot(ring.state, self._call_late(ring.task_id))

    def _call_late(self, task_id: str) -> asyncio.TimerHandle:
        return self.sender.loop.call_later(PACE, self._late, task_id)

    def _late(self, task_id: str) -> None:
        slot = self._slots[task_id]
        if slot.waiting is None:
            # Not kept until the end: that may come in another process.
            del self._slots[task_id]
            return
        self.sender.put([slot.waiting])
        slot.waiting, slot.timer = None, self._call_late(task_id)


# Here and not with the class: a worker need not import it.
hubs: PerLoop[TaskHub] = PerLoop()


def ring(message: Ring) -> None:
    """Tell the hubs of all processes of a new state, from any thread; nothing is raised."""
    for hub in hubs.all():
        # RuntimeError: its loop is closed, nobody listens there any more.
        with contextlib.suppress(RuntimeError):
            if hub.needs(message.job):
                hub.loop.call_soon_threadsafe(hub.hear, message)
    ring_others(message)


_pacer: Pacer | None = None


def ring_others(ring: Ring) -> None:
    """Ring the hubs of other processes, from any thread; nothing is raised."""
    global _pacer
    try:
        if not ring.job or layer_between_processes() is None or _is_green():
            return
        # The sender is another one after a fork.
        if _pacer is None or _pacer.sender is not get_sender():
            _pacer = Pacer()
        _pacer.sender.put([partial(_pacer.offer, ring)])
    except Exception:
        log_sometimes("A task's new state could not be told")


def _is_green() -> bool:
    # There, a loop in a thread that is none makes Django refuse each query of the user's tasks.
    # Watched tasks are read at each heartbeat all the same.
    for name in ("gevent.monkey", "eventlet.patcher"):
        module: Any = sys.modules.get(name)
        if module is None:
            continue
        patched = getattr(module, "is_module_patched", None) or module.is_monkey_patched
        if patched("threading" if name == "gevent.monkey" else "thread"):
            return True
    return False
