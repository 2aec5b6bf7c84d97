"""Numbers that JavaScript would change: shown as they came, and never sent as others."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

BIG = 2**53 + 1
MOUNT_EDITOR = """async schema => {
  const { Editor } = await import("/debugger/editor.js");
  window.editor = new Editor(schema, { resolve: () => undefined });
  document.getElementById("main").replaceChildren(editor.element);
}"""
SHOW_FRAME = """async text => {
  const { FrameLog } = await import("/debugger/log.js");
  const box = document.getElementById("main");
  box.replaceChildren();
  new FrameLog(box).add("in", text);
}"""
SHOW_REPLY = """async text => {
  const { showReply } = await import("/debugger/reply.js");
  const { payload: reply } = JSON.parse(text);
  const shown = showReply({ reply, text, milliseconds: 1 });
  document.getElementById("main").replaceChildren(...shown);
}"""
PRETTY = """async text => {
  const { prettyText } = await import("/debugger/json.js");
  return prettyText(text, "JSON").textContent;
}"""


def frame(data: Any, **more: Any) -> str:
    payload = {"action": "retrieve", "errors": [], "data": data, "response_status": 200, **more}
    return json.dumps({"stream": "questions", "payload": payload}, separators=(",", ":"))


@pytest.mark.parametrize("properties", [{}, {"big": {"type": "integer"}}])
def test_raw_json_that_would_be_rounded_is_not_sent(static_page, properties):
    static_page.evaluate(MOUNT_EDITOR, {"type": "object", "properties": properties})
    raw = static_page.get_by_role("textbox", name="data, as JSON")
    raw.fill(f'{{"big": {BIG}}}')
    assert static_page.evaluate("editor.valid") is False
    expect(raw).to_have_accessible_description(
        f"{BIG} would be rounded by JavaScript: write it in quotes, as text."
    )
    raw.fill(f'{{"big": "{BIG}"}}')
    assert static_page.evaluate("[editor.valid, editor.data.big]") == [True, str(BIG)]


def test_a_frame_in_the_log(static_page: Page):
    static_page.evaluate(SHOW_FRAME, frame({"id": BIG, "price": 1.0}))
    entry = static_page.get_by_role("listitem")
    expect(entry.locator(".preview")).to_have_text(f'{{"id":{BIG},"price":1.0}}')
    entry.locator("summary").click()
    shown = entry.get_by_role("region", name="The frame")
    expect(shown).to_contain_text(f'"id": {BIG},')
    expect(shown).to_contain_text('"price": 1.0\n')


def test_a_reply(static_page: Page):
    static_page.evaluate(SHOW_REPLY, frame({"id": BIG}, request_id=1))
    shown = static_page.get_by_role("region", name="The reply's payload")
    expected = {"action": "retrieve", "errors": [], "data": {"id": BIG}, "response_status": 200}
    assert shown.inner_text() == json.dumps({**expected, "request_id": 1}, indent=2)


@pytest.mark.parametrize(
    "value",
    [
        *([], {}, 5, "x", None, [[]], [{}, []], {"a": {"b": [1, {"c": None}], "d": {}}}),
        *({'{"a": [1,': ']},:{"'}, ["\\", '\\"', "ü", "\n"], {"": -1.5e-7, "__proto__": True}),
    ],
)
def test_is_laid_out_as_ever(static_page: Page, value):
    laid_out = json.dumps(value, indent=2, ensure_ascii=False)
    for text in (json.dumps(value), json.dumps(value, separators=(",", ":")), laid_out):
        assert static_page.evaluate(PRETTY, text) == laid_out


def test_what_is_no_json_is_shown_as_it_is(static_page: Page):
    assert static_page.evaluate(PRETTY, '{"a": [1') == '{"a": [1'
