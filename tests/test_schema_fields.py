"""Serializers as JSON Schema, by drf-spectacular and by DRF alone: rows, inputs and patches."""

import datetime
import decimal
import sys

import pytest
from django.core.validators import RegexValidator
from django.db import connection, models
from jsonschema import Draft7Validator
from rest_framework import serializers

from channels_api.schema.draft7 import to_draft7
from channels_api.schema.fields import Use
from channels_api.schema.leaves import PlainLeaves, make_leaves
from channels_api.schema.serializers import Components, key_field
from channels_api.schema.spectacular import SpectacularLeaves
from tests.app.models import Document, Follow, Leaf, Node, Note, Question, Tag
from tests.app.serializers import DocumentSerializer, QuestionSerializer

LEAVES = [PlainLeaves, SpectacularLeaves]
TEXT = {"type": "string"}
#: What drf-spectacular adds to what DRF knows.
SPECTACULAR = {
    "decimal": {"pattern": r"^-?\d{0,3}(?:\.\d{0,2})?$"},
    "float": {"format": "double"},
    "hinted": {"type": "integer"},
    "number": {"type": "number", "format": "double"},
}


class ChildSerializer(serializers.Serializer):
    name = serializers.CharField()


class Size(models.TextChoices):
    SMALL = "s", "Small"

    __empty__ = "Any"


class OddField(serializers.Field):
    """Of which nobody knows what it is."""


def nested(suffix, **more):
    return {"$ref": f"#/components/schemas/Child{suffix}", **more}


#: A field, its schema in a row, and what an input has beside that.
FIELDS = {
    "char": (serializers.CharField(max_length=5), {**TEXT, "maxLength": 5}, {"minLength": 1}),
    "blank": (serializers.CharField(allow_blank=True), TEXT, {}),
    "anything_but": (
        serializers.CharField(validators=[RegexValidator("x", inverse_match=True)]),
        TEXT,
        {"minLength": 1},
    ),
    "boolean": (serializers.BooleanField(), {"type": "boolean"}, {}),
    "integer": (
        serializers.IntegerField(min_value=1, max_value=9),
        {"type": "integer", "minimum": 1, "maximum": 9},
        {},
    ),
    "float": (serializers.FloatField(), {"type": "number"}, {}),
    "number": (
        serializers.DecimalField(
            max_digits=None,
            decimal_places=None,
            coerce_to_string=False,
            min_value=decimal.Decimal(1),
        ),
        {"type": "number", "minimum": 1},
        {},
    ),
    "decimal": (
        serializers.DecimalField(max_digits=5, decimal_places=2, max_value=7),
        {**TEXT, "format": "decimal"},
        {},
    ),
    "email": (serializers.EmailField(), {**TEXT, "format": "email"}, {"minLength": 1}),
    "url": (serializers.URLField(), {**TEXT, "format": "uri"}, {"minLength": 1}),
    "uuid": (serializers.UUIDField(), {**TEXT, "format": "uuid"}, {}),
    "date": (serializers.DateField(), {**TEXT, "format": "date"}, {}),
    "moment": (serializers.DateTimeField(), {**TEXT, "format": "date-time"}, {}),
    "time": (serializers.TimeField(), {**TEXT, "format": "time"}, {}),
    "duration": (serializers.DurationField(max_value=datetime.timedelta(1)), TEXT, {}),
    "slug": (
        serializers.SlugField(),
        {**TEXT, "pattern": "^[-a-zA-Z0-9_]+$"},
        {"minLength": 1},
    ),
    "regex": (serializers.RegexField(r"\Ax+\Z"), {**TEXT, "pattern": "^x+$"}, {"minLength": 1}),
    "pythonic": (
        serializers.CharField(validators=[RegexValidator(r"(?P<letter>x)(?P=letter)")]),
        TEXT,
        {"minLength": 1},
    ),
    "ip": (serializers.IPAddressField(), TEXT, {"minLength": 1}),
    "choice": (
        serializers.ChoiceField([("a", "Apple"), ("b", "Bean")], allow_blank=True),
        {**TEXT, "enum": ["a", "b", ""], "x-enum-labels": ["Apple", "Bean", ""]},
        {},
    ),
    "size": (
        serializers.ChoiceField(Size.choices, allow_blank=True),
        {**TEXT, "enum": ["s", ""], "x-enum-labels": ["Small", ""]},
        {},
    ),
    "size_or_null": (
        serializers.ChoiceField(Size.choices, allow_null=True),
        {"type": ["string", "null"], "enum": ["s", None], "x-enum-labels": ["Small"]},
        {},
    ),
    "numbers": (
        serializers.ChoiceField([(1, "One"), (2, "Two")], allow_null=True),
        {"type": ["integer", "null"], "enum": [1, 2, None], "x-enum-labels": ["One", "Two"]},
        {},
    ),
    "several": (
        serializers.MultipleChoiceField(choices=[1, "a"], allow_empty=False),
        {
            "type": "array",
            "items": {"enum": [1, "a"], "x-enum-labels": ["1", "a"]},
            "uniqueItems": True,
        },
        {"minItems": 1},
    ),
    "path": (serializers.FilePathField(__file__.rpartition("/")[0]), TEXT, {}),
    "json": (serializers.JSONField(), {}, {}),
    "null_json": (serializers.JSONField(allow_null=True), {}, {}),
    "list": (serializers.ListField(), {"type": "array", "items": {}}, {}),
    "strings": (
        serializers.ListField(child=serializers.UUIDField(), max_length=3, allow_empty=False),
        {"type": "array", "items": {**TEXT, "format": "uuid"}, "maxItems": 3},
        {"minItems": 1},
    ),
    "dict": (serializers.DictField(), {"type": "object", "additionalProperties": True}, {}),
    "counts": (
        serializers.DictField(child=serializers.IntegerField(allow_null=True)),
        {"type": "object", "additionalProperties": {"type": ["integer", "null"]}},
        {},
    ),
    "null": (
        serializers.DateField(allow_null=True),
        {"type": ["string", "null"], "format": "date"},
        {},
    ),
    "file": (
        serializers.FileField(),
        {"type": ["string", "null"], "format": "uri"},
        {"type": "string", "format": "binary"},
    ),
    "related": (
        serializers.PrimaryKeyRelatedField(queryset=Document.objects.all()),
        {**TEXT, "format": "uuid"},
        {},
    ),
    "tags": (
        serializers.PrimaryKeyRelatedField(
            queryset=Tag.objects.all(), many=True, allow_empty=False
        ),
        {"type": "array", "items": {**TEXT, "maxLength": 50}},
        {"minItems": 1},
    ),
    "by_name": (
        serializers.SlugRelatedField("code", queryset=Node.objects.all(), allow_null=True),
        {"type": ["string", "null"], "maxLength": 50},
        {},
    ),
    "link": (
        serializers.HyperlinkedRelatedField("x", queryset=Tag.objects.all()),
        {**TEXT, "format": "uri"},
        {},
    ),
    "odd": (OddField(), {}, {}),
}


