"""The debugger at /channels-api/, used as a person does, on both kinds of servers."""

import os
import re
import subprocess
import sys
import uuid

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.demo_servers import DEMO

EVIL = "</script><img src=x onerror=alert(1)>"


#: For what the server has no part in.
ON_ONE_SERVER = pytest.mark.parametrize("demo", ["daphne"], indirect=True)


def unique(text: str) -> str:
    """A text that no other test has: they share a demo."""
    return f"{text} {uuid.uuid4().hex[:8]}"


def ask(demo, method: str, path: str, **json: object) -> httpx.Response:
    """Another client, over HTTP."""
    response = httpx.request(method, f"{demo.http_url}api/{path}", json=json)
    response.raise_for_status()
    return response


def create(demo, text: str) -> dict:
    """A question that another client creates."""
    return ask(demo, "POST", "questions/", question_text=text).json()


@pytest.fixture
def visit(demo, open_window):
    """A function that opens the debugger at an action: `visit("questions/create")`."""

    def open_debugger(action: str = "", **options: object) -> Page:
        page = open_window(f"{demo.http_url}channels-api/#{action}", **options)
        expect(page.locator("#state")).to_have_text("Open")
        return page

    return open_debugger


def send(page: Page, status: int) -> None:
    """Send the request as it stands; the reply has this status."""
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#reply-status")).to_contain_text(str(status))


def subscribe(page: Page) -> None:
    page.get_by_role("button", name="Subscribe, as a live table").click()


def cell(page: Page, text: str):
    """The cell with this text in the table of a subscription."""
    return page.get_by_role("table").get_by_role("cell", name=text, exact=True)


class TestActions:
    def test_creates_through_the_form(self, demo, visit):
        text = unique("through the form")
        page = visit("questions/create")
        page.get_by_role("textbox", name="Question text").fill(text)
        send(page, 201)
        expect(page.locator("#reply")).to_contain_text(f'"question_text": "{text}"')
        found = ask(demo, "GET", f"questions/?search={text}").json()
        assert [row["question_text"] for row in found] == [text]

    def test_marks_an_invalid_field_where_it_is(self, visit):
        page = visit("questions/create")
        field = page.get_by_role("textbox", name="Question text")
        field.fill("x" * 201)
        send(page, 400)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_accessible_description(re.compile("no more than 200 characters"))
        expect(field).to_be_focused()
        assert page.locator("[aria-invalid=true]").count() == 1
        field.fill(unique("shorter"))
        expect(field).not_to_have_attribute("aria-invalid", "true")
        send(page, 201)


@ON_ONE_SERVER
class TestPage:
    def test_lists_streams_and_keeps_the_action_in_the_address(self, visit):
        page = visit()
        streams = page.get_by_role("navigation", name="Streams and their actions")
        headings = streams.get_by_role("heading").all_inner_texts()
        assert headings == ["questions", "choices", "api-questions", "tasks"]
        streams.get_by_role("region", name="choices").get_by_role("link", name="vote").click()
        expect(page.get_by_role("heading", name="choices / vote")).to_be_visible()
        assert page.url.endswith("#choices/vote")

    def test_deep_link(self, visit):
        page = visit("questions/retrieve")
        expect(page.get_by_role("heading", name="questions / retrieve")).to_be_visible()
        page.goto(page.url.replace("retrieve", "dance"))
        expect(page.get_by_role("heading", name="No such action")).to_be_visible()

    def test_raw_json_and_the_form_are_the_same(self, visit):
        page = visit("questions/create")
        raw = page.get_by_role("textbox", name="data, as JSON")
        field = page.get_by_role("textbox", name="Question text")
        raw.fill('{"question_text": "from the JSON"}')
        expect(field).to_have_value("from the JSON")
        field.fill("from the form")
        expect(raw).to_have_value('{\n  "question_text": "from the form"\n}')

    def test_keyboard_alone(self, visit):
        page = visit("questions/list")
        page.keyboard.press("s")
        for key in ("ArrowDown", "ArrowDown", "Enter"):
            page.keyboard.press(key)
        expect(page.get_by_role("heading", name="questions / create")).to_be_visible()
        field = page.get_by_role("textbox", name="Question text")
        for _ in range(60):
            if field.evaluate("field => field === document.activeElement"):
                break
            page.keyboard.press("Tab")
        page.keyboard.type(unique("by keyboard"))
        page.keyboard.press("Control+Enter")
        expect(page.locator("#reply-status")).to_contain_text("201")

    def test_shows_an_error_of_no_field(self, visit):
        page = visit("questions/retrieve")
        page.get_by_role("textbox", name="pk").fill("987654321")
        send(page, 404)
        expect(page.locator("#reply-errors")).to_be_visible()


