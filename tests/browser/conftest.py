"""Fixtures of the tests with Node and with pages in Chromium.

Tests that use a page are plain functions with Playwright's sync API: it needs no loop from
pytest-asyncio, and a failure's stack ends in the test. While its browser is open, Playwright's own
event loop counts as running in this thread. So no test of such a file may be `async` or ask for the
database: it sees rows as people do, on pages and over HTTP. And so the browser is closed after each
file, before other tests run in this process.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.demo_servers import DemoServer, start_demo
from tests.browser.node_tools import Node, find_node, install_modules
from tests.browser.static_pages import serve_static
from tests.browser.windows import Watch, find_faults
from tests.plugin import require_program
from tests.servers import find_program

#: Milliseconds that a page may take for whatever a test waits for.
PATIENCE = 20_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def node() -> Node:
    """Node, with the packages of package.json installed: `node.run_node("script.js")`."""
    path = find_node()
    install_modules(path)
    return Node(path)


@pytest.fixture(scope="session")
def demos() -> Iterator[Callable[[str], DemoServer]]:
    """A function that gives a running demo; each kind is started once."""
    running: dict[str, DemoServer] = {}
    with ExitStack() as servers:

        def get(kind: str) -> DemoServer:
            if kind not in running:
                running[kind] = start_demo(kind, servers)
            return running[kind]

        yield get


@pytest.fixture(params=["daphne", "uvicorn"])
def demo(request, demos) -> DemoServer:
    """The demo on the embedded default, then on uvicorn with Redis and a worker."""
    return demos(request.param)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require_program("chromium")
    # Chromium's sandbox refuses to start for root, who runs the tests in containers.
    options = {"executable_path": find_program("chromium"), "args": ["--no-sandbox"]}
    with sync_playwright() as playwright, playwright.chromium.launch(**options) as chromium:
        yield chromium


@pytest.fixture
def watch() -> Watch:
    """What the pages of this test did wrong; a test removes from `problems` what it provoked."""
    return Watch()


@pytest.fixture
def open_window(browser, watch) -> Iterator[Callable[..., Page]]:
    """A function that opens a window, with its own cookies, at an address.

    It takes the options of Playwright's `new_context`: `color_scheme`, `viewport`...
    After the test, `watch.problems` has to be empty.
    """
    with ExitStack() as contexts:

        def get(url: str, **options: object) -> Page:
            context = contexts.enter_context(browser.new_context(**options))
            context.set_default_timeout(PATIENCE)
            watch.follow(context)
            page = context.new_page()
            page.goto(url)
            return page

        yield get
    assert watch.problems == []


@pytest.fixture(scope="module")
def static_address() -> Iterator[str]:
    """The address of a page with nothing but the debugger's static files."""
    with serve_static() as address:
        yield address


@pytest.fixture(scope="module")
def static_page(static_address, browser) -> Iterator[Page]:
    """That page, one for all tests of a file: to open it takes longer than what they do."""
    watch = Watch()
    with browser.new_context(timezone_id="Asia/Kolkata") as context:
        context.set_default_timeout(PATIENCE)
        watch.follow(context)
        page = context.new_page()
        page.goto(static_address)
        yield page
    assert watch.problems == []


@pytest.fixture(scope="session")
def axe(node) -> Callable[[Page], None]:
    """A function that fails with what axe-core calls serious or critical on a page."""

    def check(page: Page) -> None:
        faults = find_faults(page)
        assert not faults, "\n\n".join(faults)

    return check
