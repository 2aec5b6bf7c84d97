"""Windows of a browser that notice what no page may do, and axe-core's look at a page."""

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request, WebError

from tests.browser.node_tools import MODULES

#: Findings that fail a test.
GRAVE = ("serious", "critical")


class Watch:
    """Writes down, in `problems`, what no page may do.

    An error in the console (a violation of the Content-Security-Policy is one), an exception that
    nobody caught, a dialog, a request to another machine.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []

    def follow(self, context: BrowserContext) -> None:
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("dialog", self._on_dialog)
        context.on("request", self._on_request)
        context.on("page", self._on_page)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")

    def _on_error(self, error: WebError) -> None:
        self.problems.append(f"uncaught: {error.error}")

    def _on_dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _on_request(self, request: Request) -> None:
        self._look_at(request.url)

    def _on_page(self, page: Page) -> None:
        # The one kind of request that the context does not tell of.
        page.on("websocket", lambda socket: self._look_at(socket.url))

    def _look_at(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self.problems.append(f"request to another machine: {url}")


def find_faults(page: Page) -> list[str]:
    """What axe-core calls serious or critical on the page as it stands: rule, place and text."""
    # Evaluated by the browser's debugger, which the page's policy does not bind.
    page.evaluate((MODULES / "axe-core" / "axe.min.js").read_text() + "; null")
    result = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{each['impact']} {each['id']}: {each['help']}\n{node['html']}\n{node['failureSummary']}"
        for each in result["violations"]
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]
