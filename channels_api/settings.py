"""The `CHANNELS_API` setting: every key with its default, read when it is first used."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string
from rest_framework.settings import api_settings as rest_framework_settings

# A MAX_ that is None is no limit.
DEFAULTS: dict[str, Any] = {
    # Rows of a list where the binding has no pagination class of its own.
    "DEFAULT_PAGE_SIZE": 25,
    # Dotted paths or classes, both families. None: the project's
    # REST_FRAMEWORK["DEFAULT_PERMISSION_CLASSES"], so that a locked REST API stays locked.
    "DEFAULT_PERMISSION_CLASSES": None,
    # Threads for sync actions, and so database connections, of one process; one more serves
    # subscriptions only, one the states of tasks, one what cancels them. 0: Django's
    # thread-sensitive thread, for tests inside TestCase.
    "THREADS": min(32, (os.cpu_count() or 1) + 4),
    # Bytes of one incoming frame; more is answered with 413 and not parsed.
    "MAX_FRAME_BYTES": 65_536,
    # Levels of nesting in an incoming frame, the frame itself being the first.
    "MAX_DEPTH": 32,
    # Bytes of one reply; more is answered with 413 instead.
    "MAX_REPLY_BYTES": 1_048_576,
    # Frames per second that one socket may send in the long run, and at once. None: no limit.
    "FRAME_RATE": 100,
    "FRAME_BURST": 200,
    # Actions of one socket that run at the same time, and frames that may wait behind them.
    "MAX_IN_FLIGHT": 8,
    "MAX_QUEUED": 32,
    # Subscriptions of one socket.
    "MAX_SUBSCRIPTIONS": 100,
    # Seconds: an async action is cancelled, a sync one's result dropped; both answer 504.
    # None: no limit.
    "ACTION_TIMEOUT": 30,
    # Seconds that a single frame may take to be handed to the client. None: no limit.
    "SEND_TIMEOUT": 20,
    # Seconds after which watched tasks and a shared log are looked at again: whatever ring was
    # lost is found then.
    "HEARTBEAT": 10,
    # Seconds after which user, session and token are looked at again, for what changes without
    # a signal of Django's. None: never.
    "AUTH_MAX_AGE": 30,
    # Seconds after which it is looked at again which rows a subscriber may see, for what changes
    # that without changing the rows. None: never.
    "REVALIDATE": 60,
    # Rows of a snapshot; a subscribe to more is answered with 413.
    "SNAPSHOT_ROWS": 1000,
    # Seconds between pings to clients that speak channels-api.v1, and for their answer. None: none.
    "PING_INTERVAL": 20,
    # A Celery worker inside the server process, for development: it needs DEBUG.
    "EMBEDDED_WORKER": False,
    # Where changes are logged: "memory" (of one process), or the URL of a Redis that all processes
    # share, such as "redis://127.0.0.1:6379/0".
    "LOG": "memory",
    # Changes that the log keeps of each topic, and for how many seconds.
    "HISTORY_SIZE": 1000,
    "HISTORY_SECONDS": 300,
}


class Settings:
    """`settings.NAME`: the project's value, else the default; infinity for a limit that is None.

    What was read is kept until Django tells of a change, as `override_settings` has it do. An
    attribute that is no setting raises AttributeError.
    """

    def __getattr__(self, name: str) -> Any:
        # Called where there is no attribute of the name: once for each setting.
        if name not in DEFAULTS:
            raise AttributeError(f"{name} is not a setting of channels_api.")
        configured = getattr(django_settings, "CHANNELS_API", None)
        value = (configured or {}).get(name, DEFAULTS[name])
        value = math.inf if value is None and name.startswith("MAX_") else value
        # Unless another thread has changed it meanwhile.
        if getattr(django_settings, "CHANNELS_API", None) is configured:
            vars(self)[name] = value
        return value

    def forget(self, *, setting: str, **_: Any) -> None:
        """Read again what is asked for from now on."""
        if setting == "CHANNELS_API":
            vars(self).clear()


settings = Settings()
setting_changed.connect(settings.forget)


def default_permission_classes() -> Sequence[Any]:
    """The permission classes of a binding that names none."""
    configured = settings.DEFAULT_PERMISSION_CLASSES
    if configured is None:
        # Already imported classes; DRF's own default is AllowAny.
        classes: Sequence[Any] = rest_framework_settings.DEFAULT_PERMISSION_CLASSES
        return classes
    return [import_string(item) if isinstance(item, str) else item for item in configured]
