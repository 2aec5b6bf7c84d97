"""System checks: what is wrong with a project's configuration, and what to do about it."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, register

from .settings import DEFAULTS

# Where None could not mean "no limit".
NEEDED = ("DEFAULT_PAGE_SIZE", "THREADS", "HISTORY_SIZE")


@register
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E001: CHANNELS_API is no dict. E002: a key is unknown. E003: a value is of the wrong kind."""
    configured = getattr(django_settings, "CHANNELS_API", None) or {}
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
    return Error(
        f"CHANNELS_API[{key!r}] must be a number over 0{nothing}.",
        hint="THREADS may be 0 as well, in tests." if key == "THREADS" else None,
        id="channels_api.E003",
    )


def _is_valid(key: str, configured: dict[str, Any]) -> bool:
    if key not in DEFAULTS or key == "DEFAULT_PERMISSION_CLASSES":
        return True
    value = configured[key]
    if value is None:
        return key not in NEEDED
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and (value > 0 or (key == "THREADS" and value == 0))
