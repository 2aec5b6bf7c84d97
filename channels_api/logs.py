"""The library's logger, and the two ways to log an error, each of which is counted."""

from __future__ import annotations

import logging
import sys
import time

from .locks import new_lock
from .metrics import ERRORS, measure

logger = logging.getLogger("channels_api")

# Seconds between two records of the same message.
INTERVAL = 60.0
# Different ones that are remembered.
MOST_MESSAGES = 1000

_last: dict[str, float] = {}
_lock = new_lock()


def log_error(
    message: str, *args: object, exc: BaseException | None = None, **extra: object
) -> None:
    """Log an error, with an exception or else the one being handled, if any.

    `extra` are attributes of the record: nothing that a client made up, and of users only their pk.
    """
    measure(ERRORS)
    _log(message, args, exc or sys.exc_info()[1], extra)


def log_sometimes(message: str, *args: object) -> None:
    """Log what may go wrong many times a second; the same at most once a minute."""
    now, key = time.monotonic(), message % args
    with _lock:
        is_news = now - _last.get(key, -INTERVAL) >= INTERVAL
        if is_news:
            if len(_last) >= MOST_MESSAGES:
                _last.clear()
            _last[key] = now
    measure(ERRORS)
    if is_news:
        _log(message, args, sys.exc_info()[1])


def _log(
    message: str,
    args: tuple[object, ...],
    exc: BaseException | None,
    extra: dict[str, object] | None = None,
) -> None:
    # The record names whoever calls from another module.
    logger.error(message, *args, exc_info=exc, extra=extra, stacklevel=3)
