"""TypeScript types, made of a schema document; tests/browser/test_typescript.py compiles them."""

import json
import re

import pytest

import channels_api
from channels_api.schema.typescript import to_typescript
from tests.servers import ROOT
from tests.types_document import document, operation, polls, stream

CHOICE = {"$ref": "#/components/schemas/Choice"}
LINE_SEPARATOR = "\u2028"


def type_of(schema):
    """What is written for a schema, as a component that is no object."""
    components = {"Choice": {"type": "integer"}, "Wanted": {"type": "array", "items": schema}}
    text = to_typescript(document(components=components))
    return re.search(r"export type Wanted = (.*)\[\];\n\Z", text, re.DOTALL)[1]


def fields_of(properties, **more):
    """The lines of an interface."""
    schema = {"type": "object", "properties": properties, **more}
    text = to_typescript(document(components={"Wanted": schema}))
    lines = text[text.index("export interface Wanted") :].splitlines()
    assert (lines[0], lines[-1]) == ("export interface Wanted {", "}")
    return [line.removeprefix("  ") for line in lines[1:-1]]


def test_the_whole_text_of_a_document():
    expected = (ROOT / "tests/browser/types/polls.ts").read_text()

    assert to_typescript(polls()) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "string"),
        ({"type": "string", "format": "uuid", "maxLength": 3}, "string"),
        ({"type": "integer", "minimum": 0}, "number"),
        ({"type": "number"}, "number"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "null"}, "null"),
        ({"type": ["integer", "null"]}, "(number | null)"),
        ({"type": ["integer", "number"]}, "number"),
        ({}, "unknown"),
        (True, "unknown"),
        (False, "never"),
        ({"type": "strange"}, "unknown"),
        ({"title": "Of which nothing is said"}, "unknown"),
        ({"enum": ["a", 1, 1.5, True, None]}, '("a" | 1 | 1.5 | true | null)'),
        ({"type": ["string", "null"], "enum": ["", None]}, '("" | null)'),
        ({"enum": []}, "never"),
        ({"enum": [[1], {"a": 1}]}, "unknown"),
        ({"const": None}, "null"),
        ({"const": 'a "quoted" \\ word'}, r'"a \"quoted\" \\ word"'),
        ({"const": "größer"}, '"größer"'),
        ({"const": f"a\nline{LINE_SEPARATOR}or two"}, r'"a\nline\u2028or two"'),
        (CHOICE, "Choice"),
        ({"$ref": "#/components/schemas/Missing"}, "unknown"),
        ({"allOf": [CHOICE], "title": "Best"}, "Choice"),
        ({"allOf": [CHOICE, {"type": ["string", "null"]}]}, "(Choice & (string | null))"),
        ({"oneOf": [CHOICE, {"type": "null"}]}, "(Choice | null)"),
        ({"anyOf": [{"type": "string"}, {"type": ["null", "string"]}]}, "(string | null)"),
        ({"anyOf": [{"type": "string"}, {}]}, "unknown"),
        ({"type": "array"}, "unknown[]"),
        ({"items": CHOICE}, "Choice[]"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "(string | null)[]"),
        ({"type": ["array", "null"], "items": CHOICE}, "(Choice[] | null)"),
        ({"type": "array", "items": [CHOICE, {"type": "null"}]}, "[Choice, null]"),
        ({"type": "object"}, "{\n  [key: string]: unknown;\n}"),
        ({"additionalProperties": CHOICE}, "{\n  [key: string]: Choice;\n}"),
        ({"type": "object", "additionalProperties": False}, "{\n  [key: string]: never;\n}"),
        (
            {"properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]},
            "{\n  a: string | null;\n}",
        ),
    ],
)
def test_each_kind_of_schema(schema, expected):
    assert type_of(schema) == expected


def test_fields_are_optional_unless_required_and_quoted_where_they_have_to_be():
    properties = dict.fromkeys(["id", "first-name", "1st", "größe", "$ok", "delete"], CHOICE)

    assert fields_of(properties, required=["id", "1st"]) == [
        "id: unknown;",
        '"first-name"?: unknown;',
        '"1st": unknown;',
        '"größe"?: unknown;',
        "$ok?: unknown;",
        "delete?: unknown;",
    ]


