"""A broker that does not answer: who waits for a handler is told, although its thread hangs."""

from __future__ import annotations

import asyncio
import time
from contextvars import Context
from typing import Protocol

from .submission import Submission

# Seconds that a broker has to take a task before the client is told that it can't be reached.
PUBLISH_TIMEOUT = 2.0


class Waiter(Protocol):
    """Who waits for a handler, such as an asyncio task."""

    def done(self) -> bool:
        """Whether it waits no more."""

    def cancel(self) -> object:
        """Wait no longer."""


class PublishTimer:
    """Cancels who waits for a handler, in the event loop, when that has published for too long.

    `submission.is_given_up` tells that it was this. The handler itself can't be ended: its thread
    goes on, and what the broker takes after all is to be cancelled.
    """

    def __init__(
        self, submission: Submission, loop: asyncio.AbstractEventLoop, waiter: Waiter
    ) -> None:
        self._submission = submission
        self._loop = loop
        self._waiter = waiter
        self._is_set = False
        submission.on_publish = self._published

    def _published(self) -> None:
        # In the handler's thread.
        if not self._is_set:
            self._is_set = True
            # Without the handler's context, which would be that of what comes after it.
            self._loop.call_soon_threadsafe(self._look_in, PUBLISH_TIMEOUT, context=Context())

    def _look_in(self, seconds: float) -> None:
        self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        since = self._submission.publishing_since
        if since is None or self._waiter.done():
            self._is_set = False
            return
        left = since + PUBLISH_TIMEOUT - time.monotonic()
        if left > 0:  # that is another task than the one that the timer was set for
            self._look_in(left)
        else:
            # Before: it is better to tell of a task that is then cancelled than to run one that
            # the client was told of as not begun.
            self._submission.give_up()
            self._waiter.cancel()
