"""The debugger's live tables, and the cards of its subscriptions and tasks."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

EVIL = "</script><img src=x onerror=alert(1)>"
MOUNT = """async () => {
  const { LiveTable } = await import("/debugger/live_table.js");
  window.table = new LiveTable("Rows");
  window.rows = new Map();
  document.getElementById("main").replaceChildren(table.element);
}"""
PUT = """([entries, isAnew]) => {
  for (const [key, row] of entries) rows.set(key, row);
  if (isAnew) table.drawAnew(rows);
  else table.draw(rows, new Map(entries.map(([key]) => [key, "update"])));
}"""
DROP = """key => { rows.delete(key); table.draw(rows, new Map([[key, "delete"]])); }"""
TEXTS = "lines => lines.map(line => [...line.cells].map(cell => cell.textContent))"


@pytest.fixture
def put(static_page) -> Callable[..., None]:
    """A function that puts rows, by their keys, into an empty table."""
    static_page.evaluate(MOUNT)

    def change(rows: dict[int, Any], *, anew: bool = False) -> None:
        # As a list of pairs: the keys stay numbers.
        static_page.evaluate(PUT, [[[key, row] for key, row in rows.items()], anew])

    return change


def texts(page: Page) -> list[list[str]]:
    """The cells of all rows that are not just fading out, after those of the head."""
    return page.locator("tr:not(.is-gone)").evaluate_all(TEXTS)


class TestTable:
    def test_shows_values_as_they_are(self, static_page, put):
        nested = [{"a": "x" * 100}]
        put(
            {1: {"id": 1, "text": EVIL, "none": None, "nested": nested, "long": "y" * 300}},
            anew=True,
        )
        short = json.dumps(nested, separators=(",", ":"))[:80]
        assert texts(static_page) == [
            ["id", "text", "none", "nested", "long"],
            ["1", EVIL, "null", f"{short}…", "y" * 200 + "…"],
        ]

    def test_marks_the_cells_that_changed_last(self, static_page, put):
        put({1: {"a": 1, "b": 2}, 2: {"a": 3, "b": 4}}, anew=True)
        marked = static_page.locator(".is-changed")
        put({1: {"a": 1, "b": 5}})
        assert marked.all_text_contents() == ["5"]
        put({2: {"a": 6, "b": 4}})
        assert marked.all_text_contents() == ["6"]
        put({3: {"a": 7, "b": 8}})
        assert marked.all_text_contents() == []
        assert static_page.locator("[data-change=new]").all_text_contents() == ["78"]
        assert texts(static_page) == [["a", "b"], ["7", "8"], ["1", "5"], ["6", "4"]]

    def test_columns_that_come_later(self, static_page, put):
        put({1: {"a": 1}}, anew=True)
        put({2: {"a": 2, "b": 3}})
        put({1: {"b": 4}})
        assert texts(static_page) == [["a", "b"], ["2", "3"], ["", "4"]]
        put({1: "text", 2: "more"}, anew=True)
        assert texts(static_page) == [["value"], ["text"], ["more"]]

    def test_what_changes_is_among_the_rows_that_are_shown(self, static_page, put):
        put({key: {"id": key} for key in range(250)}, anew=True)
        assert [row[0] for row in texts(static_page)] == ["id", *map(str, range(100))]
        expect(static_page.get_by_text("100 of 250 rows")).to_be_visible()
        put({200: {"id": 200}})
        assert [row[0] for row in texts(static_page)] == ["id", "200", *map(str, range(99))]
        static_page.evaluate(DROP, 200)
        assert [row[0] for row in texts(static_page)] == ["id", *map(str, range(100))]
        expect(static_page.locator(".is-gone")).to_have_count(0)

    def test_a_row_that_comes_back_while_it_fades_out(self, static_page, put):
        put({1: {"id": 1}}, anew=True)
        static_page.evaluate(DROP, 1)
        put({1: {"id": 1}})
        assert texts(static_page) == [["id"], ["1"]]
        expect(static_page.locator(".is-gone")).to_have_count(0)
        assert texts(static_page) == [["id"], ["1"]]


@pytest.fixture
def visit(demos, open_window):
    """A function that opens the debugger at an action."""

    def open_debugger(action: str) -> Page:
        page = open_window(f"{demos('daphne').http_url}channels-api/#{action}")
        expect(page.locator("#state")).to_have_text("Open")
        return page

    return open_debugger


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name, exact=True)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


class TestCards:
    def test_subscription(self, demos, visit):
        page = visit("questions/subscribe")
        press(page, "Subscribe, as a live table")
        questions = card(page, "questions")
        expect(questions.get_by_role("status").first).to_have_text("live")
        press(page, "Cut my connection for 10 s")
        expect(questions.get_by_role("status").first).to_have_text("stale")
        url = f"{demos('daphne').http_url}api/questions/"
        row = httpx.post(url, json={"question_text": "missed"}).json()
        press(page, "Come back now")
        expect(questions).to_contain_text(f"1 change missed and told: create {row['id']}.")
        # It came after that, and so it was not missed.
        httpx.delete(f"{url}{row['id']}/").raise_for_status()
        expect(questions).to_contain_text(f"Last change: delete {row['id']}")
        expect(questions).to_contain_text(f"1 change missed and told: create {row['id']}.")
        expect(questions).to_contain_text("2 events")
        questions.get_by_role("button", name="Unsubscribe").click()
        expect(questions.get_by_role("status").first).to_have_text("closed")
        questions.get_by_role("button", name="Remove").press("Enter")
        expect(questions).to_have_count(0)

    def test_subscription_that_is_refused(self, visit):
        page = visit("questions/subscribe")
        page.get_by_role("textbox", name="pk").fill("987654321")
        press(page, "Subscribe, as a live table")
        refused = card(page, "questions 987654321")
        expect(refused.get_by_role("alert")).to_have_text("404: Not found.")
        expect(refused.get_by_role("button", name="Remove")).to_be_visible()

    def test_task(self, visit):
        page = visit("questions/report")
        press(page, "Send")
        report = card(page, "questions / report")
        expect(report).to_contain_text("of 20")
        report.get_by_role("button", name="Cancel").click()
        expect(report).to_contain_text("Cancel: the server took it.")
        expect(report).to_contain_text("Cancelled after")
        states = report.get_by_role("list", name="States of questions / report")
        expect(states.get_by_role("listitem").last).to_contain_text("REVOKED")
        expect(report.get_by_role("progressbar")).to_be_hidden()
        report.get_by_role("button", name="Remove").click()
        expect(report).to_have_count(0)
