"""The sessions that have ended as a topic: whoever was logged in by one is not any more."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.signals import user_logged_out
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import DEFAULT_DB_ALIAS, router
from django.db.models.signals import post_delete
from django.utils import timezone
from django.utils.crypto import salted_hmac

from .batches import collect
from .log import Change, Topic
from .operations import DELETE
from .rows import Row

SESSIONS = Topic("channels_api.sessions", DEFAULT_DB_ALIAS)


def watch_sessions() -> None:
    """Publish from now on which sessions of users end.

    That covers logouts, whatever stores the sessions, and each delete of a row where a database
    does: by a flush, by a key that is cycled.
    """
    user_logged_out.connect(_logged_out, dispatch_uid=_UID)
    for model in apps.get_models():
        if issubclass(model, AbstractBaseSession):
            post_delete.connect(_row_deleted, sender=model, dispatch_uid=_UID)


def session_digest(session_key: str) -> str:
    """What the topic calls a session: with its key anybody could act as its user."""
    return salted_hmac(_UID, session_key, algorithm="sha256").hexdigest()[:32]


_UID = "channels_api.sessions"


def _logged_out(request: Any, user: Any, **kwargs: Any) -> None:
    session_key = getattr(getattr(request, "session", None), "session_key", None)
    if user is not None and session_key:
        _publish(session_key, router.db_for_write(user.__class__))


def _row_deleted(instance: AbstractBaseSession, using: str, **kwargs: Any) -> None:
    # Not the many that expired long ago, of which nobody is left.
    if instance.expire_date > timezone.now() and SESSION_KEY in instance.get_decoded():
        _publish(instance.session_key, using)


def _publish(session_key: str, alias: str) -> None:
    collect([Row(SESSIONS, Change(session_digest(session_key), DELETE))], alias)
