"""Advice for production: `manage.py check --deploy`, where DEBUG is off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, register
from django.core.checks import Warning as CheckWarning
from django.urls import get_resolver

from ..settings import settings
from .configuration import is_dict

# None: there is no layer at all.
OF_ONE_PROCESS = (None, "channels.layers.InMemoryChannelLayer")


@register(deploy=True)
def check_one_process(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W001: what several processes have to share is in the memory of each."""
    if django_settings.DEBUG or not is_dict():
        return []
    found = []
    if settings.LOG == "memory":
        found.append(
            _of_one_process(
                'The log of changes is in memory: CHANNELS_API["LOG"].',
                'CHANNELS_API = {"LOG": "redis://127.0.0.1:6379/3"}, for example',
            )
        )
    layers = getattr(django_settings, "CHANNEL_LAYERS", None) or {}
    if layers.get("default", {}).get("BACKEND") in OF_ONE_PROCESS:
        found.append(
            _of_one_process(
                "The channel layer is in memory: CHANNEL_LAYERS.",
                "a layer of channels_redis, for example",
            )
        )
    return found


def _of_one_process(what: str, remedy: str) -> CheckMessage:
    return CheckWarning(
        f"{what} Several processes do not hear of each other's changes.",
        hint=f"Have it in Redis: {remedy}. Where a single process serves everything and no other "
        "one writes, silence this.",
        id="channels_api.W001",
    )


@register(deploy=True)
def check_debugger(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W003: the debugger is in the URLconf."""
    if django_settings.DEBUG or not getattr(django_settings, "ROOT_URLCONF", None):
        return []
    # Imported when it is used: the schema is not for processes that have no debugger.
    from ..debugger import views

    if views.page not in _callbacks(get_resolver()):
        return []
    return [
        CheckWarning(
            "The debugger is in the URLconf. It answers with 404 while DEBUG is off.",
            hint='Include "channels_api.urls" only `if settings.DEBUG`.',
            id="channels_api.W003",
        )
    ]


def _callbacks(resolver: Any) -> Iterator[Any]:
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            yield from _callbacks(pattern)
        else:
            yield pattern.callback
