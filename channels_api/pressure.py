"""Whether one more thread would bring anything."""

from __future__ import annotations

import time
from collections.abc import Callable

# Of a core: what a process uses whose threads wait for the interpreter and for nothing else.
SATURATED = 0.8


class Pressure:
    """Looks at a process from time to time while work waits for its threads.

    Python runs one thread at a time. Where work computes, a second thread only takes the
    interpreter from the first, and all of them are done later; where it waits, for a database or a
    lock, another thread has the time of the first for itself. `clock` and `cpu` give seconds.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._clock = clock
        self._cpu = cpu
        self._now = self._used = 0.0
        self._done = 0

    def look(self, done: int) -> bool:
        """Whether nothing was done since the last look, or the processor had time to spare.

        `done` is how much has ever been done.
        """
        now, used = self._clock(), self._cpu()
        idle = used - self._used < SATURATED * (now - self._now)
        stuck = done == self._done
        self._now, self._used, self._done = now, used, done
        return idle or stuck
