"""Fields that are copied can't be told from fields that DRF has built."""

import gc
from weakref import ref

import pytest
from rest_framework import serializers

from tests.app.models import Question
from tests.built_fields_helpers import assert_alike, fields_of, is_copied, reached, warmed
from tests.built_fields_zoo import BUILT, COPIED, DEEP, Nesting

__all__ = ["is_copied"]  # a fixture


@pytest.mark.parametrize("cls", COPIED, ids=lambda cls: cls.__name__)
class TestCopied:
    def test_it_is(self, cls, is_copied):
        assert is_copied(warmed(cls))

    @pytest.mark.parametrize("many", [False, True])
    def test_nothing_tells_it_from_what_is_built(self, cls, many):
        copied, built = warmed(cls, many=many), cls(many=many)
        for each in (copied, built):
            for field in fields_of(each).values():
                # Those of a nested one, which are lazy.
                _ = getattr(getattr(field, "child", field), "fields", None)
        assert_alike(copied, built)

    def test_nothing_of_it_is_anothers(self, cls):
        copies = warmed(cls), warmed(cls)
        shared = reached(copies[0].fields).keys() & reached(copies[1].fields).keys()
        builds = cls(), cls()
        own = reached(builds[0].fields).keys() & reached(builds[1].fields).keys()
        assert shared == own


@pytest.mark.parametrize(
    ("cls", "name"), [(Nesting, "nested"), (Nesting, "several"), (DEEP, "other")]
)
def test_those_of_a_nested_serializer_are_copied_as_well(cls, name, is_copied):
    for _ in range(3):
        _ = fields_of(warmed(cls).fields[name])
    assert is_copied(warmed(cls).fields[name])


@pytest.mark.parametrize("cls", BUILT, ids=lambda cls: cls.__name__)
def test_what_a_project_has_a_part_in_is_built(cls, is_copied):
    assert not is_copied(warmed(cls))


def test_classes_of_which_nobody_holds_one_are_not_kept():
    def own_class():
        class Own(serializers.ModelSerializer):
            class Meta:
                model = Question
                fields = ("id", "owner")

            def to_representation(self, instance):
                return super().to_representation(instance)  # so that the class's own dict holds it

        return Own

    classes = []
    for _ in range(200):
        cls = own_class()
        warmed(cls)
        classes.append(ref(cls))
    del cls
    gc.collect()
    assert [each() for each in classes if each()] == []
