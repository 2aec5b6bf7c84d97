"""What the debugger keeps of what was typed."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page

MOUNT = """async ([data, components]) => {
  const { ActionPanel } = await import("/debugger/action.js");
  sessionStorage.clear();
  window.action = { fragment: "#users/update", name: "update", method: "PUT", standard: true };
  Object.assign(action, { stream: { name: "users" }, takesPk: true, detail: true, data });
  const resolve = (ref) => components[ref.split("/").pop()];
  window.panel = new ActionPanel(document.getElementById("main"), { resolve });
  panel.show(action);
}"""
PASSWORD = {"type": "string", "format": "password"}
ACCOUNT = {"type": "object", "properties": {"password": PASSWORD}}
TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "child": {"$ref": "#/components/schemas/Tree"}},
}
COMPONENTS = {"Account": ACCOUNT, "Tree": TREE}


def restored(page: Page, schema: Any, text: str) -> tuple[str, str]:
    """What pk and data are when the action is shown again, after they were typed."""
    page.evaluate(MOUNT, [schema, COMPONENTS])
    page.locator("#pk").fill("5")
    page.locator("#json").fill(text)
    page.evaluate("panel.show(action)")
    return page.locator("#pk").input_value(), page.locator("#json").input_value()


@pytest.mark.parametrize("schema", [{}, {"$ref": "#/components/schemas/Tree"}])
def test_what_was_typed_is_there_again(static_page: Page, schema):
    text = '{"name": "half'
    assert restored(static_page, schema, text) == ("5", text)


@pytest.mark.parametrize(
    "schema",
    [
        ACCOUNT,
        {"$ref": "#/components/schemas/Account"},
        {"properties": {"accounts": {"items": {"$ref": "#/components/schemas/Account"}}}},
        {"properties": {"a": {"anyOf": [{"type": "null"}, PASSWORD]}}},
    ],
)
def test_passwords_are_not_kept(static_page: Page, schema):
    pk, text = restored(static_page, schema, json.dumps({"password": "only for tests"}))
    assert (pk, "only for tests" in text) == ("5", False)
    assert "only for tests" not in static_page.evaluate("JSON.stringify({ ...sessionStorage })")