class EverySerializer(serializers.Serializer):
    secret = serializers.CharField(write_only=True, required=False, style={"x": 1})
    hidden = serializers.HiddenField(default=1)
    shown = serializers.StringRelatedField()
    computed = serializers.SerializerMethodField()
    hinted = serializers.SerializerMethodField()
    child = ChildSerializer(allow_null=True)
    children = ChildSerializer(many=True, required=False)
    noted = serializers.IntegerField(label="A label", help_text="A help text", default=3)
    called = serializers.IntegerField(default=lambda: 4)

    def get_computed(self, obj):
        return 1

    def get_hinted(self, obj) -> int:
        return 1


EverySerializer._declared_fields |= {name: field for name, (field, _, _) in FIELDS.items()}  # noqa: SLF001


def describe(serializer, use, leaves=PlainLeaves):
    """All components, and what was warned of."""
    warnings: list[str] = []
    components = Components(leaves(), warnings.append)
    found = components.describe(serializer, use)
    return found, components.schemas, warnings


def label(name):
    return name.replace("_", " ").capitalize()


def typical(leaves, use):
    """The properties of the fields above, as they are expected."""
    found = {}
    for name, (_, row, of_input) in FIELDS.items():
        own = SPECTACULAR.get(name, {}) if leaves is SpectacularLeaves else {}
        more = {} if use is Use.ROW else of_input
        found[name] = {**row, **own, **more, "title": label(name)}
    return found


