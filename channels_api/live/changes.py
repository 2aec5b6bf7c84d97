"""Model signals to log entries: written when the transaction commits, never failing the save."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import connections, models, transaction
from django.db.models.signals import post_delete, post_save

from ..logs import log_sometimes
from ..lookups import wire_pk
from . import bell, hub
from .log import Change, Hint, Topic, get_log
from .operations import CREATE, DELETE, UPDATE, merge

_watched: set[type[models.Model]] = set()


def topic_of(model: type[models.Model], alias: str) -> Topic:
    """The topic of a model's rows; proxies share that of their concrete model."""
    return Topic(_concrete(model)._meta.label_lower, alias)


def watch(model: type[models.Model]) -> None:
    """Publish the changes of a model's rows from now on; again for the same model is nothing.

    Saves through proxies and multi-table children send their own class as the signal's sender, so
    these are listened to as well. Not the signals of all senders: a listener for all would end
    Django's fast deletes for every model of the project.
    """
    concrete = _concrete(model)
    if concrete not in _watched:
        _watched.add(concrete)
        if apps.models_ready:
            _connect(concrete)


def connect_watched() -> None:
    """Listen to what was watched before all models were there."""
    for model in _watched:
        _connect(model)


def _concrete(model: type[models.Model]) -> type[models.Model]:
    return model._meta.concrete_model or model


def _connect(model: type[models.Model]) -> None:
    for sender in apps.get_models(include_auto_created=True):
        # Its proxies and children, and the parents whose tables hold a part of its rows.
        if issubclass(sender, model) or issubclass(model, sender):
            post_save.connect(_saved, sender=sender, dispatch_uid="channels_api")
            post_delete.connect(_deleted, sender=sender, dispatch_uid="channels_api")


def _saved(instance: models.Model, created: bool, using: str, **kwargs: Any) -> None:
    _collect(instance, CREATE if created else UPDATE, using)


def _deleted(instance: models.Model, using: str, **kwargs: Any) -> None:
    _collect(instance, DELETE, using)


def _collect(instance: models.Model, operation: str, alias: str) -> None:
    rows = [
        (topic_of(model, alias), wire_pk(pk), operation) for model, pk in _watched_rows(instance)
    ]
    if operation == UPDATE:
        rows += [(topic_of(model, alias), wire_pk(pk), UPDATE) for model, pk in _children(instance)]
    batch = _open_batch(alias)
    if batch is not None:
        batch.add(rows)
        return
    try:
        # With its rows in it: outside a transaction on_commit calls it at once.
        transaction.on_commit(_Batch(rows), using=alias, robust=True)
    except transaction.TransactionManagementError:
        # Autocommit is off, so Django does not know when the row is committed.
        log_sometimes("Changes made without autocommit are not told to subscribers")


def _watched_rows(instance: models.Model) -> Iterator[tuple[type[models.Model], Any]]:
    """The rows that an instance is: its own, and with multi-table inheritance its parents'."""
    for model in {_concrete(type(instance)), *instance._meta.get_parent_list()}:
        key = model._meta.pk
        if model not in _watched or key is None:
            continue
        pk = getattr(instance, key.attname)
        # A fixture's child does not know its parent's key; the parent stands there as well.
        if pk is not None:
            # As the row has it when it is read, also where it was saved with pk="5".
            yield model, key.to_python(pk)


def _children(instance: models.Model) -> Iterator[tuple[type[models.Model], Any]]:
    """The rows that may hold an instance as their parent; those that do not exist tell nobody."""
    own = _concrete(type(instance))
    for model in _watched:
        if model is own or not issubclass(model, own):
            continue
        # Else the child has a key of its own, which the parent does not know.
        if model._meta.get_ancestor_link(own) is model._meta.pk:
            yield model, own._meta.pk.to_python(instance.pk)


class _Batch:
    """The changes of one transaction, or of one savepoint in it; an on_commit callback."""

    def __init__(self, rows: list[tuple[Topic, int | str, str]]) -> None:
        self._changes: dict[Topic, dict[int | str, str]] = {}
        self.add(rows)

    def add(self, rows: list[tuple[Topic, int | str, str]]) -> None:
        for topic, pk, operation in rows:
            changes = self._changes.setdefault(topic, {})
            changes[pk] = merge(changes.get(pk), operation)

    def __call__(self) -> None:
        for topic, rows in self._changes.items():
            publish(topic, [Change(pk, operation) for pk, operation in rows.items()])


def _open_batch(alias: str) -> _Batch | None:
    """The batch that will be committed, or rolled back, together with what happens now."""
    connection = connections[alias]
    if connection.in_atomic_block and connection.run_on_commit:
        savepoints, callback, *_ = connection.run_on_commit[-1]
        # None stands for an atomic block without a savepoint, such as that of each delete: it is
        # rolled back with the block around it.
        now = {*connection.savepoint_ids, None}
        if isinstance(callback, _Batch) and {*savepoints, None} == now:
            return callback
    return None


def publish(topic: Topic, changes: list[Change]) -> None:
    """Log the changes and ring; a failure is logged, since the rows are committed by now."""
    try:
        get_log().publish(topic, changes, _ring)
    except Exception:
        log_sometimes("Changes of %s could not be published", topic.model)


def _ring(hints: list[Hint]) -> None:
    hub.ring(hints)
    bell.ring(hints)
