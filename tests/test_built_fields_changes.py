"""Copied fields are what DRF would build now: of this instance, class, model, language, setting."""

import struct
import threading
from collections import OrderedDict, UserDict, deque
from functools import wraps

import pytest
from django.contrib.auth.models import User
from django.core.validators import MaxLengthValidator
from django.db import models
from django.test import override_settings
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy, override
from rest_framework import serializers
from rest_framework.settings import api_settings
from rest_framework.viewsets import ModelViewSet

from channels_api.bindings import ResourceBinding
from channels_api.protocol import RequestFrame
from channels_api.requests import Handshake
from channels_api.viewsets import binding_from_viewset
from tests.app.models import Node, Question
from tests.built_fields_helpers import assert_alike, fields_of, is_copied, warmed
from tests.built_fields_zoo import Every, Other, Owned, Together, of, tenant

__all__ = ["is_copied"]  # a fixture


def told(serializer):
    """The fields, or why there are none."""
    try:
        return dict(serializer.fields)
    except Exception as exc:
        return repr(exc)


def assert_same(copied, built):
    one, other = told(copied), told(built)
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert_alike({**one}, {**other})
    else:
        assert one == other


@pytest.mark.parametrize(("name", "value"), [
    ("Meta", of(Question, "id").Meta),
    ("_declared_fields", {"votes": serializers.CharField()}),
    ("serializer_field_mapping", {}),
    ("get_field_names", lambda declared, info: ["published"]),
    ("build_standard_field", lambda name, field: (serializers.JSONField, {})),
    ("url_field_name", "votes"),
    ("get_fields", lambda: {"a": serializers.JSONField()}),
])  # fmt: skip
def test_what_is_set_on_an_instance(name, value, is_copied):
    cls = of(Question, "votes")
    serializer, built = warmed(cls), cls()
    for each in (serializer, built):
        setattr(each, name, value)
    assert_same(serializer, built)
    assert is_copied(warmed(cls))


@pytest.mark.parametrize("change", [
    lambda cls: setattr(cls.Meta, "fields", ["id"]),
    lambda cls: cls.Meta.fields.append("id"),
    lambda cls: cls.Meta.extra_kwargs["votes"].update(label="new"),
    lambda cls: cls.Meta.extra_kwargs["published"]["style"]["of"].append("new"),
    lambda cls: setattr(cls.Meta, "read_only_fields", ["votes"]),
    lambda cls: setattr(cls, "Meta", of(Question, "id", "kind").Meta),
    lambda cls: cls._declared_fields.update(kind=serializers.CharField()),
    lambda cls: cls._declared_fields["kind"]._kwargs["choices"].append("b"),  # noqa: SLF001
    lambda cls: cls._declared_fields["kinds"]._kwargs["child"]._kwargs["choices"].append("b"),  # noqa: SLF001
    lambda cls: setattr(cls, "get_fields", lambda self: {"a": serializers.CharField()}),
    lambda cls: setattr(cls, "serializer_field_mapping", {}),
    lambda cls: cls.serializer_field_mapping.update(
        {models.IntegerField: serializers.JSONField}),
    lambda cls: setattr(cls.__bases__[0], "serializer_choice_field", serializers.CharField),
])  # fmt: skip
def test_what_changes_in_a_class(change):
    class Base(serializers.ModelSerializer):
        serializer_field_mapping = dict(serializers.ModelSerializer.serializer_field_mapping)

    def child():
        return serializers.ListField(child=serializers.ChoiceField(choices=["a"]))

    cls = of(
        Question, "votes", "published", "kind", "kinds",
        extra_kwargs={"votes": {}, "published": {"style": {"of": []}}}, bases=(Base,),
        declared={"kind": serializers.ChoiceField(choices=["a"]), "kinds": child()},
    )  # fmt: skip
    copied = warmed(cls)
    change(cls)
    assert_same(copied, cls())
    assert_same(warmed(cls), cls())


