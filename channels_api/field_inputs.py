"""What the fields of a serializer are built from, and whether it is as it was."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from operator import is_
from types import MappingProxyType
from typing import Any

from django.core.files.storage import DefaultStorage
from django.db.models import AutoField, Model, UniqueConstraint
from django.utils.functional import Promise
from rest_framework.fields import Field
from rest_framework.serializers import ModelSerializer
from rest_framework.settings import api_settings
from rest_framework.utils.model_meta import get_field_info

from .copies import CopyError, is_defined_by_its_module

DRF = "rest_framework."
SETTINGS = ("URL_FIELD_NAME", "HTML_SELECT_CUTOFF", "HTML_SELECT_CUTOFF_TEXT")


class Inputs:
    """What the fields of a serializer are built from, and what it was then."""

    def __init__(self, serializer: Any, fields: Mapping[str, Any]) -> None:
        declared = serializer._declared_fields  # noqa: SLF001
        # The declared fields of which it would be seen that their arguments change.
        self.seen = {name: field for name, field in declared.items() if _is_seen(field)}
        # Compared as a whole: there may be hundreds of values.
        self._containers = list(_containers(serializer))
        for field in self.seen.values():
            self._containers += _arguments(field)
        self._models: list[Any] = []
        self.speak = False
        if isinstance(serializer, ModelSerializer):
            self._add_model(serializer.Meta.model, fields)
        self._contents = [_contents(each) for each in self._containers]
        self._objects = self._shared_objects()

    def are_the_same(self) -> bool:
        return self._containers == self._contents and all(
            map(is_, self._shared_objects(), self._objects)
        )

    def _shared_objects(self) -> list[Any]:
        objects = [getattr(api_settings, name) for name in SETTINGS]
        for options in self._models:
            # Django makes them anew whenever a field, a relation or a manager was added.
            objects += options.fields, options.related_objects, options.default_manager
            objects.append(options.unique_together)
        return objects

    def _add_model(self, model: type[Model], fields: Mapping[str, Any]) -> None:
        info = get_field_info(model)
        sources = {field.source or name for name, field in fields.items()}
        relations = [info.relations[source] for source in sources if source in info.relations]
        models = {model, *model._meta.parents, *(each.related_model for each in relations)}
        self._models = [each._meta for each in models]
        self._containers += [options.constraints for options in self._models]
        model_fields = [each.model_field for each in relations if each.model_field]
        model_fields += [info.fields_and_pk[name] for name in sources if name in info.fields_and_pk]
        constrained = any(options.constraints for options in self._models)
        self.speak = constrained or any(map(_speaks, model_fields))
        for field in model_fields:
            _check_model_field(field)
            self._containers += [vars(each) for each in (field, field.remote_field) if each]


def _check_model_field(field: Any) -> None:
    """Raise CopyError for a field of a model that may not be the same each time."""
    # DRF then asks the manager for rows as it builds; those may be one user's, or of that moment.
    asked = _is_unique_on_condition(field) or getattr(field.remote_field, "limit_choices_to", None)
    if asked or not type(field).__module__.startswith("django.db.models."):
        raise CopyError


def _is_unique_on_condition(field: Any) -> bool:
    return any(
        each.condition is not None and set(each.fields) == {field.name}
        for each in field.model._meta.constraints
        if isinstance(each, UniqueConstraint)
    )


def _speaks(field: Any) -> bool:
    """Whether what DRF builds of a model's field depends on the language of that time."""
    # It looks at the name's text, and puts names into the message of a UniqueValidator.
    validated = field.unique and field.editable and not isinstance(field, AutoField)
    return validated or isinstance(field.verbose_name, Promise)


def _containers(serializer: Any) -> Iterator[Any]:
    # DRF's as well, whose methods a project may replace; but Field counts its instances.
    yield from (vars(each) for each in type(serializer).__mro__[:-1] if each is not Field)
    for each in _own_classes(getattr(serializer, "Meta", object)):
        yield vars(each)
        yield from vars(each).values()
    yield getattr(serializer, "serializer_field_mapping", {})
    yield serializer._declared_fields  # noqa: SLF001


def _own_classes(cls: type) -> list[type]:
    """The classes that `cls` is made of, but DRF's and Python's."""
    return [each for each in cls.__mro__ if not is_of_drf(each)]


def is_of_drf(cls: type) -> bool:
    return cls is object or (cls.__module__.startswith(DRF) and is_defined_by_its_module(cls))


def _arguments(field: Any) -> Iterator[Any]:
    arguments = field._args, field._kwargs  # noqa: SLF001
    if any(arguments):
        yield arguments
    for value in arguments[1].values():
        if isinstance(value, Field):
            yield from _arguments(value)


def _is_seen(field: Any) -> bool:
    try:
        _contents(list(_arguments(field)))
    except CopyError:
        return False
    return True


def _contents(container: Any) -> Any:
    """A copy of a container and of those in it, to compare it with; of a class's, of it alone.

    Raises CopyError for one of a type that is not known.
    """
    kind = type(container)
    if kind is MappingProxyType:
        return dict(container)
    if kind is dict:
        return {key: _contents(value) for key, value in container.items()}
    if kind in (list, set):
        return kind(map(_contents, container))
    if issubclass(kind, tuple):
        return tuple(map(_contents, container))
    if issubclass(kind, Collection) and not _is_unchanging(kind):
        raise CopyError
    return container


def _is_unchanging(kind: type) -> bool:
    is_text = hasattr(kind, "encode")  # lazy, it may be
    return is_text or kind in (bytes, frozenset, DefaultStorage)
