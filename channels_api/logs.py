"""The library's logger, and a way to log what may go wrong many times a second."""

from __future__ import annotations

import logging
import sys
import time

from .locks import new_lock

logger = logging.getLogger("channels_api")

# Seconds between two records of the same message.
INTERVAL = 60.0
# Different ones that are remembered.
MOST_MESSAGES = 1000

_last: dict[str, float] = {}
_lock = new_lock()


def log_sometimes(message: str, *args: object) -> None:
    """Log a message, with the exception being handled if any; the same at most once a minute."""
    now, key = time.monotonic(), message % args
    with _lock:
        if now - _last.get(key, -INTERVAL) < INTERVAL:
            return
        if len(_last) >= MOST_MESSAGES:
            _last.clear()
        _last[key] = now
    logger.error(message, *args, exc_info=sys.exc_info()[1])
