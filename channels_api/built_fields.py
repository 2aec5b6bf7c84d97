"""The fields of serializers: built by DRF for each class, and copied for each instance.

A serializer is made for each frame, and builds its fields anew; for a ModelSerializer that takes
ten times as long as to show a row. `copy_fields` has it copy them instead, where that can't be told
from building: where DRF's own code builds them, of classes and models that are as they were then.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from operator import is_
from types import FunctionType, MappingProxyType
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary

from django.core.files.storage import DefaultStorage
from django.core.signals import setting_changed
from django.db.models import AutoField, Model, UniqueConstraint
from django.utils.functional import Promise
from django.utils.translation import get_language
from rest_framework.fields import Field
from rest_framework.serializers import (
    BaseSerializer,
    ListSerializer,
    ModelSerializer,
    Serializer,
)
from rest_framework.settings import api_settings
from rest_framework.utils.model_meta import get_field_info

from .copies import Blueprint, CopyError, is_defined_by_its_module

# What runs when the fields are there; all else that a ModelSerializer has may be asked for them.
LATER = frozenset({
    *("create", "update", "get_validators", "_get_constraint_violation_error_message"),
    *("get_unique_together_validators", "get_unique_for_date_validators"),
})  # fmt: skip
BUILDING = frozenset({"Meta", "_declared_fields", "__getattribute__"}) | {
    name for name in vars(ModelSerializer) if not name.startswith("__") and name not in LATER
}
DRF = "rest_framework."
SETTINGS = ("URL_FIELD_NAME", "HTML_SELECT_CUTOFF", "HTML_SELECT_CUTOFF_TEXT")
# The times that a class is examined: of one that changes all the time nothing can be kept.
MOST_EXAMINATIONS = 100


def copy_fields(serializer: Any) -> Any:
    """`serializer` itself, which will copy its fields from earlier ones where it may."""
    target = serializer.child if isinstance(serializer, ListSerializer) else serializer
    if isinstance(target, Serializer) and "get_fields" not in vars(target):
        # Not at once: what they are made of may change until they are asked for.
        vars(target)["get_fields"] = partial(_fields, target)
    return serializer


def _fields(serializer: Any) -> dict[str, Any]:
    vars(serializer).pop("get_fields", None)
    ordinary = BUILDING.isdisjoint(vars(serializer))
    source = _kept_of(type(serializer)).source(serializer) if ordinary else None
    return _built(serializer) if source is None else source.fields(serializer)


def _built(serializer: Any) -> dict[str, Any]:
    fields: dict[str, Any] = serializer.get_fields()
    return fields


class _Kept:
    """What is kept of a serializer class."""

    def __init__(self) -> None:
        # By language, where that matters.
        self._sources: dict[str | None, _Source] = {}
        self._speaks = False
        self._examinations = 0

    def source(self, serializer: Any) -> _Source | None:
        """What the fields may be copied from; None where DRF has to build them."""
        language = get_language() if self._speaks else None
        source = self._sources.get(language)
        if source is None or not source.is_current():
            source = self._examine(serializer)
        return source

    def _examine(self, serializer: Any) -> _Source | None:
        self._examinations += 1
        # Not at first: some projects make a class for each request.
        if not 1 < self._examinations <= MOST_EXAMINATIONS:
            return None
        try:
            source = _Source(serializer)
        except Exception:  # DRF will raise it again, if it is the serializer's
            self._examinations = MOST_EXAMINATIONS
            return None
        self._speaks = self._speaks or source.speaks
        self._sources[get_language() if self._speaks else None] = source
        return source


_kept: WeakKeyDictionary[type, ReferenceType[_Kept]] = WeakKeyDictionary()


def _kept_of(cls: Any) -> _Kept:
    reference = _kept.get(cls)
    kept = reference() if reference else None
    if kept is None:
        # Held by the class alone: it refers to the class, and they must be able to go together.
        kept = cls._channels_api_kept = _Kept()
        _kept[cls] = ReferenceType(kept)
    return kept


def _forget(**_: Any) -> None:
    _kept.clear()


setting_changed.connect(_forget)


class _Source:
    """The fields of a serializer class, to be copied as long as `is_current`."""

    def __init__(self, serializer: Any) -> None:
        _check_class(type(serializer))
        before = dict(vars(serializer))
        first = _built(serializer)
        # Between the two builds: what another thread changes meanwhile makes them differ.
        self._inputs = _Inputs(serializer, first)
        second = _built(serializer)
        self._set = {key: value for key, value in vars(serializer).items() if key not in before}
        self._names = list(first)
        declared = serializer._declared_fields  # noqa: SLF001
        # DRF makes these by deepcopy, which is right for any class of a project's own.
        self._deep = {
            name: declared[name]
            for name in first
            if name in declared
            and not (name in self._inputs.seen and _fits(first[name], second[name]))
        }
        # Of `depth`: their classes are made anew each time, alike.
        self._deep |= {
            name: field
            for name, field in first.items()
            if name not in declared and isinstance(field, BaseSerializer)
        }
        self._blueprint = Blueprint(*map(self._plain, (first, second)))
        self._blueprint.make()  # that it can't must be known now

    def _plain(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {name: field for name, field in fields.items() if name not in self._deep}

    @property
    def speaks(self) -> bool:
        """Whether there may be text in it of the language that it was built in."""
        return self._inputs.speak

    def is_current(self) -> bool:
        """Whether all that the fields were built from is as it was."""
        return self._inputs.are_the_same()

    def fields(self, serializer: Any) -> dict[str, Any]:
        """Fields for a serializer, as if DRF had built them for it."""
        vars(serializer).update(self._set)
        made: dict[str, Any] = self._blueprint.make()
        if not self._deep:
            return made
        made |= copy.deepcopy(self._deep)
        return {
            name: copy_fields(made[name]) if name in self._deep else made[name]
            for name in self._names
        }


def _check_class(cls: type) -> None:
    """Raise CopyError for a class where a project's own code has a part in the building."""
    for name in BUILDING:
        owner = next((each for each in cls.__mro__ if name in vars(each)), object)
        if owner is not object and _is_own_code(owner, vars(owner)[name]):
            raise CopyError
    meta = getattr(cls, "Meta", None)
    if meta is not None and type(meta) is not type:
        raise CopyError


def _is_own_code(owner: type, value: Any) -> bool:
    is_code = hasattr(value, "__get__") or (callable(value) and not isinstance(value, type))
    return is_code and not (_is_of_drf(owner) and _is_function_of_drf(value))


def _is_function_of_drf(value: Any) -> bool:
    # A project may have replaced it; by what `__module__` says, a wrapper of a function is that.
    return type(value) is FunctionType and value.__globals__["__name__"].startswith(DRF)


def _fits(first: Any, second: Any) -> bool:
    try:
        Blueprint(first, second)
    except CopyError:
        return False
    return True


class _Inputs:
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
    return [each for each in cls.__mro__ if not _is_of_drf(each)]


def _is_of_drf(cls: type) -> bool:
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
