"""Whether fields can be told apart, and who made them."""

import datetime
import re
from contextlib import suppress
from types import FunctionType

import pytest
from django.db.models import QuerySet
from django.utils.functional import Promise
from rest_framework import serializers

from channels_api.built_fields import copy_fields

VALUES = (str, bytes, int, float, type(None), type, re.Pattern, Promise, datetime.timedelta)
# The order of class bodies; what migrations write.
RECORDS = ("_creation_counter", "_constructor_args")


def warmed(cls, **kwargs):
    """A serializer of a class that others were made of."""
    for _ in range(3):
        with suppress(Exception):  # a class may have none
            _ = fields_of(copy_fields(cls(**kwargs)))
    return copy_fields(cls(**kwargs))


def fields_of(serializer):
    return getattr(serializer, "child", serializer).fields


@pytest.fixture
def is_copied(monkeypatch):
    """Whether a serializer's fields are copied: DRF is not asked to build them."""
    asked = []
    for base in (serializers.Serializer, serializers.ModelSerializer):

        def get_fields(self, original=base.get_fields):
            asked.append(self)
            return original(self)

        # As a function of DRF's, since what is a project's own is another matter.
        asking = FunctionType(
            get_fields.__code__, vars(serializers), "get_fields", get_fields.__defaults__,
            get_fields.__closure__,
        )  # fmt: skip
        monkeypatch.setattr(base, "get_fields", asking)

    def ask(serializer):
        _ = fields_of(serializer)
        return not any(getattr(serializer, "child", serializer) is each for each in asked)

    return ask


def parts(value):
    """What a value holds, by name."""
    if type(value) is dict:
        return value
    if type(value) in (list, tuple):
        return dict(enumerate(value))
    if isinstance(value, (*VALUES, QuerySet)):
        return {}
    slots = {name: getattr(value, name) for name in getattr(type(value), "__slots__", ())}
    attributes = {**slots, **getattr(value, "__dict__", {})}
    return {key: part for key, part in attributes.items() if key not in RECORDS}


def is_of_the_field(value):
    module = type(value).__module__
    return (
        type(value) in (dict, list, tuple)
        or isinstance(value, (serializers.Field, QuerySet))
        or module in ("rest_framework.utils.serializer_helpers", "rest_framework.validators")
        or module in ("rest_framework.fields", "rest_framework.utils.formatting", __name__)
        or module == "django.core.validators"
    )


def assert_alike(copied, built):
    """The same graph: values, types, references."""
    pending, met = [("", copied, built)], {}
    while pending:
        path, one, other = pending.pop()
        if one is other:
            continue
        depth_made = type(one).__name__ == "NestedSerializer"
        assert type(one) is type(other) or depth_made, path
        if id(one) in met and type(one) is not tuple:
            assert met[id(one)] is other, path
            continue
        if isinstance(one, QuerySet):
            assert str(one.query) == str(other.query), path
        elif not is_of_the_field(one):
            assert one == other, path
            continue
        met[id(one)] = other
        ones, others = parts(one), parts(other)
        assert list(ones) == list(others), path
        pending += [(f"{path}.{key}", ones[key], others[key]) for key in ones]


def reached(value):
    """All that can be changed and belongs to the fields, by id."""
    pending, met = [value], {}
    while pending:
        one = pending.pop()
        if id(one) not in met and is_of_the_field(one) and type(one) is not tuple:
            met[id(one)] = one
            pending += parts(one).values()
    return met
