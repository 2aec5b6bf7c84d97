"""Which rows of which topics a change is of: with inheritance, one row stands in several tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.db import models

from ..lookups import wire_pk
from ..settings import settings
from .log import ANYTHING, Change, Topic
from .operations import CREATE, UPDATE

Model = type[models.Model]

# The models whose changes are published, proxies never among them.
watched: set[Model] = set()


class Row(NamedTuple):
    """A change, and where it belongs."""

    topic: Topic
    change: Change


def concrete(model: Model) -> Model:
    """The model that has the table: that of a proxy is the proxied one."""
    return model._meta.concrete_model or model


def topic_of(model: Model, alias: str) -> Topic:
    """The topic of a model's rows; proxies share that of their concrete model."""
    return Topic(concrete(model)._meta.label_lower, alias)


def are_kin(one: Model, other: Model) -> bool:
    """Whether two models may hold parts of the same row: proxies, parents and children."""
    return issubclass(one, other) or issubclass(other, one)


def key_field(model: Model) -> Any:
    """The field of the primary key."""
    return concrete(model)._meta.pk


def rows_of(instance: models.Model, operation: str, alias: str) -> list[Row]:
    """The rows of watched models that an instance is: its own, its parents', its children's."""
    found = [*_own_and_parents(instance)]
    if operation == UPDATE:
        found += _children(instance, alias)
    return [
        Row(topic_of(model, alias), Change(wire_pk(pk), operation))
        for model, pk in found
        if model in watched
    ]


def _own_and_parents(instance: models.Model) -> Iterator[tuple[Model, Any]]:
    for model in {concrete(type(instance)), *instance._meta.get_parent_list()}:
        key = key_field(model)
        pk = getattr(instance, key.attname)
        # A fixture's child does not know its parent's key; the parent stands there as well.
        if pk is not None:
            # As the row has it when it is read, also where it was saved with pk="5".
            yield model, key.to_python(pk)


def _children(instance: models.Model, alias: str) -> Iterator[tuple[Model, Any]]:
    """The rows that may hold an instance as their parent; those that do not exist tell nobody."""
    own = concrete(type(instance))
    pk = key_field(own).to_python(instance.pk)
    for model in watched:
        if model is own or not issubclass(model, own):
            continue
        if _shares_key(model, own):
            yield model, pk
        else:
            # The parent does not know the child's key.
            children = model._base_manager.using(alias).filter(**{key_field(own).name: pk})
            yield from ((model, each) for each in children.values_list("pk", flat=True))


def _shares_key(child: Model, ancestor: Model) -> bool:
    """Whether a child's key is its ancestor's; it may have one of its own, with a link beside."""
    model = child
    while model is not ancestor:
        link = key_field(model).remote_field
        if link is None or not link.parent_link:
            return False
        model = concrete(link.model)
    return True


def rows_by_key(model: Model, pks: Collection[Any], operation: str, alias: str) -> list[Row]:
    """The rows of a model with these keys, and what they are to its parents and children.

    More than a log keeps are all rows. A key that is None belongs to no row.
    """
    own = concrete(model)
    if len(pks) > settings.HISTORY_SIZE:
        return all_rows(own, alias)
    pks = [key_field(own).to_python(pk) for pk in pks if pk is not None]
    found = [Row(topic_of(own, alias), Change(wire_pk(pk), operation)) for pk in pks]
    for parent in own._meta.get_parent_list() if pks else ():
        found += _of_kin(parent, _shares_key(own, parent), pks, operation, alias)
    # A row that was just made has no children. Of others it is only known to the parent whether
    # they were deleted: a child that never was must not be told as one, since who may see the
    # children need not be allowed to know of the parents.
    for child in _children_of(own) if pks and operation != CREATE else ():
        found += _of_kin(child, _shares_key(child, own), pks, UPDATE, alias)
    return found


def _of_kin(
    kin: Model, shares_key: bool, pks: Collection[Any], operation: str, alias: str
) -> list[Row]:
    topic = topic_of(kin, alias)
    if shares_key:
        return [Row(topic, Change(wire_pk(pk), operation)) for pk in pks]
    # The other row may be gone already, and with it the way from one key to the other.
    return [Row(topic, ANYTHING)]


def all_rows(model: Model, alias: str) -> list[Row]:
    """All that may stand in the tables of a model, its parents and its children."""
    own = concrete(model)
    kin = [own, *own._meta.get_parent_list(), *_children_of(own)]
    return [Row(topic_of(each, alias), ANYTHING) for each in kin]


def _children_of(model: Model) -> list[Model]:
    return [
        each
        for each in apps.get_models()
        if each is not model and issubclass(each, model) and not each._meta.proxy
    ]