@pytest.mark.parametrize("leaves", LEAVES)
def test_rows_have_what_is_shown(leaves):
    hint = SPECTACULAR["hinted"] if leaves is SpectacularLeaves else {}
    own = {
        "shown": {**TEXT, "title": "Shown", "readOnly": True},
        "computed": {"title": "Computed", "readOnly": True},
        "hinted": {**hint, "title": "Hinted", "readOnly": True},
        "child": {"anyOf": [nested(""), {"type": "null"}], "title": "Child"},
        "children": {"type": "array", "items": nested(""), "title": "Children"},
        "noted": {"type": "integer", "title": "A label", "description": "A help text"},
        "called": {"type": "integer", "title": "Called"},
    }

    found, schemas, warnings = describe(EverySerializer(), Use.ROW, leaves)

    assert found == {"$ref": "#/components/schemas/Every"}
    assert schemas == {
        "Child": {
            "type": "object",
            "properties": {"name": {**TEXT, "title": "Name"}},
            "required": ["name"],
        },
        "Every": {
            "type": "object",
            "properties": {**own, **typical(leaves, Use.ROW)},
            "required": [*own, *FIELDS],
        },
    }
    assert warnings == []


@pytest.mark.parametrize("leaves", LEAVES)
@pytest.mark.parametrize("use", [Use.INPUT, Use.PATCH])
def test_inputs_have_what_can_be_written_and_patches_need_nothing(leaves, use):
    suffix = use.value
    own = {
        "secret": {**TEXT, "minLength": 1, "title": "Secret", "writeOnly": True},
        "child": {"anyOf": [nested(suffix), {"type": "null"}], "title": "Child"},
        "children": {"type": "array", "items": nested(suffix), "title": "Children"},
        "noted": {"type": "integer", "title": "A label", "description": "A help text"},
        "called": {"type": "integer", "title": "Called"},
    }
    required, inner = {}, {}
    if use is Use.INPUT:
        own["noted"]["default"] = 3
        required, inner = {"required": ["child", *FIELDS]}, {"required": ["name"]}

    _, schemas, warnings = describe(EverySerializer(partial=use is Use.PATCH), use, leaves)

    name = {**TEXT, "minLength": 1, "title": "Name"}
    assert schemas == {
        f"Child{suffix}": {"type": "object", "properties": {"name": name}, **inner},
        f"Every{suffix}": {
            "type": "object",
            "properties": {**own, **typical(leaves, use)},
            **required,
        },
    }
    assert warnings == []


class NoteSerializer(serializers.ModelSerializer):
    team_name = serializers.CharField(source="team.name", read_only=True)
    text_again = serializers.ReadOnlyField(source="text")
    # Of which its declaration does not say that it may be null.
    its_owner = serializers.PrimaryKeyRelatedField(source="owner", read_only=True)

    class Meta:
        model = Note
        fields = [
            *("id", "text", "owner", "readers", "team"),
            *("team_name", "text_again", "its_owner"),
        ]
        read_only_fields = ["owner", "readers"]


class NodeSerializer(serializers.ModelSerializer):
    class Meta:
        model = Node
        fields = ["code", "leaf", "below", "above"]
        read_only_fields = ["leaf", "below"]


class FollowSerializer(serializers.ModelSerializer):
    fan_name = serializers.CharField(source="fan.name", read_only=True)
    fan_above = serializers.CharField(source="fan.above.name", read_only=True)

    class Meta:
        model = Follow
        fields = ["fan_name", "fan_above"]


class LeafySerializer(serializers.ModelSerializer):
    key = serializers.IntegerField(source="leaf.id_of_leaf")
    above_leaf = serializers.CharField(source="leaf.above.name", required=False)
    leaf_above = serializers.IntegerField(source="above.leaf.id_of_leaf", read_only=True)
    its_leaf = NodeSerializer(source="leaf")
    leaf_notes = serializers.PrimaryKeyRelatedField(source="leaf.below", many=True, read_only=True)

    class Meta:
        model = Node
        fields = ["key", "above_leaf", "leaf_above", "its_leaf", "leaf_notes"]


LONE, ABOVE = Node(name="n", code="c"), Node(name="m", code="d")


@pytest.mark.parametrize(
    ("kind", "rows", "required"),
    [
        (NoteSerializer, [], ["id", "text", "owner", "readers", "team", "text_again", "its_owner"]),
        (NodeSerializer, [], ["code", "leaf", "below", "above"]),
        (FollowSerializer, [Follow(fan=LONE), Follow(fan=Node(above=ABOVE))], ["fan_name"]),
        (LeafySerializer, [LONE, Node(above=ABOVE)], ["key", "its_leaf", "leaf_notes"]),
    ],
)
def test_rows_have_what_is_required_and_null_where_it_may_be(kind, rows, required):
    """DRF leaves out what lies behind a key that is null; a missing one-to-one is null."""
    name = kind.__name__.removesuffix("Serializer")
    _, schemas, _ = describe(kind(), Use.ROW)

    assert schemas[name]["required"] == required
    whole = {**schemas[name], "components": {"schemas": schemas}}
    for row in kind(rows, many=True).data:
        assert list(Draft7Validator(whole).iter_errors(row)) == [], row


