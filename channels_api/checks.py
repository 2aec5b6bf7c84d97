"""System checks: what is wrong with a project's configuration, and what to do about it."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, register

from .settings import DEFAULTS


@register
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E001: CHANNELS_API is no dict. E002: a key of it is unknown."""
    configured = getattr(django_settings, "CHANNELS_API", None) or {}
    if not isinstance(configured, dict):
        return [
            Error(
                "CHANNELS_API must be a dict.",
                hint='Write CHANNELS_API = {"DEFAULT_PAGE_SIZE": 25}, for example.',
                id="channels_api.E001",
            )
        ]
    return [
        Error(
            f"CHANNELS_API has an unknown key: {key!r}.",
            hint=f"The keys are {', '.join(sorted(DEFAULTS))}.",
            id="channels_api.E002",
        )
        for key in configured
        if key not in DEFAULTS
    ]
