"""System checks: what is wrong with a project's configuration, and what to do about it."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning

from .handover import get_engine, has_celery_app
from .settings import DEFAULTS, settings

# What a project imports only for tasks.
TASK_MODULES = frozenset({"channels_api.tasks", "channels_api.resources"})
EMBEDDED_NEEDS = (5, 7)

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
    if not _is_dict() or not _is_redis(settings.LOG) or find_spec("redis"):
        return []
    return [
        Error(
            'CHANNELS_API["LOG"] is the URL of a Redis, and redis-py is not installed.',
            hint="pip install channels-api[redis]",
            id="channels_api.E006",
        )
    ]


@register
def check_embedded_worker(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W001: EMBEDDED_WORKER without DEBUG. E005: EMBEDDED_WORKER without Celery 5.7."""
    if not _is_dict() or settings.EMBEDDED_WORKER is not True:
        return []
    if not django_settings.DEBUG:
        return [
            CheckWarning(
                'CHANNELS_API["EMBEDDED_WORKER"] does nothing while DEBUG is off.',
                hint="It is for development. Start `celery -A <project> worker` instead.",
                id="channels_api.W001",
            )
        ]
    return [] if _celery_version() >= EMBEDDED_NEEDS else [_old_celery()]


def _is_dict() -> bool:
    # Anything else has an error of its own.
    return isinstance(getattr(django_settings, "CHANNELS_API", None) or {}, dict)


def _old_celery() -> CheckMessage:
    return Error(
        'CHANNELS_API["EMBEDDED_WORKER"] needs Celery 5.7 or newer.',
        hint='pip install "celery>=5.7"',
        id="channels_api.E005",
    )


def _celery_version() -> tuple[int, ...]:
    try:
        found = version("celery")
    except PackageNotFoundError:
        return ()
    return tuple(int(part) for part in re.findall(r"\d+", found)[:2])


@register
def check_result_backend(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E004: no server can read the states of the project's tasks."""
    # Asked for where tasks are certainly used: Celery alone needs no results.
    if not _is_dict() or not TASK_MODULES & sys.modules.keys() or not has_celery_app():
        return []
    fault = get_engine().find_fault()
    if fault is None:
        return []
    return [
        Error(
            f"Celery's result backend can't be used for tasks that clients watch: {fault}",
            hint="Set CELERY_RESULT_BACKEND to Redis or a database, for example.",
            id="channels_api.E004",
        )
    ]