@pytest.mark.parametrize(("model", "name", "attribute", "value"), [
    (Every, "char", "blank", False),
    (Every, "char", "choices", [("a", "b")]),
    (Every, "small", "choices", None),
    (Every, "text", "validators", []),
    (Every, "other", "help_text", "new"),
    (Every, "slug", "error_messages", {"unique": "new"}),
])  # fmt: skip
def test_what_changes_in_a_model(model, name, attribute, value, monkeypatch):
    cls = of(model, name)
    copied = warmed(cls)
    monkeypatch.setattr(model._meta.get_field(name), attribute, value)
    assert_same(copied, cls())
    assert_same(warmed(cls), cls())


def test_what_changes_in_a_relation(monkeypatch):
    cls = of(Every, "other")
    copied = warmed(cls)
    field = Every._meta.get_field("other")
    monkeypatch.setattr(field.remote_field, "limit_choices_to", {"name": "b"})
    assert_same(copied, cls())


@pytest.mark.parametrize(
    "name", ["plain", "limited", "limited_by_q", "several", "conditional", "unique"]
)
def test_rows_that_a_manager_finds_for_each_user(name):
    cls = of(Owned, name)
    for user in ("a", "b", "a"):
        token = tenant.set(user)
        try:
            assert_same(warmed(cls), cls())
        finally:
            tenant.reset(token)


def test_a_constraint_that_is_added(monkeypatch):
    cls = of(Together)
    copied = warmed(cls)
    monkeypatch.setattr(Together._meta, "unique_together", [("two", "title")])
    assert_same(copied, cls())


def test_a_condition_that_is_added():
    cls = of(Together, "two", "title")
    copied = warmed(cls)
    constraint = models.UniqueConstraint(fields=["title"], name="added")
    Together._meta.constraints.append(constraint)
    try:
        assert_same(copied, cls())
    finally:
        Together._meta.constraints.remove(constraint)


def test_a_setting_that_is_set_in_place(monkeypatch):
    cls = of(Question, "owner")
    copied = warmed(cls)
    monkeypatch.setattr(api_settings, "HTML_SELECT_CUTOFF", 5)
    assert_same(copied, cls())


def test_a_field_and_a_manager_that_are_added():
    cls = of(Other)
    copied = warmed(cls)
    Other.add_to_class("further", models.IntegerField(default=1))
    assert "further" in copied.fields
    assert "further" in warmed(cls).fields
    copied = warmed(cls)
    manager = models.Manager()
    manager.creation_counter = -1
    Other.add_to_class("first", manager)
    (validator,) = [each for each in copied["name"].validators if hasattr(each, "queryset")]
    assert validator.queryset is Other._default_manager  # noqa: SLF001


@pytest.mark.parametrize(
    "cls",
    [
        of(User, "username"),
        of(User, "first_name"),
        of(Every, "slug"),
        of(Together, "title"),
    ],
)
def test_each_language_has_its_text(cls):
    for language in ("en", "de", "fr", "en", "de", "pl"):
        with override(language):
            assert_same(warmed(cls), cls())


def test_a_message_that_was_made_in_one_language_is_made_again():
    cls = of(Node, "name")

    def message():
        serializer = warmed(cls, data={"name": "x" * 51})
        assert not serializer.is_valid()
        return str(serializer.errors["name"][0])

    with override("de"):
        german = message()
    assert german.startswith("Stelle sicher")
    assert message().startswith("Ensure")


@pytest.mark.parametrize("name", ["HTML_SELECT_CUTOFF", "URL_FIELD_NAME"])
def test_settings(name):
    cls = of(Question, "owner")
    _ = warmed(cls).fields
    with override_settings(REST_FRAMEWORK={name: "7"}):
        copied, built = warmed(cls), cls()
        assert_same(copied, built)
        assert copied.url_field_name == built.url_field_name


def write_catalogue(path, texts):
    """A catalogue of gettext's, in its binary form."""
    ids, texts = zip(*sorted({"": "Content-Type: text/plain; charset=utf-8\n", **texts}.items()),
                     strict=True)  # fmt: skip
    table, data = b"", b""
    start = 28 + 16 * len(ids)
    for text in (*ids, *texts):
        table += struct.pack("<2I", len(text.encode()), start + len(data))
        data += text.encode() + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(ids), 28, 28 + 8 * len(ids), 0, 0)
    path.parent.mkdir(parents=True)
    path.write_bytes(head + table + data)