def with_another_socket(document: dict) -> dict:
    """The schema, as if the tasks were on a socket of their own as well."""
    called = document["operations"]["tasks.retrieve"]
    other = {**called, "x-action": {**called["x-action"], "socket": "other"}}
    document["operations"]["other.tasks.retrieve"] = other
    document["x-sockets"]["other"] = {"address": "/ws/"}
    return document


@ON_ONE_SERVER
def test_a_reply_that_comes_when_another_socket_is_shown(visit):
    page = visit("questions/totals")
    page.route(
        "**/schema.json",
        lambda route: route.fulfill(json=with_another_socket(route.fetch().json())),
    )
    page.reload()
    expect(page.locator("#state")).to_have_text("Open")
    # Before any reply can come: in one go.
    page.evaluate("""() => {
      document.getElementById("send").click();
      const chooser = document.getElementById("socket");
      chooser.value = "other";
      chooser.dispatchEvent(new Event("change"));
    }""")
    expect(page.get_by_role("heading", name="tasks /")).to_be_visible()
    expect(page.get_by_role("list", name="Frames").get_by_role("listitem")).to_have_count(2)
    page.goto(page.url.partition("#")[0] + "#questions/totals")
    expect(page.locator("#reply-status")).to_contain_text("200")


class TestSubscriptions:
    def test_a_row_of_another_client_arrives_and_goes(self, demo, visit):
        page = visit("questions/subscribe")
        subscribe(page)
        text = unique("from elsewhere")
        row = create(demo, text)
        expect(cell(page, text)).to_be_visible()
        ask(demo, "PATCH", f"questions/{row['id']}/", question_text=f"{text} changed")
        expect(cell(page, f"{text} changed")).to_be_visible()
        ask(demo, "DELETE", f"questions/{row['id']}/")
        expect(cell(page, f"{text} changed")).to_have_count(0)

    def test_what_was_missed_without_a_connection_is_recovered(self, demo, visit):
        page = visit("questions/subscribe")
        before = unique("before")
        subscribe(page)
        create(demo, before)
        expect(cell(page, before)).to_be_visible()
        page.get_by_role("button", name="Cut my connection for 10 s").click()
        expect(page.locator("#state")).to_contain_text("Lost")
        missed = unique("missed")
        row = create(demo, missed)
        expect(cell(page, missed)).to_have_count(0)
        page.get_by_role("button", name="Come back now").click()
        recovered = page.get_by_role("region", name="What was missed")
        expect(recovered).to_contain_text("recovered 1 change that you missed")
        expect(recovered).to_contain_text(f"create {row['id']}")
        expect(cell(page, missed)).to_be_visible()
        expect(cell(page, before)).to_be_visible()

    @ON_ONE_SERVER
    def test_comes_back_by_itself_after_ten_seconds(self, demo, visit):
        page = visit("questions/subscribe")
        page.clock.install()
        subscribe(page)
        # Who is cut off before the first reply has nothing to recover.
        before = unique("before")
        create(demo, before)
        expect(cell(page, before)).to_be_visible()
        page.get_by_role("button", name="Cut my connection for 10 s").click()
        recovery = page.get_by_role("region", name="What was missed")
        expect(recovery.get_by_role("timer")).to_have_text(re.compile(r"^\d+ s$"))
        missed = unique("missed")
        create(demo, missed)
        page.clock.fast_forward(10_000)
        expect(recovery).to_contain_text("recovered 1 change that you missed")
        expect(cell(page, missed)).to_be_visible()


WATCH_PROGRESS = """() => {
  window.progress = [];
  const look = () => {
    const bar = document.querySelector("#tasks progress");
    if (bar?.position > 0 && bar.position !== progress.at(-1)) progress.push(bar.position);
  };
  const changes = { subtree: true, childList: true, attributes: true };
  new MutationObserver(look).observe(document.body, changes);
}"""


class TestTasks:
    def test_progress_to_the_end(self, visit):
        page = visit("questions/report")
        page.evaluate(WATCH_PROGRESS)
        send(page, 202)
        task = page.get_by_role("article", name="questions / report")
        expect(task.get_by_role("progressbar")).to_be_visible()
        expect(task).to_contain_text("Done after", timeout=30_000)
        seen = page.evaluate("progress")
        assert len(seen) > 5
        assert seen == sorted(seen)
        expect(task.get_by_role("region", name="The task's result")).to_contain_text('"leaders"')

    def test_cancel(self, visit):
        page = visit("questions/report")
        send(page, 202)
        task = page.get_by_role("article", name="questions / report")
        task.get_by_role("button", name="Cancel").click()
        expect(task).to_contain_text("Cancelled after")
        expect(task.get_by_role("progressbar")).to_be_hidden()


