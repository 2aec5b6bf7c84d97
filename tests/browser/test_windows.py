"""The infrastructure of these tests, tried on itself: if something here fails, look here first."""

import pytest

from tests.browser.windows import Watch, find_faults

ADDRESS = "http://127.0.0.1/"
POLICY = "default-src 'self'; connect-src *; img-src *"
BAD_PAGES = {
    "console: oops": ("<script src=/bad.js></script>", "console.error('oops')"),
    "uncaught: oops": ("<script src=/bad.js></script>", "throw new Error('oops')"),
    "dialog: 1": ("<script src=/bad.js></script>", "alert(1)"),
    "request to another machine: http://localhost/a.png": ("<img src=http://localhost/a.png>", ""),
    "request to another machine: ws://localhost/": (
        "<script src=/bad.js></script>",
        "new WebSocket('ws://localhost/')",
    ),
    "console: Executing inline event handler": ("<img src=x onerror=alert(1)>", ""),
    "console: Executing inline script": ("<script>alert(1)</script>", ""),
    "console: Failed to load resource": ("<script src=/missing.js></script>", ""),
}


def serve(context, html: str, script: str = "") -> None:
    """Answer the requests of a context, so that they need no server."""

    def answer(route) -> None:
        path = route.request.url.rpartition("/")[2]
        if path == "":
            headers = {"Content-Security-Policy": POLICY, "Content-Type": "text/html"}
            route.fulfill(body=f"<!doctype html><title>T</title>{html}", headers=headers)
        elif path == "bad.js":
            route.fulfill(body=script, content_type="text/javascript")
        else:
            route.fulfill(status=404)

    context.route("**/*", answer)


@pytest.mark.parametrize("problem", BAD_PAGES)
def test_watch_sees(browser, problem):
    watch = Watch()
    with browser.new_context() as context:
        watch.follow(context)
        serve(context, *BAD_PAGES[problem])
        page = context.new_page()
        page.goto(ADDRESS)
        # The browser tells of some of it after the page has been loaded.
        for _ in range(500):
            if found(watch, problem):
                break
            page.wait_for_timeout(20)
    assert found(watch, problem), watch.problems


def found(watch: Watch, problem: str) -> bool:
    return any(each.startswith(problem) for each in watch.problems)


def test_watch_is_silent_on_a_good_page(browser):
    watch = Watch()
    with browser.new_context() as context:
        watch.follow(context)
        serve(context, "<script src=/bad.js></script>", "console.log('fine')")
        context.new_page().goto(ADDRESS)
    assert watch.problems == []


def test_axe_finds_a_fault(browser, node):
    with browser.new_context() as context:
        serve(context, "<html lang=en><main><h1>T</h1><input></main>")
        page = context.new_page()
        page.goto(ADDRESS)
        faults = find_faults(page)
    assert [fault.partition(":")[0] for fault in faults] == ["critical label"]


def test_node_is_new_enough_and_has_its_packages(node):
    done = node.run_node("--input-type=module", "--eval", "import 'ws'; console.log('fine')")
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr
