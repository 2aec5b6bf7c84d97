"""The part of a binding that turns a frame into its reply."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, ClassVar

from rest_framework.views import exception_handler

from .background.publishing import PublishTimer
from .background.references import owner_of
from .background.states import TaskState
from .background.submission import Submission, submitting
from .background.watches import encode_state
from .decorators import Action
from .exceptions import BrokerUnavailable, Overloaded, ReplyTooLarge, error_reply, is_known
from .handover import Begun, hand_over, task_in
from .policies import Policies
from .protocol import Reply, byte_length
from .results import atomic_requests, read_result
from .settings import settings
from .spawn import current_task
from .threads import run_in_thread


class Dispatch(Policies):
    """Runs the action of a frame. Nothing that fails in there leaves it: it becomes a reply."""

    watches: Any
    available_actions: ClassVar[dict[str, Action]]

    def __init__(self) -> None:
        self.submission = Submission()
        self._after_reply: list[Callable[[], None]] = []
        self._after_refusal: list[Callable[[], None]] = []
        self._refused = False
        #: The status of the reply, once there is one.
        self.reply_status = 0

    def initial(self) -> None:
        """Everything that comes before the action, in one thread hop; raises for a refusal."""
        raise NotImplementedError

    def after_reply(
        self, callback: Callable[[], None], *, otherwise: Callable[[], None] | None = None
    ) -> None:
        """Have `callback` called in the event loop when the reply of a success is on its way.

        `otherwise` is called instead where the frame fails after all.
        """
        self._after_reply.append(callback)
        if otherwise is not None:
            self._after_refusal.append(otherwise)

    def replied(self) -> None:
        """The reply is on its way."""
        for callback in self._after_refusal if self._refused else self._after_reply:
            callback()

    async def dispatch(self) -> str:
        """Answer the frame of an async action: the reply, encoded. A failure is a reply too."""
        PublishTimer(self.submission, asyncio.get_running_loop(), current_task())
        return await self._as_reply(self._answer())

    async def begin(self, begun: Begun) -> str:
        """The first reply for a task: it has been begun. Its states follow."""
        return await self._as_reply(self._begin(begun))

    async def _as_reply(self, answering: Coroutine[Any, Any, str]) -> str:
        try:
            return await answering
        except asyncio.CancelledError:
            if self.submission.is_given_up:
                return self.refuse(BrokerUnavailable())
            raise
        except GeneratorExit:
            raise
        except BaseException as exc:  # SystemExit, for one, would end the server's event loop
            return await self._arefuse(exc)

    async def _answer(self) -> str:
        await run_in_thread(self._begin_frame, owner=self.handshake)
        with submitting(self.submission):
            result = await self._call(self.available_action)
        task = task_in(result)
        if task is not None:
            result = await run_in_thread(self._hand_over, task, owner=self.handshake)
        return await self._begin(result) if isinstance(result, Begun) else self._encode(result)

    def _begin_frame(self) -> None:
        self.handshake.check()
        self.initial()

    def _hand_over(self, result: Any) -> Begun:
        return hand_over(result, self.submission, owner=self.task_owner)

    @property
    def task_owner(self) -> str:
        """Whose tasks the frame may begin and see."""
        return owner_of(self.user, self.scope.get("session"), self.handshake.http.COOKIES)

    async def _begin(self, begun: Begun) -> str:
        signed, state = begun.reference.sign(), begun.state or TaskState()
        if begun.state is None and self.watches is not None:
            watch = await self.watches.begin(begun.reference, begun.reader, self.frame.reply)
            self.after_reply(partial(watch.open, state), otherwise=watch.close)
        return encode_state(state, signed, self.reply)

    async def _arefuse(self, exc: BaseException) -> str:
        # A project's EXCEPTION_HANDLER may use the database.
        if not is_known(exc):
            with contextlib.suppress(Overloaded):
                return await run_in_thread(self.refuse, exc, owner=self.handshake)
        return self.refuse(exc)

    def respond(self) -> str | Begun:
        """Answer the frame of a sync action, in a thread: the reply, encoded, or a task begun.

        A failure is a reply too.
        """
        try:
            self.handshake.check()
            with atomic_requests(), submitting(self.submission):
                self.initial()
                result = self._call(self.available_action)
            task = task_in(result)
            if task is not None:
                return self._hand_over(task)
            return result if isinstance(result, Begun) else self._encode(result)
        except BaseException as exc:  # nothing of a frame leaves it
            return self.refuse(exc)

    def _call(self, action: Any) -> Any:
        handler = getattr(self, action.handler)
        if action.detail:
            return handler(self.pk, data=self.frame.data)
        return handler(data=self.frame.data)

    def _encode(self, result: Any) -> str:
        status, data, errors = self.read_result(result)
        text = self.reply(status, data, errors).encode()
        if byte_length(text) > settings.MAX_REPLY_BYTES:
            raise ReplyTooLarge
        return text

    def read_result(self, result: Any) -> tuple[int, Any, list[Any]]:
        """Status, data and errors of what a handler returned."""
        return read_result(result)

    def refuse(self, exc: BaseException) -> str:
        """The encoded error reply for an exception."""
        self._refused = True
        try:
            status, errors = self._project_errors(exc) or error_reply(exc, **self._where)
            return self.reply(status, None, errors).encode()
        except Exception as failure:  # of the project's handler, or of the errors' encoding
            failure.__context__ = exc  # another thread's: Python does not know
            status, errors = error_reply(failure, **self._where)
            return self.reply(status, None, errors).encode()

    def _project_errors(self, exc: BaseException) -> tuple[int, list[Any]] | None:
        """What the project's EXCEPTION_HANDLER makes of an exception that DRF does not know."""
        if is_known(exc) or not isinstance(exc, Exception):
            return None
        handler = self.get_exception_handler()
        if handler is exception_handler:
            return None
        # The view as DRF would show it: of a mounted viewset its own.
        view = getattr(self, "view", self)
        context = {"view": view, "args": (), "kwargs": self.kwargs, "request": self.request}
        response = handler(exc, context)
        if response is None:
            return None
        status, _, errors = read_result(response)
        return status, errors

    @property
    def _where(self) -> dict[str, object]:
        return self.handshake.log_extra(self.frame, self.available_actions)

    def reply(self, status: int, data: Any, errors: Sequence[Any]) -> Reply:
        """A reply to the frame."""
        self.reply_status = status
        return self.frame.reply(status, data, errors)
