"""Frames of one stream on their way through a thread."""

from __future__ import annotations

import asyncio
import contextvars
from threading import Lock, get_ident
from typing import Protocol, cast

from .background.publishing import PublishTimer
from .bindings import ResourceBindingBase
from .decorators import Action
from .exceptions import BrokerUnavailable
from .handover import Begun
from .pool import Put
from .protocol import RequestFrame, byte_length
from .threads import Context, tidy_connections

# Bytes of replies after which a turn ends: whether the client reads them is known only then.
MOST_BYTES = 1_048_576

# The reply to a frame, the task that it has begun, or why there is no binding for it.
Answer = str | Begun | Exception


class Lane:
    """The frames of one stream: they run one after another, in order."""

    def __init__(self, binding_class: type[ResourceBindingBase]) -> None:
        self.binding_class = binding_class
        self.frames: list[RequestFrame] = []
        self.busy = False

    def action_of(self, frame: RequestFrame) -> Action | None:
        """What a frame asks for, if it is known."""
        return self.binding_class.available_actions.get(frame.action)

    @property
    def next_is_sync(self) -> bool:
        """Whether the first frame is answered in a thread altogether."""
        action = self.action_of(self.frames[0])
        return action is None or not action.is_async


class Host(Protocol):
    """The socket that a turn answers for; all but the first two are called in the event loop."""

    @property
    def others_wait(self) -> bool:
        """Whether another stream waits until it may start."""

    def make_binding(self, frame: RequestFrame) -> ResourceBindingBase:
        """What answers a frame. Raises what a project's constructor raises."""

    def take_reply(self, binding: ResourceBindingBase, text: str) -> None:
        """Send the reply to a frame."""

    def take_fault(self, frame: RequestFrame, exc: Exception) -> None:
        """Reply to a frame for which there is no binding."""

    def take_task(self, turn: Turn, binding: ResourceBindingBase, begun: Begun) -> None:
        """Reply to the last frame of a turn, which has begun a task."""

    def turn_is_over(self, turn: Turn) -> None:
        """Let the lane go on, or another one."""


class Waiter:
    """The client of a frame that is being answered."""

    def __init__(self, turn: Turn, frame: RequestFrame) -> None:
        self._turn = turn
        self._frame = frame

    def done(self) -> bool:
        return not self._turn.is_at(self._frame)

    def cancel(self) -> None:
        self._turn.give_up(BrokerUnavailable(), self._frame)


class Turn:
    """A job that answers the sync frames of a lane, as many as there are, one after another.

    It ends before a frame that is async, where others are to have their turn, and where its host
    gives a frame up: the thread goes on with that unheard, and begins no other.
    """

    def __init__(self, lane: Lane, host: Host, variables: contextvars.Context) -> None:
        self.lane = lane
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._context = Context(variables)
        self._bytes = 0
        # The thread that has run a piece; its connections were tidied after that.
        self._thread: int | None = None
        # Between the thread and the loop, which may give a frame up just as it is answered.
        self._lock = Lock()
        self._is_over = False
        self._frame: RequestFrame | None = None
        self._binding: ResourceBindingBase | None = None
        # Since when the frame that is to be answered next could have been, by the loop's clock.
        self.since = self._loop.time()

    def run(self, put: Put) -> bool:
        """Answer a frame, in a thread; whether there is another."""
        frame = self._begin()
        if frame is None:
            return False
        if self._thread != get_ident():
            self._thread = get_ident()
            tidy_connections()
        binding, answer = self._context.run(self._answer, frame)
        tidy_connections()
        with self._lock:
            if self._is_over:
                return False
            self._frame = self._binding = None
            self.since = self._loop.time()
            self._is_over = self._ends_with(answer)
            put(self._tell, frame, binding, answer, self._is_over)
            return not self._is_over

    def is_at(self, frame: RequestFrame) -> bool:
        """Whether a frame is being answered."""
        return frame is self._frame and not self._is_over

    def give_up(self, exc: Exception, frame: RequestFrame | None = None) -> None:
        """Answer the frame that is being answered, or else the next one, with an error.

        Nothing happens where `frame` is given and is not the one that is being answered.
        """
        with self._lock:
            if self._is_over or (frame is not None and frame is not self._frame):
                return
            self._is_over = True
            frame, binding = self._frame or self.lane.frames.pop(0), self._binding
        self._tell(frame, binding, binding.refuse(exc) if binding else exc, is_last=True)

    def fail(self, exc: BaseException) -> None:
        """The thread can't go on; see `Job`."""
        self.give_up(exc if isinstance(exc, Exception) else RuntimeError(repr(exc)))

    def stop(self) -> None:
        """Answer nothing more: the socket is gone."""
        with self._lock:
            self._is_over = True

    def _begin(self) -> RequestFrame | None:
        with self._lock:
            if self._is_over:
                return None
            self._frame = self.lane.frames.pop(0)
            return self._frame

    def _answer(self, frame: RequestFrame) -> tuple[ResourceBindingBase | None, Answer]:
        try:
            binding = self._host.make_binding(frame)
        except Exception as exc:  # a constructor of the project's own
            return None, exc
        except BaseException as exc:  # SystemExit and its like would end the thread
            error = RuntimeError(f"{type(exc).__name__} raised by a constructor")
            error.__cause__ = exc
            return None, error
        self._binding = binding
        PublishTimer(binding.submission, self._loop, Waiter(self, frame))
        return binding, binding.respond()

    def _ends_with(self, answer: Answer) -> bool:
        if isinstance(answer, str):
            self._bytes += byte_length(answer)
        lane = self.lane
        return (
            isinstance(answer, Begun)
            or not lane.frames
            or not lane.next_is_sync
            or self._bytes > MOST_BYTES
            or self._host.others_wait
        )

    def _tell(
        self,
        frame: RequestFrame,
        binding: ResourceBindingBase | None,
        answer: Answer,
        is_last: bool,
    ) -> None:
        if isinstance(answer, Begun):
            self._host.take_task(self, cast("ResourceBindingBase", binding), answer)
            return
        try:
            if isinstance(answer, Exception):
                self._host.take_fault(frame, answer)
            else:
                self._host.take_reply(cast("ResourceBindingBase", binding), answer)
        finally:
            # Whatever failed there: the next frames are not held up by it.
            if is_last:
                self._host.turn_is_over(self)