def test_objects_in_objects():
    inner = {"type": "object", "properties": {"b": {"title": "Big", "type": "null"}}}
    properties = {"a": {"type": "array", "items": inner}}

    assert fields_of(properties) == [
        "a?: {",
        "  /** Big */",
        "  b?: null;",
        "}[];",
    ]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        (False, ["a?: string;"]),
        (True, ["a?: string;", "[key: string]: unknown;"]),
        ({"type": "integer"}, ["a?: string;", "[key: string]: unknown;"]),
    ],
)
def test_fields_besides_those_that_are_named(others, expected):
    assert fields_of({"a": {"type": "string"}}, additionalProperties=others) == expected


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({}, []),
        ({"title": "Pub date"}, []),  # it is the name
        ({"title": "Published"}, ["/** Published */"]),
        ({"description": "  When.\n"}, ["/** When. */"]),
        ({"format": "date"}, ["/** @format date */"]),
        (
            {"title": "Day", "description": "When.\n\nOr\tnot.", "default": {"a": "ä"}},
            ["/**", " * Day", " * When.", " *", " * Or\tnot.", ' * @default {"a": "ä"}', " */"],
        ),
        (
            {"enum": [1, 2], "x-enum-labels": ["Low", "High"]},
            ["/**", " * - 1: Low", " * - 2: High", " */"],
        ),
    ],
)
def test_comments(about, expected):
    assert fields_of({"pub_date": about})[:-1] == expected


@pytest.mark.parametrize("text", ["*/ evil(); /*", "**/ evil(); /**", "a *\n/ evil();", "/", "*"])
@pytest.mark.parametrize("key", ["title", "description", "format", "default", "x-enum-labels"])
def test_no_text_of_the_project_ends_its_comment(key, text):
    value = [text] if key == "x-enum-labels" else text
    lines = "\n".join(fields_of({"a": {"enum": [1], key: value}}))

    comment, end, code = lines.partition("*/")
    assert comment.startswith("/**")
    assert (end, code) == ("*/", "\na?: 1;")


def test_docstrings_end_no_comment_either():
    found = {"evil.run": operation("evil", "run", about="*/ evil();", method="GET", standard=False)}
    streams = {"evil": stream("evil", description="*/ evil();")}
    text = to_typescript(document(found, streams, sockets=("ws", "*/evil();")))

    assert re.sub(r"/\*\*.*?\*/", "", text, flags=re.DOTALL).count("evil();") == 0


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Question"], ["Question"]),
        (["Question.Input", "Question_Input"], ["Question_Input", "Question_Input2"]),
        (["2D", "Größe", "a b"], ["_2D", "Größe", "a_b"]),
        # What would be taken for the file's own, or for TypeScript's.
        (["Api", "string", "class", ""], ["Api2", "string2", "class2", "_"]),
        (["Api2", "Api"], ["Api2", "Api3"]),
    ],
)
def test_names_of_components(names, expected):
    text = to_typescript(document(components={name: {"type": "null"} for name in names}))

    assert re.findall(r"export type (\S+) =", text) == expected


def test_names_of_streams_and_sockets():
    streams = {
        "live-votes": stream("live-votes"),
        "live_votes": stream("live_votes"),
        "größe": stream("größe", "ws_room"),
        "ws_room.live-votes": stream("live-votes", "ws_room"),
    }
    components = {"LiveVotesStream": {"type": "object"}}
    text = to_typescript(document((), streams, components, sockets=("ws", "ws_room")))

    assert re.findall(r"export interface (\S+)", text) == [
        "Api",
        "WsRoomApi",
        "LiveVotesStream2",
        "LiveVotesStream3",
        "GrößeStream",
        "WsRoomLiveVotesStream",
        "LiveVotesStream",
    ]


def test_equal_documents_give_equal_texts():
    document = polls()
    for part in ("components", "x-streams"):
        document[part] = json.loads(json.dumps(document[part]))

    assert to_typescript(document) == to_typescript(polls())


def test_the_package_for_npm_has_the_version_of_this_one():
    package = json.loads((ROOT / "channels_api/static/channels_api/package.json").read_text())

    # As npm writes what Python writes 1.0.0.dev0 or 1.0.0rc1.
    version = re.sub(r"\.?([a-z]+)(\d+)$", r"-\1.\2", channels_api.__version__)
    assert package["version"] == version