@ON_ONE_SERVER
class TestCopies:
    """They are run: code that does not run is no help."""

    def copy(self, page: Page, name: str) -> str:
        page.get_by_role("button", name=f"Copy as {name}").click()
        expect(page.locator("#snippet-title")).to_contain_text("Copied as")
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
        return page.evaluate("navigator.clipboard.readText()")

    def prepare(self, visit, text: str) -> Page:
        page = visit("questions/create", permissions=["clipboard-read", "clipboard-write"])
        page.get_by_role("textbox", name="Question text").fill(text)
        return page

    def found(self, demo, text: str) -> int:
        return len(ask(demo, "GET", f"questions/?search={text}").json())

    def test_javascript(self, demo, visit):
        text = unique("JavaScript's")
        page = self.prepare(visit, text)
        code = self.copy(page, "JavaScript")
        page.evaluate(f"(async () => {{{code}}})()")
        assert self.found(demo, text) == 1

    def test_python(self, demo, visit):
        text = unique('Python\'s "ü"')
        code = self.copy(self.prepare(visit, text), "Python")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert self.found(demo, text) == 1

    def test_test(self, visit, tmp_path):
        page = self.prepare(visit, unique("the test's"))
        send(page, 201)
        code = self.copy(page, "test")
        (tmp_path / "test_copied.py").write_text(code)
        (tmp_path / "test_wrong.py").write_text(code.replace('_status": 201', '_status": 200'))
        # As a project runs it: with its own settings, and nothing of this suite.
        env = {**os.environ, "DJANGO_SETTINGS_MODULE": "proj.settings", "PYTHONPATH": str(DEMO)}
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb", "no"]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert "FAILED test_wrong.py::test_questions_create" in done.stdout, done.stdout
        assert "1 failed, 1 passed" in done.stdout


@ON_ONE_SERVER
class TestLog:
    def test_shows_each_frame_and_filters_them(self, visit):
        page = visit("questions/totals")
        send(page, 200)
        frames = page.get_by_role("list", name="Frames").get_by_role("listitem")
        expect(frames).to_have_count(2)
        page.get_by_label("Direction").select_option("sent")
        expect(frames).to_have_count(1)
        expect(frames).to_contain_text("totals")
        page.get_by_role("searchbox", name="Filter the log by text").fill("no such text")
        expect(frames).to_have_count(0)
        page.get_by_role("searchbox", name="Filter the log by text").fill("TOTALS")
        expect(frames).to_have_count(1)


@ON_ONE_SERVER
class TestAppearance:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_accessible(self, demo, visit, axe, scheme):
        page = visit("questions/create", color_scheme=scheme)
        axe(page)
        page.get_by_role("textbox", name="Question text").fill("x" * 201)
        send(page, 400)
        page.goto(page.url.replace("create", "subscribe"))
        subscribe(page)
        expect(page.get_by_role("table")).to_be_visible()
        axe(page)

    def test_fits_a_phone(self, demo, visit):
        page = visit("questions/create", viewport={"width": 360, "height": 740})
        page.get_by_role("textbox", name="Question text").fill(unique("W" * 150))
        send(page, 201)
        page.goto(page.url.replace("create", "subscribe"))
        subscribe(page)
        expect(page.get_by_role("table")).to_be_visible()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width == 360


def test_a_row_that_looks_like_markup_runs_nothing(demo, visit):
    row = create(demo, EVIL)
    try:
        page = visit("questions/list")
        send(page, 200)
        expect(page.locator("#reply")).to_contain_text(EVIL)
        page.goto(page.url.replace("list", "subscribe"))
        subscribe(page)
        expect(cell(page, EVIL).first).to_be_visible()
        ask(demo, "PATCH", f"questions/{row['id']}/", question_text=f"{EVIL}!")
        expect(cell(page, f"{EVIL}!")).to_be_visible()
        page.get_by_role("list", name="Frames").locator("summary").first.click()
        expect(page.get_by_role("region", name="The frame")).to_contain_text(f"{EVIL}!")
        assert page.locator("img[src=x]").count() == 0
    finally:
        ask(demo, "DELETE", f"questions/{row['id']}/")
