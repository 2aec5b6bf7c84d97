"""The fields of serializers: built by DRF for each class, and copied for each instance.

A serializer is made for each frame, and builds its fields anew; for a ModelSerializer that takes
ten times as long as to show a row. `copy_fields` has it copy them instead, where that can't be told
from building: where DRF's own code builds them, of classes and models that are as they were then.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from types import FunctionType
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary

from django.core.signals import setting_changed
from django.utils.translation import get_language
from rest_framework.serializers import (
    BaseSerializer,
    ListSerializer,
    ModelSerializer,
    Serializer,
)

from .copies import Blueprint, CopyError
from .field_inputs import DRF, Inputs, is_of_drf

# What runs when the fields are there; all else that a ModelSerializer has may be asked for them.
LATER = frozenset({
    *("create", "update", "get_validators", "_get_constraint_violation_error_message"),
    *("get_unique_together_validators", "get_unique_for_date_validators"),
})  # fmt: skip
BUILDING = frozenset({"Meta", "_declared_fields", "__getattribute__"}) | {
    name for name in vars(ModelSerializer) if not name.startswith("__") and name not in LATER
}
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
        self._inputs = Inputs(serializer, first)
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
    return is_code and not (is_of_drf(owner) and _is_function_of_drf(value))


def _is_function_of_drf(value: Any) -> bool:
    # A project may have replaced it; by what `__module__` says, a wrapper of a function is that.
    return type(value) is FunctionType and value.__globals__["__name__"].startswith(DRF)


def _fits(first: Any, second: Any) -> bool:
    try:
        Blueprint(first, second)
    except CopyError:
        return False
    return True
