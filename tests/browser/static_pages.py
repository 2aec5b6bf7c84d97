"""A page with nothing but the debugger's static files, for tests of one of its modules alone."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import channels_api

STATIC = Path(channels_api.__file__).parent / "static" / "channels_api"
PATH = "/debugger/"
PAGE = """<!doctype html><html lang="en"><title>Parts</title><link rel="icon" href="icon.svg">
<link rel="stylesheet" href="page.css"><link rel="stylesheet" href="form.css">
<link rel="stylesheet" href="live.css"><body><main id="main"><h1>Parts</h1></main></body></html>"""


class Handler(SimpleHTTPRequestHandler):
    """The static files under the policy of the debugger, and an empty page."""

    def do_GET(self) -> None:
        if self.path != PATH:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", "default-src 'self'")
        super().end_headers()

    def log_message(self, *args: object) -> None:
        """A test's output is no place for it."""


@contextmanager
def serve_static() -> Iterator[str]:
    """The address of the page; its element `main` is for what is to be tested."""
    handler = functools.partial(Handler, directory=STATIC)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{PATH}"
        finally:
            server.shutdown()
            thread.join()
