"""The users as a topic of their own: what they may see changes with them."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import models, router
from django.db.models.signals import m2m_changed, pre_delete

from ..lookups import wire_pk
from .batches import collect
from .changes import topic_of, watch
from .log import Topic
from .rows import all_rows


def watch_users() -> None:
    """Publish the changes of users from now on; nothing happens in a project without any.

    That covers their groups and permissions, and who is in a group that is deleted. What a group
    may do is not a user's row: then any user may have changed.
    """
    model = _user_model()
    if model is None:
        return
    watch(model)
    if apps.is_installed("django.contrib.auth"):
        group, permission = apps.get_model("auth.Group"), apps.get_model("auth.Permission")
        m2m_changed.connect(_rules_changed, sender=group.permissions.through, dispatch_uid=_UID)
        pre_delete.connect(_rules_changed, sender=permission, dispatch_uid=_UID)


_UID = "channels_api.users"


def _rules_changed(using: str, action: str = "", **kwargs: Any) -> None:
    """The permissions of a group have changed, or one is deleted."""
    model = _user_model()
    if model is not None and not action.startswith("pre_"):
        collect(all_rows(model, using), using)


def users_topic() -> Topic | None:
    """The topic of the users, if the project has any."""
    model = _user_model()
    return None if model is None else topic_of(model, router.db_for_write(model))


def user_pk_of(user: Any) -> int | str | None:
    """The pk of a user as the topic has it; None for nobody."""
    return None if user.pk is None else wire_pk(user.pk)


def _user_model() -> type[models.Model] | None:
    try:
        return get_user_model()
    except ImproperlyConfigured:  # django.contrib.auth is not installed
        return None
