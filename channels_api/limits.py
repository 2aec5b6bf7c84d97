"""What one socket may ask of the server: a rate of frames, and a number of faults."""

from __future__ import annotations

import math

# Faults of one kind within a time that end a socket.
BAD_FRAMES, LARGE_FRAMES, REFUSED_FRAMES = 10, 10, 100
FAULT_SECONDS = 10.0


class TokenBucket:
    """`rate` frames a second in the long run, `burst` at once. None for either is no limit.

    Times are seconds of a clock that never goes back.
    """

    def __init__(self, rate: float | None, burst: float | None, now: float) -> None:
        self._rate = rate
        self._burst = self._tokens = math.inf if burst is None else burst
        self._last = now

    def take(self, now: float) -> float:
        """0 for a frame that may pass, else the seconds until one may."""
        if self._rate is None:
            return 0.0
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._rate)
        self._last = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0


class Strikes:
    """Counts faults: out at `limit` of them within FAULT_SECONDS."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times: list[float] = []

    def out(self, now: float) -> bool:
        """Note a fault; True if it is one too many."""
        self._times.append(now)
        del self._times[: -self._limit]
        full = len(self._times) == self._limit
        return full and now - self._times[0] <= FAULT_SECONDS