def test_translations_that_are_others(tmp_path):
    cls, text = of(User, "username"), "A user with that username already exists."
    write_catalogue(tmp_path / "de/LC_MESSAGES/django.mo", {text: "Vergeben."})
    with override("de"):
        _ = warmed(cls).fields
    with override_settings(LOCALE_PATHS=[tmp_path]), override("de"):
        copied = warmed(cls)
        assert_same(copied, cls())
        assert "Vergeben." in [
            getattr(each, "message", "") for each in copied["username"].validators
        ]


class Deciding(serializers.ModelSerializer):
    """Has the fields that its context names, by a well-known way of doing it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name in set(self.fields) - set(self.context["names"]):
            self.fields.pop(name)

    class Meta:
        model = Question
        fields = ("id", "question_text", "votes")


class MetaChanging(serializers.ModelSerializer):
    """Sets its Meta for each instance, by another."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.Meta.fields = kwargs["context"]["names"]

    class Meta:
        model = Question


class OwnGetFields(serializers.ModelSerializer):
    """Has a method of its own, for each instance."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        names = self.context["names"]
        self.get_fields = lambda: {name: serializers.JSONField() for name in names}

    class Meta:
        model = Question
        fields = ()


@pytest.mark.parametrize("cls", [Deciding, MetaChanging, OwnGetFields])
def test_fields_of_a_context(cls):
    for names in (["id"], ["votes"], ["id", "votes"]) * 60:
        serializer = warmed(cls, context={"names": names})
        assert list(serializer.fields) == names


@pytest.mark.parametrize("declared", [
    serializers.ChoiceField,
    lambda choices: serializers.ChoiceField(choices=choices),
    lambda choices: serializers.ListField(child=serializers.ChoiceField(choices)),
])  # fmt: skip
def test_choices_that_are_asked_for_each_time(declared):
    known = ["a"]
    cls = of(Question, "kind", declared={"kind": declared(lazy(lambda: known[:], list)())})
    copied = warmed(cls)
    known.append("b")
    assert_same(copied, cls())


def test_what_bindings_and_mounted_viewsets_give_is_copied(is_copied):
    class Binding(ResourceBinding):
        serializer_class = of(Question)
        queryset = Question.objects.all()

    class ViewSet(ModelViewSet):
        serializer_class = of(Question)
        queryset = Question.objects.all()

    mounted = binding_from_viewset(ViewSet)
    for binding_class in (Binding, mounted):
        for many in (False, True):
            handshake = Handshake({"type": "websocket", "headers": [], "path": "/"})
            binding = binding_class(handshake, RequestFrame("s", "list"))
            binding.initial()
            for _ in range(3):
                serializer = getattr(binding, "view", binding).get_serializer(many=many)
                _ = fields_of(serializer)
            assert is_copied(getattr(binding, "view", binding).get_serializer(many=many))
    assert not is_copied(ViewSet(request=None, format_kwarg=None).get_serializer())


class OwnList(list):
    """A list of a project's own."""


@pytest.mark.parametrize(("options", "change"), [
    ({"extra_kwargs": OrderedDict(votes={"label": "a"})},
     lambda meta: meta.extra_kwargs["votes"].update(label="b")),
    ({"extra_kwargs": {"votes": OrderedDict(label="a")}},
     lambda meta: meta.extra_kwargs["votes"].update(label="b")),
    ({"fields": OwnList(["id", "votes"])}, lambda meta: meta.fields.remove("id")),
    ({"read_only_fields": OwnList()}, lambda meta: meta.read_only_fields.append("votes")),
    ({"extra_kwargs": UserDict(votes={"label": "a"})},
     lambda meta: meta.extra_kwargs["votes"].update(label="b")),
    ({"extra_kwargs": {"votes": {"style": {"a": deque()}}}},
     lambda meta: meta.extra_kwargs["votes"]["style"]["a"].append("b")),
])  # fmt: skip
def test_containers_of_other_types_that_change_in_place(options, change):
    cls = of(Question, "id", "votes", **options)
    copied = warmed(cls)
    change(cls.Meta)
    assert_same(copied, cls())


