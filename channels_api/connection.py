"""One open socket: its frames, the actions that run for it, its subscriptions, its writer."""

from __future__ import annotations

import asyncio
import functools
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .background.watches import Watches
from .bindings import ResourceBindingBase
from .exceptions import ActionTimeout, CloseCode, FrameError, LimitExceeded, error_reply
from .limits import BAD_FRAMES, LARGE_FRAMES, REFUSED_FRAMES, Strikes, TokenBucket
from .live.subscriptions import Subscriptions
from .logs import logger
from .protocol import Reply, RequestFrame, byte_length, parse
from .requests import Handshake, Scope
from .settings import settings
from .writer import Writer

Streams = Mapping[str, type[ResourceBindingBase]]
# Seconds that actions have to end after they were cancelled, since their client is gone.
CANCEL_SECONDS = 5.0


class Lane:
    """The frames of one stream: they run one after another, in order."""

    def __init__(self) -> None:
        self.frames: deque[RequestFrame] = deque()
        self.busy = False


class Timer:
    """Cancels the current task after some seconds (None: never), and tells that it was the one."""

    def __init__(self, seconds: float | None) -> None:
        self.fired = False
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        self._handle = None if seconds is None else loop.call_later(seconds, self._fire)

    def stop(self) -> None:
        """It was in time."""
        if self._handle is not None:
            self._handle.cancel()

    def _fire(self) -> None:
        self.fired = True
        if self._task is not None:
            self._task.cancel()


class Connection:
    """Answers the frames of one socket. `end` must be called when the socket is gone."""

    def __init__(
        self,
        scope: Scope,
        streams: Streams,
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._streams = streams
        self._handshake = Handshake(scope)
        self.writer = Writer(send, on_room=self._resume, on_close=self._unsubscribe)
        self.subscriptions = Subscriptions(self.writer)
        self.watches = Watches(self.writer)
        self._lanes: dict[str, Lane] = {}
        self._waiting_lanes: deque[Lane] = deque()
        self._waiting_frames = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        now = self._loop.time()
        self._bucket = TokenBucket(settings.FRAME_RATE, settings.FRAME_BURST, now)
        self._bad, self._large = Strikes(BAD_FRAMES), Strikes(LARGE_FRAMES)
        self._refused = Strikes(REFUSED_FRAMES)
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
            self._refuse(FrameError(message, 429), self._refused, CloseCode.FLOOD)
        elif text is None:
            fault = FrameError("Binary frames are not taken: send JSON as text.")
            self._refuse(fault, self._bad, CloseCode.PROTOCOL_ABUSE)
        elif byte_length(text) > settings.MAX_FRAME_BYTES:
            message = f"The frame is too large: {settings.MAX_FRAME_BYTES} bytes are allowed."
            self._refuse(FrameError(message, 413), self._large, CloseCode.TOO_BIG_TOO_OFTEN)
        else:
            self._receive_text(text)

    async def end(self) -> None:
        """The socket is gone: nothing of it stays behind.

        Async actions are cancelled; sync ones end in their threads, unheard.
        """
        self._ending = True
        self._unsubscribe()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
        # Again: a subscribe may have ended while it was being cancelled.
        self._unsubscribe()
        await self.writer.end()

    def _receive_text(self, text: str) -> None:
        try:
            frame = parse(text, max_depth=settings.MAX_DEPTH)
        except FrameError as fault:
            self._refuse(fault, self._bad, CloseCode.PROTOCOL_ABUSE)
            return
        if frame.stream not in self._streams:
            self._answer(frame, FrameError(f"There is no stream {frame.stream!r}.", 404))
            return
        action = self._streams[frame.stream].available_actions.get(frame.action)
        if action is not None and action.concurrent:
            lane = Lane()  # of its own: it waits for nobody
        else:
            lane = self._lanes.setdefault(frame.stream, Lane())
        self._queue(frame, lane)

    def _refuse(self, fault: FrameError, strikes: Strikes, code: CloseCode) -> None:
        """Answer what is no request, and close the socket that sends too much of it."""
        self._push_refusal(
            Reply(fault.stream, fault.action, fault.status, None, [fault.message], fault.request_id)
        )
        if strikes.out(self._loop.time()):
            self.writer.close(code)

    def _answer(self, frame: RequestFrame, exc: Exception) -> None:
        status, errors = error_reply(exc)
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

    def _queue(self, frame: RequestFrame, lane: Lane) -> None:
        if (lane.busy or not self._may_start) and self._waiting_frames >= settings.MAX_QUEUED:
            message = f"Too many frames are waiting: {settings.MAX_QUEUED} are allowed."
            self._answer(frame, LimitExceeded(message))
            return
        lane.frames.append(frame)
        self._waiting_frames += 1
        if not lane.busy:
            lane.busy = True
            self._waiting_lanes.append(lane)
            self._start_waiting()

    @property
    def _may_start(self) -> bool:
        # Replies that the client does not read are not made: they would only fill the memory.
        return len(self._tasks) < settings.MAX_IN_FLIGHT and self.writer.has_room

    def _start_waiting(self) -> None:
        if self._ending:
            return  # nobody would end them
        while self._waiting_lanes and self._may_start:
            lane = self._waiting_lanes.popleft()
            self._waiting_frames -= 1
            task = asyncio.ensure_future(self._run(lane.frames.popleft()))
            self._tasks.add(task)
            task.add_done_callback(functools.partial(self._finished, lane))

    def _finished(self, lane: Lane, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("A frame could not be answered", exc_info=task.exception())
        if self._ending:
            return
        if lane.frames:
            self._waiting_lanes.append(lane)  # behind the other streams
        else:
            lane.busy = False
        self._start_waiting()

    async def _run(self, frame: RequestFrame) -> None:
        try:
            binding = self._streams[frame.stream](
                self._handshake, frame, self.subscriptions, self.watches
            )
        except Exception as exc:  # a constructor of the project's own
            self._answer(frame, exc)
            return
        text = await self._dispatch(binding)
        self.writer.push(text)
        binding.replied()

    async def _dispatch(self, binding: ResourceBindingBase) -> str:
        timer = Timer(settings.ACTION_TIMEOUT)
        try:
            return await binding.dispatch()
        except asyncio.CancelledError as exc:
            if self._ending:
                raise
            # Else it was the timer, or something that the action itself had cancelled.
            return binding.refuse(ActionTimeout() if timer.fired else exc)
        finally:
            timer.stop()

    def _unsubscribe(self) -> None:
        # Not at the socket's end, which a client that does not answer can put off.
        self.subscriptions.close()
        self.watches.close()

    def _resume(self) -> None:
        self.subscriptions.resume()
        self.watches.resume()
        self._start_waiting()