def test_the_keys_of_relations_are_known_without_a_queryset():
    _, schemas, _ = describe(NoteSerializer(), Use.ROW)

    assert schemas["Note"]["properties"] == {
        "id": {"type": "integer", "title": "ID", "readOnly": True},
        "text": {**TEXT, "maxLength": 50, "title": "Text"},
        "owner": {"type": ["integer", "null"], "title": "Owner", "readOnly": True},
        "readers": {
            "type": "array",
            "items": {"type": "integer"},
            "title": "Readers",
            "readOnly": True,
        },
        "team": {"type": ["integer", "null"], "title": "Team"},
        "team_name": {**TEXT, "title": "Team name", "readOnly": True},
        "text_again": {"title": "Text again", "readOnly": True},
        "its_owner": {"type": ["integer", "null"], "title": "Its owner", "readOnly": True},
    }


def same_name(field):
    return type("ChildSerializer", (serializers.Serializer,), {"name": field})


def test_two_serializers_of_one_name_have_two_names():
    class BothSerializer(serializers.Serializer):
        one = same_name(serializers.IntegerField())()
        two = same_name(serializers.DateField())()
        again = ChildSerializer()
        more = ChildSerializer(many=True)

    _, schemas, _ = describe(BothSerializer(), Use.ROW)

    properties = schemas["Both"]["properties"]
    assert [properties[name]["$ref"].rpartition("/")[2] for name in ("one", "two", "again")] == [
        "Child",
        "Child2",
        "Child3",
    ]
    assert properties["more"]["items"] == {"$ref": "#/components/schemas/Child3"}
    assert set(schemas) == {"Both", "Child", "Child2", "Child3"}


def test_fields_that_depend_on_the_moment_have_a_name_for_each_form():
    class MovingSerializer(serializers.Serializer):
        def get_fields(self):
            return {self.context["name"]: serializers.IntegerField()}

    components = Components(PlainLeaves(), pytest.fail)
    found = [
        components.describe(MovingSerializer(context={"name": name}), Use.INPUT)["$ref"]
        for name in ("a", "b", "a")
    ]

    assert [each.rpartition("/")[2] for each in found] == [
        "MovingInput",
        "Moving2Input",
        "MovingInput",
    ]


def test_a_serializer_that_raises_may_be_anything_and_is_told():
    class NeedySerializer(serializers.Serializer):
        def get_fields(self):
            return {"user": self.context["request"].user}

    class OuterSerializer(serializers.Serializer):
        needy = NeedySerializer()
        items = NeedySerializer(many=True)

    _, schemas, warnings = describe(OuterSerializer(), Use.INPUT)

    assert schemas["OuterInput"]["properties"] == {
        "needy": {"title": "Needy"},
        "items": {"type": "array", "items": {}, "title": "Items"},
    }
    sentence = "NeedySerializer can't be described, and may be anything: KeyError('request')"
    assert warnings == [sentence, sentence]


class WrappingList(serializers.ListSerializer):
    def to_representation(self, data):
        return {"rows": super().to_representation(data)}


class OwnSerializer(serializers.Serializer):
    name = serializers.CharField()

    class Meta:
        list_serializer_class = WrappingList

    def to_representation(self, instance):
        return {"its name": instance.name}


class InheritingSerializer(OwnSerializer):
    more = serializers.CharField()


def test_what_a_project_makes_of_rows_may_be_anything_and_is_told():
    class OuterSerializer(serializers.Serializer):
        own = InheritingSerializer()
        owns = OwnSerializer(many=True)

    _, schemas, warnings = describe(OuterSerializer(), Use.ROW)
    _, inputs, told_of_inputs = describe(InheritingSerializer(), Use.INPUT)

    assert schemas["Outer"]["properties"] == {"own": {"title": "Own"}, "owns": {"title": "Owns"}}
    assert warnings == [
        f"{name} has its own to_representation(): rows may be anything."
        for name in ("InheritingSerializer", "WrappingList")
    ]
    assert (list(inputs["InheritingInput"]["properties"]), told_of_inputs) == (["name", "more"], [])


