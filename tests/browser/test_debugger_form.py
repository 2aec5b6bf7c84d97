"""The form of the debugger by itself: schemas of every kind, what it gives back, its errors."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

EVIL = "</script><img src=x onerror=alert(1)>"
MOUNT = """async ([schema, components]) => {
  const { Form } = await import("/debugger/form.js");
  window.inputs = 0;
  window.form = new Form(schema, { resolve: (ref) => components[ref.split("/").pop()] });
  form.onInput = () => (inputs += 1);
  document.getElementById("main").replaceChildren(form.element);
}"""
CHOICE = {
    "type": "object",
    "properties": {
        "choice_text": {"type": "string", "title": "Choice text", "maxLength": 20},
        "votes": {"type": "integer", "title": "Votes", "minimum": 0},
    },
    "required": ["choice_text"],
}
TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "child": {"$ref": "#/components/schemas/Tree"}},
}
LEVEL = {"enum": ["a", "b"], "x-enum-labels": ["Low", "High"]}
COMPONENTS = {"Choice": CHOICE, "Tree": TREE, "Level": LEVEL}
BIG = 2**53 + 1


def mount_on(page: Page, schema: Any) -> Page:
    page.evaluate(MOUNT, [schema, COMPONENTS])
    return page


@pytest.fixture
def mount(static_page) -> Callable[..., Page]:
    """A function that shows the form of an object with these properties."""

    def show(required: Sequence[str] = (), **properties: Any) -> Page:
        schema = {"type": "object", "properties": properties, "required": [*required]}
        return mount_on(static_page, schema)

    return show


def value(page: Page) -> Any:
    """What the form gives, as JSON has it; None for nothing."""
    return json.loads(page.evaluate("JSON.stringify(form.value ?? null)"))


def give(page: Page, data: Any) -> None:
    # As text, so that no driver changes a number.
    page.evaluate("text => { form.value = JSON.parse(text); }", json.dumps(data))


def field(page: Page, name: str) -> Locator:
    return page.locator(f'[name="{name}"]')


def of(schema: dict, *values: Any) -> list:
    return [pytest.param(schema, each, id=f"{json.dumps(schema)[:40]}-{each}") for each in values]


class TestRoundTrip:
    @pytest.mark.parametrize(
        ("schema", "data"),
        [
            *of({"type": "string"}, "x", "", " two\nlines ", EVIL, None, 5, ["x"]),
            *of({"type": "string", "maxLength": 3}, "longer", "two\nlines"),
            *of({"type": "string", "format": "email"}, "a@b.example", "no address", ""),
            *of({"type": "string", "format": "uri"}, "https://a.example/?b=c", "no address"),
            *of({"type": "string", "format": "uuid"}, "0b1c9a3e-1a1a-4c4c-8d8d-0123456789ab"),
            *of({"type": "string", "format": "date"}, "2024-02-29", "2024-02-30", "soon"),
            *of({"type": "string", "format": "time"}, "10:00", "10:00:01", "10:00:00.123456"),
            *of(
                {"type": "string", "format": "date-time"},
                *("2024-05-01T10:00:00Z", "2024-05-01T10:00:00.123456+02:00", "soon"),
                *("2024-05-01T10:00:00", "2024-05-01"),
            ),
            *of({"type": "string", "format": "password"}, "secret"),
            *of({"type": "integer"}, 0, -5, 2**53 - 1, 1.5, "5", str(BIG), 2**53, None),
            *of({"type": "number", "minimum": 1}, 0.1, 1e300, -1, True),
            *of({"type": "boolean"}, True, False, None, "yes"),
            *of({"type": ["boolean", "null"]}, True, False, None),
            *of({"$ref": "#/components/schemas/Level"}, "a", "b", "c", None),
            *of({"enum": [1, "1", None, ""]}, 1, "1", None, ""),
            *of({"type": ["integer", "null"]}, 1, None),
            *of({"oneOf": [LEVEL, {"enum": [""]}, {"enum": [None]}]}, "b", "", None),
            *of({"anyOf": [{"type": "string"}, {"type": "null"}]}, "x", "", None),
            *of({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "x", 1, {"a": [None]}),
            *of({"type": "array", "items": {"type": "string"}}, [], ["", "a"], ["a", None], {}),
            *of({"type": "array", "items": {"type": "array", "items": {}}}, [[1, "a"], []]),
            *of({"type": "array", "uniqueItems": True, "items": LEVEL}, [], ["b"], ["c"]),
            *of({"$ref": "#/components/schemas/Choice"}, {}, {"votes": 1, "more": {"a": 1}}),
            *of({"type": ["object", "null"], "properties": {"a": {}}}, None, {"a": None}, [1]),
            *of({"type": "object", "additionalProperties": {"type": "integer"}}, {}, {"a": 1}),
            *of({"type": "object", "additionalProperties": {}}, {"": 1}, {"__proto__": {"a": 1}}),
            *of({"type": "object", "properties": {}}, {}, {"a": 1}),
            *of({"$ref": "#/components/schemas/Tree"}, {"child": {"child": {"name": "x"}}}),
            *of({}, "x", 5, None, [], {"a": [1, {"b": None}]}, False),
        ],
    )
    def test_gives_back_what_it_was_given(self, static_page, schema, data):
        mount_on(static_page, {"type": "object", "properties": {"a": schema}})
        assert value(static_page) == {}
        give(static_page, {"a": data, "unknown": [1]})
        assert value(static_page) == {"a": data, "unknown": [1]}
        assert static_page.evaluate("form.problems") == []
        give(static_page, {})
        assert value(static_page) == {}
        assert static_page.evaluate("inputs") == 0

    def test_of_the_whole(self, static_page):
        for schema, data in (
            ({}, [1]),
            ({"$ref": "#/components/schemas/Choice"}, {"votes": 1}),
            ({"type": "array", "items": {"type": "integer"}}, [1, 2]),
            (None, {"a": 1}),
        ):
            mount_on(static_page, schema)
            give(static_page, data)
            assert value(static_page) == data


class TestTyping:
    def test_text(self, mount):
        page = mount(["a"], a={"type": "string", "title": "A", "maxLength": 3})
        page.get_by_label("A", exact=True).fill("four")
        assert value(page) == {"a": "four"}
        expect(field(page, "a")).to_have_accessible_description("4 characters, 1 too many.")
        expect(field(page, "a")).to_have_attribute("aria-required", "true")

    def test_text_that_was_emptied_is_sent_until_it_is_left_out(self, mount):
        page = mount(a={"type": "string"}, b={"type": "string", "format": "date"})
        field(page, "a").fill("x")
        field(page, "a").fill("")
        field(page, "b").fill("2024-01-01")
        field(page, "b").fill("")
        assert value(page) == {"a": ""}
        page.get_by_role("button", name="Leave it out").click()
        assert value(page) == {}
        expect(field(page, "a")).to_be_focused()

    def test_number(self, mount):
        page = mount(a={"type": "integer", "maximum": 5}, b={"type": "number"})
        field(page, "a").fill("7")
        field(page, "b").fill("0.25")
        assert value(page) == {"a": 7, "b": 0.25}
        expect(field(page, "a")).to_have_accessible_description(re.compile("less than or equal"))
        field(page, "a").fill("")
        field(page, "b").press_sequentially("e")
        assert value(page) == {}
        assert page.evaluate("form.problems") == [{"b": ["This is not a number."]}]

    def test_integers_that_javascript_would_round(self, mount):
        page = mount(a={"type": "integer"}, b={})
        field(page, "a").fill(str(BIG))
        assert value(page) == {"a": str(BIG)}
        expect(field(page, "a")).to_have_accessible_description(re.compile("sent as text"))
        field(page, "b").fill(f'{{"n": [{BIG}, "{BIG}"]}}')
        assert value(page) == {"a": str(BIG)}
        expect(field(page, "b")).to_have_accessible_description(re.compile("would be rounded"))

    def test_date_time_is_of_this_clock(self, mount):
        instant = {"type": "string", "format": "date-time"}
        page = mount(a=instant, b=instant)
        field(page, "a").fill("2024-05-01T10:00")
        assert value(page) == {"a": "2024-05-01T04:30:00Z"}
        give(page, {"a": "2024-05-01T04:30:00Z", "b": "2024-05-01T10:00:00"})
        expect(field(page, "a")).to_have_value("2024-05-01T10:00")
        field(page, "b").fill("2024-05-01T11:00")
        assert value(page)["b"] == "2024-05-01T11:00"

    def test_choices(self, mount):
        page = mount(
            ["d"],
            a={**LEVEL, "title": "A", "default": "b"},
            b={"type": ["boolean", "null"], "title": "B"},
            c={"type": "array", "uniqueItems": True, "items": LEVEL, "title": "C"},
            d={"type": "boolean", "title": "D"},
        )
        texts = page.get_by_label("A", exact=True).locator("option").all_text_contents()
        assert texts == ["(left out: High)", "Low (a)", "High (b)"]
        assert value(page) == {"d": False}
        page.get_by_label("A", exact=True).select_option("Low (a)")
        page.get_by_label("B", exact=True).select_option("null")
        page.get_by_label("High (b)").check()
        page.get_by_label("D", exact=True).check()
        assert value(page) == {"a": "a", "b": None, "c": ["b"], "d": True}

    def test_null(self, mount):
        page = mount(a={"type": ["string", "null"], "title": "A"})
        page.get_by_label("A is null").check()
        assert value(page) == {"a": None}
        expect(field(page, "a")).to_be_hidden()
        page.get_by_label("A is null").uncheck()
        assert value(page) == {}

    def test_list(self, mount):
        page = mount(a={"type": "array", "items": {"type": "integer"}, "title": "A"})
        assert value(page) == {}
        for number in (1, 2, 3):
            page.get_by_role("button", name="Add to A").click()
            expect(page.get_by_label(f"A {number}", exact=True)).to_be_focused()
            page.keyboard.type(str(number))
        page.get_by_role("button", name="Remove A 2").press("Enter")
        expect(page.get_by_role("button", name="Remove A 2")).to_be_focused()
        assert value(page) == {"a": [1, 3]}
        page.get_by_label("A 1", exact=True).fill("")
        assert value(page) == {"a": [3]}
        page.get_by_role("button", name="Remove A 1").click()
        page.get_by_role("button", name="Remove A 1").click()
        assert value(page) == {"a": []}
        expect(page.get_by_role("button", name="Add to A")).to_be_focused()

    def test_record(self, mount):
        counts = {"type": "object", "additionalProperties": {"type": "integer"}, "title": "A"}
        page = mount(a=counts)
        page.get_by_role("button", name="Add to A").click()
        page.keyboard.type("apples")
        page.get_by_label("Value 1 of A").fill("5")
        assert value(page) == {"a": {"apples": 5}}
        page.get_by_role("button", name="Add to A").click()
        page.keyboard.type("apples")
        page.get_by_label("Value 2 of A").fill("6")
        [problem] = page.evaluate("form.problems")
        assert "twice" in problem["a"][0]
        page.get_by_role("button", name="Remove 1 of A").click()
        assert value(page) == {"a": {"apples": 6}}

    def test_json_that_is_none(self, mount):
        page = mount(a={}, b={"type": "string"})
        field(page, "a").fill('{"a": ')
        assert value(page) == {}
        assert "not JSON" in page.evaluate("form.problems")[0]["a"][0]
        expect(field(page, "a")).to_have_attribute("aria-invalid", "true")
        field(page, "b").focus()
        page.evaluate("form.focusInvalid()")
        expect(field(page, "a")).to_be_focused()
        field(page, "a").fill('{"a": 1}')
        assert value(page) == {"a": {"a": 1}}
        assert page.evaluate("form.problems") == []
        expect(field(page, "a")).not_to_have_attribute("aria-invalid", "true")

    def test_a_value_that_does_not_fit_gives_way_to_the_field(self, mount):
        page = mount(a={"type": "integer", "title": "A"})
        give(page, {"a": ["x"]})
        field(page, "a").fill('["y"]')
        assert value(page) == {"a": ["y"]}
        page.get_by_role("button", name="Use the field instead").click()
        expect(page.get_by_label("A", exact=True)).to_be_focused()
        page.keyboard.type("5")
        assert value(page) == {"a": 5}

    def test_tells_of_input(self, mount):
        page = mount(a={"type": "string"})
        field(page, "a").press("x")
        assert page.evaluate("inputs") == 1

    def test_has_no_field_for_what_is_read_only(self, mount):
        page = mount(a={"type": "string", "readOnly": True}, b={"type": "string"})
        assert page.locator("[name]").evaluate_all("all => all.map(one => one.name)") == ["b"]


class TestErrors:
    def test_each_at_its_field(self, mount):
        choices = {"type": "array", "items": {"$ref": "#/components/schemas/Choice"}}
        page = mount(
            ["text"],
            text={"type": "string", "title": "Text", "description": EVIL},
            choices=choices,
            tags={"type": "array", "items": {"type": "string"}},
            level=LEVEL,
            best={"$ref": "#/components/schemas/Choice"},
        )
        give(page, {"choices": [{}, {"choice_text": "x"}], "tags": ["a", "b"]})
        errors = [
            {"choices": [{}, {"choice_text": ["Too long.", EVIL]}], "nowhere": [{"a": ["Why?"]}]},
            {"level": ["Not one."], "tags": {"1": ["Bad tag."]}, "text": ["Blank."]},
            {"best": {"non_field_errors": ["Not both."]}},
            "A sentence.",
        ]
        page.evaluate("errors => form.showErrors(errors)", errors)
        expect(page.get_by_role("alert")).to_have_text("A sentence. nowhere: 0: a: Why?")
        invalid = page.locator("[aria-invalid=true]").evaluate_all(
            "all => all.map(one => one.name)"
        )
        assert invalid == ["text", "choices.1.choice_text", "tags.1", "level"]
        expect(field(page, "text")).to_be_focused()
        expect(field(page, "text")).to_have_accessible_description(f"{EVIL} Blank.")
        description = f"Too long. {EVIL}"
        expect(field(page, "choices.1.choice_text")).to_have_accessible_description(description)
        expect(field(page, "tags.1")).to_have_accessible_description("Bad tag.")
        best = page.locator('fieldset[data-name="best"]')
        expect(best).to_have_accessible_description("Not both.")

    def test_go_when_the_field_changes_or_all_at_once(self, mount):
        page = mount(a={"type": "string"}, b={"type": "string"})
        page.evaluate('form.showErrors([{"a": ["No."], "b": ["No."]}, "No."])')
        field(page, "a").fill("x")
        expect(field(page, "a")).not_to_have_attribute("aria-invalid", "true")
        expect(field(page, "b")).to_have_attribute("aria-invalid", "true")
        page.evaluate("form.clearErrors()")
        expect(page.locator("[aria-invalid]")).to_have_count(0)
        expect(page.get_by_role("alert")).to_have_text("")

    def test_new_ones_replace_those_before(self, mount):
        page = mount(a={"type": "string"}, b={"type": "string"})
        page.evaluate('form.showErrors([{"a": ["No."]}])')
        page.evaluate('form.showErrors([{"b": ["No."]}])')
        expect(field(page, "b")).to_be_focused()
        assert page.locator("[aria-invalid]").count() == 1

    def test_of_a_field_that_is_null(self, mount):
        page = mount(a={"type": ["string", "null"], "title": "A"})
        give(page, {"a": None})
        page.evaluate('form.showErrors([{"a": ["May not be null."]}])')
        expect(page.get_by_label("A is null")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_and_no_wider_than_a_phone(static_address, open_window, axe, scheme):
    kinds = {
        "text": {"type": "string", "title": EVIL, "description": "Help", "default": "x"},
        "number": {"type": ["integer", "null"], "title": "N" * 80},
        "level": LEVEL,
        "levels": {"type": "array", "uniqueItems": True, "items": LEVEL},
        "choices": {"type": "array", "items": {"$ref": "#/components/schemas/Choice"}},
        "record": {"type": "object", "additionalProperties": {"type": "string"}},
        "date": {"type": "string", "format": "date-time"},
        "any": {},
        "flag": {"type": "boolean"},
        "tree": {"$ref": "#/components/schemas/Tree"},
    }
    options = {"color_scheme": scheme, "viewport": {"width": 360, "height": 700}}
    page = open_window(static_address, **options)
    mount_on(page, {"type": "object", "properties": kinds, "required": ["flag", "text"]})
    give(page, {"choices": [{}], "record": {"k": "v"}, "level": "z", "number": None})
    page.evaluate('form.showErrors([{"text": ["No."], "choices": ["No."]}, "No."])')
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator("img").count() == 0
