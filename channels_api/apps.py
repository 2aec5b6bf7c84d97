"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class ChannelsAPIConfig(AppConfig):
    """Finds the bindings of all apps, so that every process publishes the changes of their rows."""

    name = "channels_api"
    verbose_name = "Channels API"

    def ready(self) -> None:
        """Import `<app>.bindings` of every app, and listen to the models of what is there."""
        from . import checks  # noqa: F401
        from .handover import connect_celery
        from .live.changes import connect_watched
        from .live.sessions import watch_sessions
        from .live.users import watch_users

        autodiscover_modules("bindings")
        watch_users()
        watch_sessions()
        connect_watched()
        connect_celery()
