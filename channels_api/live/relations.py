"""Rows that change with others: by many-to-many relations, and by the delete of what they refer to.

Django sends no post_save for any of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete

from ..logs import log_sometimes
from ..settings import settings
from .batches import collect
from .operations import CREATE, UPDATE
from .rows import Model, Row, all_rows, are_kin, concrete, key_field, rows_by_key, rows_of, watched

UID = "channels_api"


class Link(NamedTuple):
    """How the rows of `end` are found that refer to a row: `by` and `key` are columns of `table`.

    `table` is that of `end`, or what joins the two.
    """

    end: Model
    table: Model
    by: str
    key: str

    def rows(self, instance: models.Model, alias: str) -> list[Row]:
        """The rows that refer to an instance, as updates."""
        return _read(self.end, self.table, {self.by: instance}, alias, key=self.key)


# By the model that is referred to; what is referred by is watched.
_links: dict[Model, dict[Link, None]] = {}
# By the table that joins the ends, of which one or both are watched.
_fields: dict[Model, dict[Any, None]] = {}


def connect_relations(model: Model) -> None:
    """Listen to what changes the rows of a model without saving them."""
    for field in _many_to_many_fields():
        through = field.remote_field.through
        near, far = _columns(field)
        if any(are_kin(end, model) for end in (_end(near), _end(far), through)):
            _connect_through(field, through)
        # Rows of other tables are deleted with signals.
        if through._meta.auto_created:
            _link_if_kin(model, far, Link(_end(near), through, far.name, f"{near.name}__pk"))
            _link_if_kin(model, near, Link(_end(far), through, near.name, f"{far.name}__pk"))
    for table in apps.get_models():
        for field in table._meta.local_fields:
            if _is_set_by_deletes(field):
                _link_if_kin(model, field, Link(concrete(table), table, field.name, "pk"))


def _many_to_many_fields() -> Iterator[Any]:
    for model in apps.get_models():
        for field in model._meta.local_many_to_many:
            # What was not found is still text. A system check will say so.
            if not isinstance(field.remote_field.through, str):
                yield field


def _columns(field: Any) -> tuple[Any, Any]:
    """The foreign keys of the table between two models: to the one with the field, and back."""
    columns = field.remote_field.through._meta
    return (
        columns.get_field(field.m2m_field_name()),
        columns.get_field(field.m2m_reverse_field_name()),
    )


def _end(column: Any) -> Model:
    return concrete(column.remote_field.model)


def _is_set_by_deletes(field: Any) -> bool:
    """Whether a delete of what a field refers to sets it: SET_NULL, SET_DEFAULT, SET()."""
    on_delete = getattr(field.remote_field, "on_delete", None)
    known = getattr(on_delete, "lazy_sub_objs", False)
    return known and not isinstance(field.remote_field.model, str)


def _connect_through(field: Any, through: Model) -> None:
    _fields.setdefault(through, {})[field] = None
    m2m_changed.connect(_relation_changed, sender=through, dispatch_uid=UID)
    # Django sends none for its own tables, and deletes their rows faster if nobody listens.
    if not through._meta.auto_created:
        post_save.connect(_joined, sender=through, dispatch_uid=f"{UID}.relations")
        post_delete.connect(_joined, sender=through, dispatch_uid=f"{UID}.relations")


def _link_if_kin(model: Model, column: Any, link: Link) -> None:
    """Announce the rows of a link when what `column` refers to is deleted."""
    if not are_kin(link.end, model):
        return
    target = _end(column)
    _links.setdefault(target, {})[link] = None
    # This ends no fast deletes: those who refer to the row have to be looked at anyhow.
    for sender in apps.get_models():
        if concrete(sender) is target:
            pre_delete.connect(_deleting, sender=sender, dispatch_uid=UID)


def _deleting(sender: Model, instance: models.Model, using: str, **kwargs: Any) -> None:
    for link in _links[concrete(sender)]:
        collect(link.rows(instance, using), using)


def _joined(sender: Model, instance: models.Model, using: str, **kwargs: Any) -> None:
    """A row of a project's own table between two models was saved or deleted."""
    for field in _fields[sender]:
        for column in _columns(field):
            collect(_referred(column, [getattr(instance, column.attname)], using), using)


def _relation_changed(
    sender: Model,
    instance: models.Model,
    action: str,
    reverse: bool,
    model: Model,
    pk_set: Collection[Any] | None,
    using: str,
    **kwargs: Any,
) -> None:
    for near, far in _pairs(sender, instance, model, reverse=reverse):
        if action == "pre_clear":
            # While they can be found. They are told when the clear is committed, whose
            # transaction has begun.
            if _is_watched(_end(far)):
                link = Link(_end(far), sender, near.name, f"{far.name}__pk")
                collect(link.rows(instance, using), using)
        elif action == "post_clear":
            collect(rows_of(instance, UPDATE, using), using)
        elif action in ("post_add", "post_remove") and pk_set:
            collect(rows_of(instance, UPDATE, using), using)
            collect(_referred(far, pk_set, using), using)
        if action == "post_add" and pk_set and sender in watched:
            made = {near.name: instance, f"{far.name}__in": pk_set}
            collect(_read(sender, sender, made, using, CREATE), using)


def _pairs(
    through: Model, instance: models.Model, model: Model, *, reverse: bool
) -> Iterator[tuple[Any, Any]]:
    """The columns for an instance and for those that it is joined with."""
    for field in _fields[through]:
        near, far = _columns(field)
        if reverse:
            near, far = far, near
        # Two fields may share a table of the project's own.
        if isinstance(instance, _end(near)) and are_kin(concrete(model), _end(far)):
            yield near, far


def _is_watched(model: Model) -> bool:
    return any(are_kin(model, each) for each in watched)


def _referred(column: Any, values: Collection[Any], alias: str) -> list[Row]:
    """The rows that a foreign key with these values refers to, as updates."""
    model = _end(column)
    if not _is_watched(model):
        return []
    if column.target_field != key_field(model):
        return _read(model, model, {f"{column.target_field.name}__in": values}, alias)
    return rows_by_key(model, values, UPDATE, alias)


def _read(
    model: Model,
    table: Model,
    conditions: dict[str, Any],
    alias: str,
    operation: str = UPDATE,
    key: str = "pk",
) -> list[Row]:
    """The rows of a model by what stands in a table. What can't be read may be any row."""
    try:
        pks = _keys(table, conditions, alias, key)
    except Exception:
        log_sometimes("Rows of %s that changed could not be read", model._meta.label)
        return all_rows(model, alias)
    return rows_by_key(model, pks, operation, alias)


def _keys(table: Model, conditions: dict[str, Any], alias: str, key: str) -> list[Any]:
    found = table._base_manager.using(alias).filter(**conditions)
    return list(found.values_list(key, flat=True)[: settings.HISTORY_SIZE + 1])
