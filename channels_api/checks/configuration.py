"""The CHANNELS_API setting: its keys and the kinds of their values."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, register

from ..settings import DEFAULTS, settings

# Where None could not mean "no limit".
NEEDED = (
    "DEFAULT_PAGE_SIZE",
    "THREADS",
    "HEARTBEAT",
    "SNAPSHOT_ROWS",
    "EMBEDDED_WORKER",
    "LOG",
    "HISTORY_SIZE",
    "HISTORY_SECONDS",
)
# What need not be a whole number.
TIMES = (
    "FRAME_RATE",
    "ACTION_TIMEOUT",
    "SEND_TIMEOUT",
    "HEARTBEAT",
    "AUTH_MAX_AGE",
    "REVALIDATE",
    "PING_INTERVAL",
    "HISTORY_SECONDS",
)
SWITCHES = ("EMBEDDED_WORKER",)
REDIS_URLS = ("redis://", "rediss://", "unix://")


@register
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E001: CHANNELS_API is no dict. E002: a key is unknown. E003: a value is of the wrong kind."""
    configured = getattr(django_settings, "CHANNELS_API", None)
    if configured is None:
        return []
    if not isinstance(configured, dict):
        return [
            Error(
                "CHANNELS_API must be a dict.",
                hint='Write CHANNELS_API = {"DEFAULT_PAGE_SIZE": 25}, for example.',
                id="channels_api.E001",
            )
        ]
    unknown = [
        Error(
            f"CHANNELS_API has an unknown key: {key!r}.",
            hint=f"The keys are {', '.join(sorted(DEFAULTS))}.",
            id="channels_api.E002",
        )
        for key in configured
        if key not in DEFAULTS
    ]
    return [*unknown, *(_bad_value(key) for key in configured if not _is_valid(key, configured))]


def _bad_value(key: str) -> CheckMessage:
    nothing = " or None" if key not in NEEDED else ""
    wanted = "a number" if key in TIMES else "a whole number"
    hint = "THREADS may be 0 as well, in tests." if key == "THREADS" else None
    what = f"{wanted} over 0{nothing}"
    if key in SWITCHES:
        what = "True or False"
    if key == "DEFAULT_PERMISSION_CLASSES":
        what, hint = "a list or tuple, or None", "Its items are classes or dotted paths."
    if key == "LOG":
        what, hint = '"memory" or the URL of a Redis', f"URLs begin with {', '.join(REDIS_URLS)}."
    return Error(f"CHANNELS_API[{key!r}] must be {what}.", hint=hint, id="channels_api.E003")


def _is_valid(key: str, configured: dict[str, Any]) -> bool:
    value = configured[key]
    if key not in DEFAULTS:
        return True  # it has an error of its own
    if value is None:
        return key not in NEEDED
    if key == "DEFAULT_PERMISSION_CLASSES":
        return isinstance(value, (list, tuple))
    if key in SWITCHES:
        return isinstance(value, bool)
    if key == "LOG":
        return value == "memory" or _is_redis(value)
    kinds = (int, float) if key in TIMES else (int,)
    return type(value) in kinds and (value > 0 or (key == "THREADS" and value == 0))


def _is_redis(log: Any) -> bool:
    return isinstance(log, str) and log.startswith(REDIS_URLS)


@register
def check_log(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E006: LOG is in Redis, and redis-py is not installed."""
    if not is_dict() or not _is_redis(settings.LOG) or find_spec("redis"):
        return []
    return [
        Error(
            'CHANNELS_API["LOG"] is the URL of a Redis, and redis-py is not installed.',
            hint="pip install channels-api[redis]",
            id="channels_api.E006",
        )
    ]


def is_dict() -> bool:
    """Whether CHANNELS_API can be read; anything else has an error of its own."""
    return isinstance(getattr(django_settings, "CHANNELS_API", None) or {}, dict)
