"""The library's logger, and a way to log what may go wrong many times a second."""

from __future__ import annotations

import logging
import sys
import threading
import time

logger = logging.getLogger("channels_api")

# Seconds between two records of the same message.
INTERVAL = 60.0

_last: dict[str, float] = {}
_lock = threading.Lock()


def log_sometimes(message: str, *args: object) -> None:
    """Log the exception being handled, at most once a minute for each message."""
    now = time.monotonic()
    with _lock:
        if now - _last.get(message, -INTERVAL) < INTERVAL:
            return
        _last[message] = now
    logger.error(message, *args, exc_info=sys.exc_info())
