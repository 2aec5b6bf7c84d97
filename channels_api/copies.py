"""Copies of what DRF builds anew each time, made from two of its builds."""

from __future__ import annotations

import datetime
import decimal
import re
import sys
import uuid
from collections.abc import Callable, Iterable
from types import NoneType
from typing import Any

from django.db.models import QuerySet
from django.utils.functional import Promise
from rest_framework.fields import ChoiceField, Field, FilePathField
from rest_framework.utils.formatting import lazy_format

VALUES = frozenset({
    *(NoneType, bool, int, float, complex, str, bytes, decimal.Decimal, uuid.UUID),
    *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta),
})  # fmt: skip
# The instances of their classes are no more than their attributes.
PLAIN_MODULES = frozenset({
    *("rest_framework.fields", "rest_framework.relations", "rest_framework.validators"),
    "django.core.validators",
})  # fmt: skip
# What a field's `__init__` iterates over; an iterable of another type may change.
ITERATED = {"choices": (list, tuple, dict), "validators": (list, tuple), "error_messages": (dict,)}


# The order of fields in a class body, and how a validator is written in a migration: of an object
# that was made for an instance nobody asks for them.
RECORDS = frozenset({"_creation_counter", "_constructor_args"})


class CopyError(Exception):
    """Copies of what was built might differ from what is built anew."""


class Blueprint:
    """Makes what two builds have made, again and again.

    What both builds share is shared by all; all else is new in each, with the same references
    among its parts. Raises CopyError for what is of a kind that is not known.
    """

    def __init__(self, first: Any, second: Any) -> None:
        self._parts: list[tuple[Callable[[Any], Any], Any]] = []
        self._items: list[tuple[int, Any, int]] = []
        self._attributes: list[tuple[int, str, int]] = []
        self._seen: dict[int, tuple[int, Any]] = {}
        self._examine(first, second)
        del self._seen

    def make(self) -> Any:
        """One more, as new as any."""
        made = [copy(part) for copy, part in self._parts]
        for owner, key, part in self._items:
            made[owner][key] = made[part]
        for owner, name, part in self._attributes:
            made[owner].__dict__[name] = made[part]
        return made[0]

    def _examine(self, first: Any, second: Any) -> int | None:
        """The index of the part that `first` is, or None where it is shared."""
        if first is second or _is_same_value(first, second):
            return None
        if id(first) in self._seen:
            index, other = self._seen[id(first)]
            if other is not second:
                raise CopyError
            return index
        index = len(self._parts)
        self._seen[id(first)] = index, second
        self._parts.append((_copier(first, second), first))
        self._examine_inside(index, first, second)
        return index

    def _examine_inside(self, index: int, first: Any, second: Any) -> None:
        if isinstance(first, dict):
            self._items += self._links(index, first, second)
        elif isinstance(first, list):
            self._items += self._links(index, dict(enumerate(first)), dict(enumerate(second)))
        elif hasattr(first, "__dict__") and not isinstance(first, QuerySet):
            attributes = [
                {name: value for name, value in vars(each).items() if name not in RECORDS}
                for each in (first, second)
            ]
            self._attributes += self._links(index, *attributes)

    def _links(
        self, index: int, first: dict[Any, Any], second: dict[Any, Any]
    ) -> Iterable[tuple[int, Any, int]]:
        if list(first) != list(second):
            raise CopyError
        parts = [(key, self._examine(value, second[key])) for key, value in first.items()]
        return [(index, key, part) for key, part in parts if part is not None]


def is_defined_by_its_module(cls: type) -> bool:
    """Whether a class is what it is called; one that is made by a call has its maker's module."""
    return getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is cls


def _is_same_value(first: Any, second: Any) -> bool:
    """Whether these are equal and can't be changed."""
    kind = type(first)
    if kind is tuple:
        return (
            type(second) is tuple
            and len(first) == len(second)
            and all(a is b or _is_same_value(a, b) for a, b in zip(first, second, strict=True))
        )
    # A pattern may be a lazy object of Django's, and lazy text asks for the language each time.
    steady = kind in VALUES or isinstance(first, (Promise, re.Pattern))
    return steady and kind is type(second) and bool(first == second)


def _copier(first: Any, second: Any) -> Callable[[Any], Any]:
    kind = type(first)
    if kind is not type(second):
        raise CopyError
    if kind in (dict, list):
        copy: Callable[[Any], Any] = kind.copy
        return copy
    if kind is QuerySet:
        return QuerySet.all
    if kind is lazy_format:
        return _lazy_again
    plain = kind.__module__ in PLAIN_MODULES and is_defined_by_its_module(kind)
    if plain and _is_steady(first):
        return _twin
    raise CopyError


def _is_steady(plain: Any) -> bool:
    """Whether an object is the same each time that it is made with the same arguments."""
    if not isinstance(plain, Field):
        return True
    if isinstance(plain, FilePathField):
        return False  # it looks at the disk
    given: Any = plain
    arguments = dict(given._kwargs)  # noqa: SLF001
    if isinstance(plain, ChoiceField) and given._args:  # noqa: SLF001
        arguments["choices"] = given._args[0]  # noqa: SLF001
    return all(
        type(arguments[name]) in kinds
        for name, kinds in ITERATED.items()
        if arguments.get(name) is not None
    )


def _twin(plain: Any) -> Any:
    twin = object.__new__(type(plain))
    twin.__dict__.update(plain.__dict__)
    return twin


def _lazy_again(text: Any) -> Any:
    # It keeps what it was first made into, in the language of that time.
    return lazy_format(text.format_string, *text.args, **text.kwargs)
