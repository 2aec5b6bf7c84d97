"""Tasks: whether there is a Celery that fits, and whether their states can be read."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning

from ..handover import get_engine, has_celery_app
from ..settings import settings
from .configuration import is_dict

EMBEDDED_NEEDS = (5, 7)


@register
def check_embedded_worker(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W002: EMBEDDED_WORKER without DEBUG. E005: EMBEDDED_WORKER without Celery 5.7."""
    if not is_dict() or settings.EMBEDDED_WORKER is not True:
        return []
    if not django_settings.DEBUG:
        return [
            CheckWarning(
                'CHANNELS_API["EMBEDDED_WORKER"] does nothing while DEBUG is off.',
                hint="It is for development. Start `celery -A <project> worker` instead.",
                id="channels_api.W002",
            )
        ]
    return [] if _celery_version() >= EMBEDDED_NEEDS else [_old_celery()]


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


def find_task_faults(bindings: Iterable[type]) -> list[CheckMessage]:
    """E009: tasks are used and Celery is not installed. E004: no server can read their states.

    Tasks are used where one of the bindings on a socket shows them, or a resource begins them:
    Celery alone needs no results.
    """
    # Neither is there before the project has imported it.
    tasks = sys.modules.get("channels_api.tasks")
    shown = tasks is not None and any(issubclass(each, tasks.TaskBinding) for each in bindings)
    if not is_dict() or not (shown or "channels_api.resources" in sys.modules):
        return []
    if find_spec("celery") is None:
        return [
            Error(
                "The project's sockets or resources are for Celery's tasks, and Celery is not "
                "installed.",
                hint="pip install channels-api[celery]",
                id="channels_api.E009",
            )
        ]
    fault = get_engine().find_fault() if has_celery_app() else None
    if fault is None:
        return []
    return [
        Error(
            f"Celery's result backend can't be used for tasks that clients watch: {fault}",
            hint="Set CELERY_RESULT_BACKEND to Redis or a database, for example.",
            id="channels_api.E004",
        )
    ]