def test_an_argument_of_another_type_that_changes_in_place(is_copied):
    style = OrderedDict()
    cls = of(Question, "votes", declared={"votes": serializers.IntegerField(style=style)})
    copied = warmed(cls)
    style["a"] = "b"
    assert_same(copied, cls())
    assert is_copied(warmed(cls))


def test_options_that_are_asked_for_each_time():
    labels = ["a"]
    cls = of(Question, "votes", extra_kwargs={"votes": lazy(lambda: {"label": labels[0]}, dict)()})
    copied = warmed(cls)
    labels[0] = "b"
    assert_same(copied, cls())


@pytest.mark.parametrize("base", [serializers.ModelSerializer, serializers.Serializer])
@pytest.mark.parametrize("early", [True, False])
def test_a_method_of_drf_that_a_project_has_replaced(base, early, monkeypatch):
    name = "get_fields" if base is serializers.Serializer else "build_standard_field"
    original, labels, cls = getattr(base, name), ["a"], of(Question, "votes")
    cls = cls if name != "get_fields" else type("Own", (base,), {"votes": serializers.CharField()})

    @wraps(original)
    def replacement(self, *args):
        made = original(self, *args)
        if name == "get_fields":
            made["votes"].label = labels[0]
        else:
            made[1]["label"] = labels[0]
        return made

    if not early:
        _ = warmed(cls).fields
    monkeypatch.setattr(base, name, replacement)
    copied = warmed(cls)
    labels[0] = "b"
    assert_same(copied, cls())


def test_what_one_instance_does_to_its_fields_no_other_sees():
    cls = of(Question, "question_text", "votes", "owner", extra_kwargs={"votes": {"style": {}}})
    first, fields = warmed(cls), warmed(cls).fields
    text = fields["question_text"]
    text.validators.append(MaxLengthValidator(1))
    text.validators[0].limit_value = 0
    text.error_messages["blank"] = gettext_lazy("No")
    fields["votes"].style["a"] = 1
    fields["votes"]._kwargs["label"] = "x"  # noqa: SLF001
    fields["owner"].queryset = User.objects.none()
    fields.pop("votes")
    assert_same(first, cls())
    assert_same(warmed(cls), cls())


def test_rows_that_were_read_are_not_kept(db):
    cls = of(Question, "to", declared={"to": serializers.PrimaryKeyRelatedField(
        queryset=User.objects.all(), source="owner")})  # fmt: skip
    assert not list(warmed(cls).fields["to"].queryset)
    User.objects.create(username="new")
    assert len(list(warmed(cls).fields["to"].queryset)) == 1


def test_what_is_valid_and_how_it_is_told(db):
    User.objects.create(username="taken")
    cls = of(User, "username", "email", "password", "groups")
    for data in (
        {}, [], {"username": "taken"}, {"username": "x" * 200, "email": "x"},
        {"username": "a b", "password": "\0", "groups": [1]}, {"username": None},
        {"username": "new", "password": "p", "groups": []},
    ):  # fmt: skip
        for options in ({}, {"partial": True}, {"instance": User.objects.get()}):
            copied, built = warmed(cls, data=data, **options), cls(data=data, **options)
            assert copied.is_valid() is built.is_valid()
            assert (copied.errors, copied.validated_data) == (built.errors, built.validated_data)


def test_threads_have_fields_of_their_own():
    cls, barrier, found = of(Every), threading.Barrier(8), []

    def work():
        barrier.wait()
        for _ in range(20):
            serializer = warmed(cls)
            found.append({id(field): field.parent is serializer for field in
                          serializer.fields.values()})  # fmt: skip
            found.append(serializer)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    owned = found[::2]
    assert all(all(each.values()) for each in owned)
    assert len(set().union(*owned)) == sum(map(len, owned)) == 8 * 20 * len(owned[0])