def test_a_serializer_in_itself_ends():
    class TreeSerializer(serializers.Serializer):
        def get_fields(self):
            return {"child": TreeSerializer()}

    _, schemas, warnings = describe(TreeSerializer(), Use.ROW)

    properties = {"child": {"title": "Child"}}
    assert schemas == {"Tree": {"type": "object", "properties": properties, "required": ["child"]}}
    assert warnings == ["TreeSerializer stands in itself, where it may be anything."]


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        (Question, ["question_text", "id"], "id"),
        (Question, ["question_text", "pk"], "pk"),
        (Question, ["question_text"], None),
        (Tag, ["name"], "name"),
        (Leaf, ["node", "id_of_leaf"], "id_of_leaf"),
    ],
)
def test_the_field_that_holds_the_key(model, fields, expected):
    meta = type("Meta", (), {"model": model, "fields": fields})
    kind = type("RowSerializer", (serializers.ModelSerializer,), {"Meta": meta})

    assert key_field(kind(), model) == expected


def test_what_a_project_says_of_a_field_counts():
    from drf_spectacular.utils import extend_schema_field  # noqa: PLC0415

    @extend_schema_field({"type": "array", "items": {"type": "number", "nullable": True}})
    class PointField(serializers.ListField):
        pass

    class PointSerializer(serializers.Serializer):
        point = PointField()
        child = serializers.SerializerMethodField()

        @extend_schema_field(ChildSerializer)
        def get_child(self, obj):
            return {"name": "x"}

    _, schemas, _ = describe(PointSerializer(), Use.ROW, SpectacularLeaves)

    assert schemas["Point"]["properties"]["point"] == {
        "type": "array",
        "items": {"type": ["number", "null"]},
        "title": "Point",
    }
    assert schemas["Point"]["properties"]["child"]["properties"] == {"name": TEXT}


def test_drf_spectacular_is_used_where_it_is_installed(monkeypatch):
    assert type(make_leaves()) is SpectacularLeaves

    monkeypatch.setitem(sys.modules, "drf_spectacular", None)
    monkeypatch.setattr("channels_api.schema.leaves.find_spec", lambda name: None)

    assert type(make_leaves()) is PlainLeaves


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer", "nullable": True}, {"type": ["integer", "null"]}),
        ({"type": ["integer", "null"]}, {"type": ["integer", "null"]}),
        (
            {"$ref": "#/x", "nullable": True, "description": "A"},
            {"anyOf": [{"$ref": "#/x"}, {"type": "null"}], "description": "A"},
        ),
        (
            {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
            {"type": "integer", "exclusiveMinimum": 1},
        ),
        (
            {"type": "integer", "maximum": 1, "exclusiveMaximum": False},
            {"type": "integer", "maximum": 1},
        ),
        (
            {"type": "number", "minimum": decimal.Decimal("0.5"), "example": 1},
            {"type": "number", "minimum": 0.5},
        ),
        (
            {"properties": {"a": {"items": {"nullable": True, "enum": [1]}}}},
            {"properties": {"a": {"items": {"anyOf": [{"enum": [1]}, {"type": "null"}]}}}},
        ),
        (
            {
                "oneOf": [
                    {"type": "string", "format": "email", "minLength": 1},
                    {"type": "string", "maxLength": 0},
                ],
                "title": "A",
            },
            {"type": "string", "format": "email", "title": "A"},
        ),
    ],
)
def test_openapi_becomes_json_schema(schema, expected):
    assert to_draft7(schema) == expected


def test_drf_serializers_of_the_suite():
    # Of the databases' integers.
    limit, size = {"sqlite": (2**63, {"format": "int64"}), "postgresql": (2**31, {})}[
        connection.vendor
    ]
    components = Components(PlainLeaves(), pytest.fail)
    for kind in (QuestionSerializer, DocumentSerializer):
        components.describe(kind(), Use.INPUT)

    assert components.schemas == {
        "QuestionInput": {
            "type": "object",
            "properties": {
                "question_text": {
                    **TEXT,
                    "maxLength": 200,
                    "minLength": 1,
                    "title": "Question text",
                },
                "votes": {
                    "type": "integer",
                    "minimum": -limit,
                    "maximum": limit - 1,
                    **size,
                    "title": "Votes",
                },
                "published": {"type": "boolean", "title": "Published"},
                "owner": {"type": ["integer", "null"], "title": "Owner"},
            },
            "required": ["question_text"],
        },
        "DocumentInput": {
            "type": "object",
            "properties": {"title": {**TEXT, "maxLength": 200, "minLength": 1, "title": "Title"}},
            "required": ["title"],
        },
    }
