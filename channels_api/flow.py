"""Pings of one socket, and what its client has acknowledged by answering them; no I/O, no clock."""

from __future__ import annotations

import math

# Bytes after which a ping follows. Several fit into what may be unacknowledged: a client that is
# far away is asked again before its answer is here, and so is not held up.
PING_BYTES = 262_144
# Seconds by which a look at the clock may be late. Beyond, it was this process that stood still,
# and the pong may be here, unread.
STALL_SECONDS = 1.0


class Flow:
    """Counts bytes and pings; a pong acknowledges all that was sent before its ping.

    Pings have the numbers 1, 2, 3... One is due `interval` seconds after the one before, or after
    PING_BYTES; some pong is due `interval` seconds after a ping, as long as any waits for one.
    Without an interval there are no pings, and nothing counts as unacknowledged. Times are seconds
    of a clock that never goes back.
    """

    def __init__(self, interval: float | None = None, now: float = 0.0) -> None:
        self.interval = math.inf if interval is None else interval
        self._sent = 0
        self._sent_at_ping = 0
        self._acknowledged = 0
        self._number = 0
        # What had been sent before each ping that waits for its pong, oldest first. Each socket has
        # one of these, and few wait: no deque, of which even an empty one is 0.7 KB.
        self._waiting: list[int] = []
        self._ping_at = now + self.interval
        self._pong_by = math.inf

    @property
    def unacknowledged(self) -> int:
        """Bytes of which it is not known whether they have arrived."""
        return self._sent - self._acknowledged

    def sent(self, size: int) -> None:
        """A frame of so many bytes that is no ping was handed to the server."""
        if self.interval != math.inf:
            self._sent += size

    def ping_is_due(self, now: float) -> bool:
        """Whether a ping is to be sent next."""
        return now >= self._ping_at or self._sent - self._sent_at_ping >= PING_BYTES

    def ping(self, now: float) -> int:
        """The number of a ping that is being handed to the server."""
        if not self._waiting:
            self._pong_by = now + self.interval
        self._number += 1
        self._waiting.append(self._sent)
        self._sent_at_ping = self._sent
        self._ping_at = now + self.interval
        return self._number

    def pong(self, number: int, now: float) -> bool:
        """Take the pong of that number; False where no ping waits for it."""
        answered = number - self._number + len(self._waiting)
        if not 0 < answered <= len(self._waiting):
            return False
        self._acknowledged = self._waiting[answered - 1]
        del self._waiting[:answered]
        # The client takes what is sent: for what is still under way it has as long again.
        self._pong_by = now + self.interval if self._waiting else math.inf
        return True

    def miss_pong(self, now: float) -> bool:
        """Look at the clock, at the time that `next_look` told: whether a pong did not come."""
        if now - self._pong_by > STALL_SECONDS:
            self._pong_by = now + self.interval
        return now >= self._pong_by

    def next_look(self, now: float) -> float:
        """When to look at the clock again; infinity where only a send can change anything."""
        return min(self._pong_by, self._ping_at if self._ping_at > now else math.inf)
