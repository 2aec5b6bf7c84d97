"""Model signals to log entries: published when the transaction commits, never failing the save."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import models
from django.db.models.signals import post_delete, post_save

from .batches import collect, publish
from .operations import CREATE, DELETE, UPDATE
from .relations import connect_relations
from .rows import Model, are_kin, concrete, rows_of, topic_of, watched

__all__ = ["connect_watched", "publish", "topic_of", "watch"]


def watch(model: Model) -> None:
    """Publish the changes of a model's rows from now on; again for the same model is nothing.

    A model that a binding is for is watched already. This is for one whose changes only other
    processes show, in a process that does not import their bindings.
    """
    own = concrete(model)
    if own not in watched:
        watched.add(own)
        if apps.models_ready:
            _connect(own)


def connect_watched() -> None:
    """Listen to what was watched before all models were there."""
    for model in watched:
        _connect(model)


def _connect(model: Model) -> None:
    # Saves through proxies and multi-table children send their own class as the signal's sender,
    # so these are listened to as well. Not the signals of all senders: a listener for all would
    # end Django's fast deletes for every model of the project.
    for sender in apps.get_models(include_auto_created=True):
        if are_kin(sender, model):
            post_save.connect(_saved, sender=sender, dispatch_uid="channels_api")
            post_delete.connect(_deleted, sender=sender, dispatch_uid="channels_api")
    connect_relations(model)


def _saved(instance: models.Model, created: bool, using: str, **kwargs: Any) -> None:
    collect(rows_of(instance, CREATE if created else UPDATE, using), using)


def _deleted(instance: models.Model, using: str, **kwargs: Any) -> None:
    collect(rows_of(instance, DELETE, using), using)
