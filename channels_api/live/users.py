"""The users as a topic of their own: what they may see changes with them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import router

from ..lookups import wire_pk
from .changes import topic_of, watch
from .log import Topic


def watch_users() -> None:
    """Publish the changes of users from now on; nothing happens in a project without any."""
    model = _user_model()
    if model is not None:
        watch(model)


def users_topic() -> Topic | None:
    """The topic of the users, if the project has any."""
    model = _user_model()
    return None if model is None else topic_of(model, router.db_for_write(model))


def user_pk_of(user: Any) -> int | str | None:
    """The pk of a user as the topic has it; None for nobody."""
    return None if user.pk is None else wire_pk(user.pk)


def _user_model() -> Any:
    try:
        return get_user_model()
    except ImproperlyConfigured:  # django.contrib.auth is not installed
        return None
