"""One open socket: its frames, the actions that run for it, its subscriptions, its writer."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from .admission import Admission
from .background.watches import Watches
from .bindings import ResourceBindingBase
from .exceptions import (
    ActionTimeout,
    CloseCode,
    FrameError,
    LimitExceeded,
    Overloaded,
    error_reply,
)
from .handover import Begun
from .limits import BAD_FRAMES, LARGE_FRAMES, REFUSED_FRAMES, Strikes, TokenBucket
from .live.subscriptions import Subscriptions
from .logs import log_error
from .metrics import count_frame
from .protocol import Reply, RequestFrame, byte_length, parse
from .requests import Scope
from .settings import settings
from .spawn import Timer
from .threads import start
from .turns import Lane, Turn
from .writer import Writer

Streams = Mapping[str, type[ResourceBindingBase]]
# Seconds that actions have to end after they were cancelled, since their client is gone.
CANCEL_SECONDS = 5.0


class Connection(Admission):
    """Answers the frames of one socket. `end` must be called when the socket is gone."""

    def __init__(
        self,
        scope: Scope,
        streams: Streams,
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        super().__init__(scope)
        self._loop = asyncio.get_running_loop()
        self._streams = streams
        # Those of whoever brings the frames: a frame is run with them, whatever the context is in
        # which the one before it ended.
        self._variables = contextvars.copy_context()
        self.writer = Writer(send, on_room=self._resume, on_close=self._let_go)
        self.subscriptions = Subscriptions(self.writer)
        self.watches = Watches(self.writer)
        self._lanes: dict[str, Lane] = {}
        self._waiting_lanes: list[Lane] = []
        self._unanswered = 0
        # What runs: the turns of sync frames, and a task for each async action.
        self._turns: set[Turn] = set()
        self._turns_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        now = self._loop.time()
        self._bucket = TokenBucket(settings.FRAME_RATE, settings.FRAME_BURST, now)
        # Of each kind of fault, by what the socket is closed with; most sockets have none.
        self._strikes: dict[CloseCode, Strikes] = {}
        self._unread_refusals = 0

    def start_pings(self) -> None:
        """The client will answer pings."""
        self.writer.start_pings(settings.PING_INTERVAL)

    def receive(self, text: str | None) -> None:
        """Take a frame; None is a binary one. Never raises, never waits."""
        if not self.writer.is_open:
            return
        # Before the rate: a pong that was asked for must not be refused.
        if text is not None and self.writer.take_pong(text):
            return
        wait = self._bucket.take(self._loop.time())
        if wait:
            message = f"Too many frames. Expected available in {math.ceil(wait)} seconds."
            self._refuse(FrameError(message, 429), REFUSED_FRAMES, CloseCode.FLOOD)
        elif text is None:
            fault = FrameError("Binary frames are not taken: send JSON as text.")
            self._refuse(fault, BAD_FRAMES, CloseCode.PROTOCOL_ABUSE)
        elif byte_length(text) > settings.MAX_FRAME_BYTES:
            message = f"The frame is too large: {settings.MAX_FRAME_BYTES} bytes are allowed."
            self._refuse(FrameError(message, 413), LARGE_FRAMES, CloseCode.TOO_BIG_TOO_OFTEN)
        else:
            self._receive_text(text)

    async def end(self) -> None:
        """The socket is gone: nothing of it stays behind.

        Async actions are cancelled; sync ones end in their threads, unheard.
        """
        self._ending = True
        self._let_go()
        for turn in self._turns:
            turn.stop()
        self._turns.clear()
        if self._turns_timer is not None:
            self._turns_timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
        # Again: a subscribe may have ended while it was being cancelled.
        self._let_go()
        await self.writer.end()

    def _receive_text(self, text: str) -> None:
        try:
            if self._take_token(text):
                return
            frame = parse(text, max_depth=settings.MAX_DEPTH)
        except FrameError as fault:
            self._refuse(fault, BAD_FRAMES, CloseCode.PROTOCOL_ABUSE)
            return
        if frame.stream not in self._streams:
            self._answer(frame, FrameError(f"There is no stream {frame.stream!r}.", 404))
            return
        binding_class = self._streams[frame.stream]
        action = binding_class.available_actions.get(frame.action)
        if action is not None and action.concurrent:
            lane = Lane(binding_class)  # of its own: it waits for nobody
        else:
            lane = self._lanes.get(frame.stream) or self._add_lane(frame.stream, binding_class)
        self._queue(frame, lane)

    def _refuse(self, fault: FrameError, limit: int, code: CloseCode) -> None:
        """Answer what is no request, and close the socket that sends too much of it."""
        strikes = self._strikes.setdefault(code, Strikes(limit))
        self._push_refusal(
            Reply(fault.stream, fault.action, fault.status, None, [fault.message], fault.request_id)
        )
        if strikes.out(self._loop.time()):
            self.writer.close(code)

    def _answer(self, frame: RequestFrame, exc: Exception) -> None:
        binding_class = self._streams.get(frame.stream, ResourceBindingBase)
        extra = self.handshake.log_extra(frame, binding_class.available_actions)
        status, errors = error_reply(exc, **extra)
        self._push_refusal(
            Reply(frame.stream, frame.action, status, None, errors, frame.request_id)
        )

    def _push_refusal(self, reply: Reply) -> None:
        # Frames that are refused cost no action, so nothing else slows down who sends them
        # without reading the replies.
        self._unread_refusals = 0 if self.writer.has_room else self._unread_refusals + 1
        if self._unread_refusals > REFUSED_FRAMES:
            self.writer.too_slow()
        self.writer.push(reply.encode())
        count_frame(self._streams, reply.stream, reply.action, reply.status)

    def _add_lane(self, stream: str, binding_class: type[ResourceBindingBase]) -> Lane:
        lane = self._lanes[stream] = Lane(binding_class)
        return lane

    def _queue(self, frame: RequestFrame, lane: Lane) -> None:
        waiting = self._unanswered - len(self._turns) - len(self._tasks)
        if (lane.busy or not self._may_start) and waiting >= settings.MAX_QUEUED:
            message = f"Too many frames are waiting: {settings.MAX_QUEUED} are allowed."
            self._answer(frame, LimitExceeded(message))
            return
        self._unanswered += 1
        self._variables = contextvars.copy_context()
        lane.frames.append(frame)
        if not lane.busy:
            lane.busy = True
            self._waiting_lanes.append(lane)
            self._start_waiting()

    @property
    def _may_start(self) -> bool:
        # Replies that the client does not read are not made: they would only fill the memory.
        running = len(self._turns) + len(self._tasks)
        may_run = running < settings.MAX_IN_FLIGHT and self._authenticating is None
        return may_run and self.writer.has_room

    def _start_waiting(self) -> None:
        if self._ending:
            return  # nobody would end them
        while self._waiting_lanes and self._may_start:
            lane = self._waiting_lanes.pop(0)
            if lane.next_is_sync:
                self._start_turn(lane)
            else:
                self._start_task(lane, self._run(lane.frames.pop(0)))

    def _start_turn(self, lane: Lane) -> None:
        turn = Turn(lane, self, self._variables)
        self._turns.add(turn)
        self._set_turns_timer()
        try:
            start(turn, owner=self.handshake)
        except Overloaded as exc:
            turn.give_up(exc)

    def _set_turns_timer(self) -> None:
        # One that looks now and then, instead of one for each frame.
        limit = settings.ACTION_TIMEOUT
        if self._turns_timer is None and self._turns and limit is not None:
            first = min(turn.since for turn in self._turns)
            self._turns_timer = self._loop.call_at(first + limit, self._look_at_turns, limit)

    def _look_at_turns(self, limit: float) -> None:
        self._turns_timer = None
        now = self._loop.time()
        for turn in list(self._turns):
            if turn.since + limit <= now:
                turn.give_up(ActionTimeout())
        self._set_turns_timer()

    def _start_task(self, lane: Lane, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._variables.copy().run(asyncio.ensure_future, coroutine)
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._task_is_over, lane))

    def _task_is_over(self, lane: Lane, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._unanswered -= 1
        if not task.cancelled() and task.exception() is not None:
            log_error("A frame could not be answered", exc=task.exception())
        self._go_on(lane)

    def _go_on(self, lane: Lane) -> None:
        if lane.frames:
            self._waiting_lanes.append(lane)  # behind the other streams
        else:
            lane.busy = False
        self._start_waiting()

    # What a turn asks of its host.

    @property
    def others_wait(self) -> bool:
        return bool(self._waiting_lanes)

    def make_binding(self, frame: RequestFrame) -> ResourceBindingBase:
        binding_class = self._streams[frame.stream]
        return binding_class(self.handshake, frame, self.subscriptions, self.watches)

    def take_reply(self, binding: ResourceBindingBase, text: str) -> None:
        if not self._ending:
            self._unanswered -= 1
            self._send(binding, text)

    def take_fault(self, frame: RequestFrame, exc: Exception) -> None:
        if not self._ending:
            self._unanswered -= 1
            self._answer(frame, exc)

    def take_task(self, turn: Turn, binding: ResourceBindingBase, begun: Begun) -> None:
        if self._ending:
            return
        self._turns.discard(turn)
        self._start_task(turn.lane, self._run_begin(binding, begun))

    def turn_is_over(self, turn: Turn) -> None:
        self._turns.discard(turn)
        self._go_on(turn.lane)

    async def _run(self, frame: RequestFrame) -> None:
        try:
            binding = self.make_binding(frame)
        except Exception as exc:  # a constructor of the project's own
            self._answer(frame, exc)
            return
        self._send(binding, await self._limited(binding, binding.dispatch()))

    async def _run_begin(self, binding: ResourceBindingBase, begun: Begun) -> None:
        self._send(binding, await self._limited(binding, binding.begin(begun)))

    def _send(self, binding: ResourceBindingBase, text: str) -> None:
        self.writer.push(text)
        frame = binding.frame
        count_frame(self._streams, frame.stream, frame.action, binding.reply_status)
        binding.replied()
        self._look_for_end()

    async def _limited(
        self, binding: ResourceBindingBase, answering: Coroutine[Any, Any, str]
    ) -> str:
        timer = Timer(settings.ACTION_TIMEOUT)
        try:
            return await answering
        except asyncio.CancelledError as exc:
            if self._ending:
                raise
            # Else it was the timer, or something that the action itself had cancelled.
            return binding.refuse(ActionTimeout() if timer.fired else exc)
        finally:
            timer.stop()

    def _let_go(self) -> None:
        # Not at the socket's end, which a client that does not answer can put off.
        self.leave()
        self.subscriptions.close()
        self.watches.close()

    def _resume(self) -> None:
        self.subscriptions.resume()
        self.watches.resume()
        self._start_waiting()
