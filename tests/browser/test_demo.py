"""The demo's page, as people see it: in windows of a browser, on both kinds of servers."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.browser.demo_servers import DemoServer

HOSTILE = "</script><img src=x onerror=alert(1)>"
LONG = "Word" * 40
PHONE = {"width": 360, "height": 740}

numbers = itertools.count()


@pytest.fixture
def small_demo(demos) -> DemoServer:
    """For what does not depend on the server."""
    return demos("daphne")


class Poll:
    """A poll of this test, made over HTTP; its question is unlike all others."""

    def __init__(self, page: Page, address: str, *choices: str, text: str = "Poll") -> None:
        self.text = f"{text} {next(numbers)}"
        self.question = self._create(page, f"{address}api/questions/", question_text=self.text)
        for choice in choices:
            self._create(page, f"{address}api/choices/", question=self.question, choice_text=choice)

    def _create(self, page: Page, url: str, **data: object) -> int:
        response = page.request.post(url, data=data)
        assert response.status == 201, response.text()
        return response.json()["id"]

    def card(self, page: Page) -> Locator:
        return page.get_by_role("article", name=self.text, exact=True)

    def bar(self, page: Page, choice: str) -> Locator:
        return self.card(page).get_by_role("button", name=f"Vote for {choice}")


class Line:
    """The line of a page to the server, which can be cut and mended."""

    def __init__(self, page: Page) -> None:
        self.is_cut = False
        self.sockets: list[WebSocketRoute] = []
        page.route_web_socket("**/ws/", self._open)

    def _open(self, socket: WebSocketRoute) -> None:
        if self.is_cut:
            socket.close(code=1011)
            return
        socket.connect_to_server()
        self.sockets.append(socket)

    def cut(self) -> None:
        self.is_cut = True
        self.sockets.pop().close(code=1011)

    def mend(self) -> None:
        self.is_cut = False


def expect_bar(bar: Locator, votes: str, share: float) -> None:
    """Both what it says and how long it is, once it has stopped moving."""
    expect(bar).to_contain_text(votes)
    expect(bar).to_contain_text(f"{round(share * 100)} %")
    length = "bar => new DOMMatrix(getComputedStyle(bar, '::before').transform).a"
    bar.page.wait_for_function(
        f"([bar, share]) => Math.abs(({length})(bar) - share) < 0.01",
        arg=[bar.element_handle(), share],
    )


def expect_live(page: Page) -> None:
    expect(page.locator("#state")).to_have_text("Live")


def open_edit(card: Locator) -> None:
    card.get_by_text("Edit", exact=True).click()


def scrolls_sideways(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_vote_moves_the_bars_of_another_window(demo, open_window):
    one, other = open_window(demo.http_url), open_window(demo.http_url)
    poll = Poll(one, demo.http_url, "Tea", "Coffee")
    expect(poll.card(other)).to_contain_text("No votes yet")
    poll.bar(one, "Tea").click()
    for page in (one, other):
        expect_bar(poll.bar(page, "Tea"), "1 vote", 1)
        expect_bar(poll.bar(page, "Coffee"), "0 votes", 0)
        expect(poll.card(page)).to_contain_text("1 vote: “Tea” leads")
    poll.bar(other, "Coffee").press("Enter")
    for page in (one, other):
        expect_bar(poll.bar(page, "Tea"), "1 vote", 0.5)
        expect_bar(poll.bar(page, "Coffee"), "1 vote", 0.5)
        expect(poll.card(page)).to_contain_text("2 votes: 2 choices are tied")


def test_the_report_runs_to_its_end_and_markup_stays_text(demo, open_window):
    page = open_window(demo.http_url)
    poll = Poll(page, demo.http_url, HOSTILE, text=HOSTILE)
    poll.bar(page, HOSTILE).click()
    expect_bar(poll.bar(page, HOSTILE), "1 vote", 1)
    page.get_by_role("button", name="Count the votes").click()
    bar = page.get_by_role("progressbar", name="Report")
    expect(bar).to_be_visible()
    page.wait_for_function("bar => bar.value > 0.4 && bar.value < 1", arg=bar.element_handle())
    expect(page.locator("#report-text")).to_contain_text("Counted at", timeout=30_000)
    expect(bar).to_be_hidden()
    expect(page.locator("#report-leaders dt", has_text=poll.text)).to_have_text(poll.text)
    expect(page.locator("#report-leaders dd").first).to_have_text(f"{HOSTILE}1 vote")
    assert page.locator("main img").count() == 0
    page.request.delete(f"{demo.http_url}api/questions/{poll.question}/")


def test_the_report_is_cancelled(demo, open_window):
    page = open_window(demo.http_url)
    start = page.get_by_role("button", name="Count the votes")
    start.press("Enter")
    expect(page.locator("#report-text")).to_contain_text("Counting")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#report-text")).to_have_text("Cancelled.")
    expect(page.get_by_role("progressbar")).to_be_hidden()
    expect(start).to_be_focused()


def test_what_was_missed_is_told_when_the_connection_is_back(demo, open_window):
    page, other = open_window("about:blank"), open_window(demo.http_url)
    line = Line(page)
    page.goto(demo.http_url)
    poll = Poll(other, demo.http_url, "Tea", "Coffee")
    expect(poll.bar(page, "Coffee")).to_contain_text("0 votes")
    line.cut()
    expect(page.locator("#state")).to_have_text("Offline: reconnecting")
    expect(page.get_by_text("The last results are shown")).to_be_visible()
    # Missed: a vote, and a poll. What is done here meanwhile is sent later.
    poll.bar(other, "Tea").click()
    expect(poll.bar(other, "Tea")).to_contain_text("1 vote")
    missed = Poll(other, demo.http_url, "Yes")
    expect(poll.bar(page, "Tea")).to_contain_text("0 votes")
    poll.bar(page, "Coffee").click()
    line.mend()
    expect_live(page)
    expect(missed.bar(page, "Yes")).to_be_visible()
    for each in (page, other):
        expect_bar(poll.bar(each, "Tea"), "1 vote", 0.5)
        expect_bar(poll.bar(each, "Coffee"), "1 vote", 0.5)
    assert '"recovered":true' in page.locator("#frames").text_content()


def test_a_search_is_live_too(small_demo, open_window):
    page = open_window(small_demo.http_url)
    word = f"needle{next(numbers)}"
    before = Poll(page, small_demo.http_url, "Yes", text=word)
    expect(before.bar(page, "Yes")).to_be_visible()
    page.get_by_role("searchbox").fill(word)
    expect(page.get_by_role("article")).to_have_count(1)
    after = Poll(page, small_demo.http_url, "Yes", text=word)
    Poll(page, small_demo.http_url, "Yes", text="Hay")
    expect(page.get_by_role("article")).to_have_count(2)
    after.bar(page, "Yes").click()
    expect_bar(after.bar(page, "Yes"), "1 vote", 1)
    page.get_by_role("searchbox").fill("no such word")
    expect(page.get_by_text("No poll has these words.")).to_be_visible()


def test_a_poll_is_asked_renamed_and_deleted(small_demo, open_window):
    page = open_window(small_demo.http_url)
    text = f"Poll {next(numbers)}"
    page.get_by_role("button", name="New poll").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Ask it").click()
    expect(dialog.get_by_label("Question")).to_have_accessible_description("What is the question?")
    dialog.get_by_label("Question").fill(text)
    dialog.get_by_label("Choices").fill("\n".join(f"Choice {n}" for n in range(30)))
    dialog.get_by_role("button", name="Ask it").click()
    expect(dialog).to_be_hidden()
    card = page.get_by_role("article", name=text)
    card.get_by_role("button", name="Show all 30 choices").press("Enter")
    expect(card.get_by_role("listitem")).to_have_count(30)
    expect(card.get_by_role("button", name="Vote for Choice 8", exact=False)).to_be_focused()

    open_edit(card)
    card.get_by_role("button", name="Rename").click()
    field = dialog.get_by_label("Question")
    expect(field).to_have_value(text)
    for wrong, sentence in {
        "  ": "This field may not be blank.",
        "x" * 201: "Ensure this field has no more than 200 characters.",
    }.items():
        field.fill(wrong)
        dialog.get_by_role("button", name="Save").click()
        expect(field).to_have_accessible_description(sentence)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_be_focused()
    field.fill(f"{text}, renamed")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    card = page.get_by_role("article", name=f"{text}, renamed")
    card.get_by_role("button", name="Delete").click()
    expect(dialog).to_contain_text(f"{text}, renamed")
    dialog.get_by_role("button", name="Delete").click()
    expect(card).to_be_hidden()


def states(page: Page, poll: Poll) -> Iterator[str]:
    """All that the page can show, one after the other."""
    expect(poll.card(page)).to_be_visible()
    yield "at first"
    open_edit(poll.card(page))
    page.locator("#frames summary").click()
    page.get_by_role("button", name="Count the votes").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    yield "all is open"
    for name in ("Rename", "Delete"):
        poll.card(page).get_by_role("button", name=name).click()
        yield name
        page.keyboard.press("Escape")
    page.get_by_role("button", name="New poll").click()
    page.get_by_role("button", name="Ask it").click()
    yield "an error at a field"


def check_accessibility(page: Page, axe: Callable[[Page], None]) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        axe(page)


def test_the_page_is_accessible_and_fits_a_phone(small_demo, open_window, axe):
    # With reduced motion, so that no colour is looked at while it changes.
    page = open_window("about:blank", reduced_motion="reduce", viewport=PHONE)
    line = Line(page)
    page.goto(small_demo.http_url)
    poll = Poll(page, small_demo.http_url, LONG, "Short", text=LONG)
    poll.bar(page, "Short").click()
    for state in states(page, poll):
        check_accessibility(page, axe)
        assert not scrolls_sideways(page), state
    page.keyboard.press("Escape")
    line.cut()
    expect(page.get_by_text("The last results are shown")).to_be_visible()
    check_accessibility(page, axe)
