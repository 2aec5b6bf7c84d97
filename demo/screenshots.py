#!/usr/bin/env python
"""The pictures of the README: `python demo/screenshots.py`, or `make pictures`.

Starts the demo with a fresh database, opens it in the machine's Chromium, and writes
docs/images/demo.png and docs/images/debugger.png. Needs the package `playwright`.
"""

import base64
import os
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:
    sys.exit("The pictures need a driver for the browser: pip install playwright")

DEMO = Path(__file__).resolve().parent
IMAGES = DEMO.parent / "docs" / "images"
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
PATIENCE = 30  # seconds until the demo answers
# Two of these side by side make a picture that is 1600 pixels wide; it is shown at half of that.
NARROW = {"viewport": {"width": 493, "height": 740}, "device_scale_factor": 1.5}
WIDE = {"viewport": {"width": 1280, "height": 1240}, "device_scale_factor": 1.25}

DESKTOP = """<!doctype html>
<style>
  body { display: flex; justify-content: space-between; margin: 0; padding: 36px; width: 1528px;
    background: linear-gradient(135deg, #d3e5db, #bcd5df); font: 20px system-ui, sans-serif; }
  figure { margin: 0; width: 740px; overflow: hidden; border-radius: 14px;
    box-shadow: 0 12px 40px rgb(20 50 40 / 30%); }
  figcaption { display: flex; align-items: center; gap: 10px; height: 52px; padding: 0 20px;
    background: #e4e9e6; color: #46534c; }
  i { width: 14px; height: 14px; border-radius: 50%; background: #b3bdb7; }
  span { margin: 0 auto; padding-right: 62px; }
  img { display: block; width: 740px; }
</style>
"""
WINDOW = """<figure><figcaption><i></i><i></i><i></i><span>127.0.0.1:8000</span></figcaption>
<img src="data:image/png;base64,{picture}"></figure>
"""


@contextmanager
def run_demo():
    """The address of a demo with a database of its own, for as long as the block runs."""
    port = find_free_port()
    with TemporaryDirectory() as directory:
        command = [sys.executable, DEMO / "manage.py", "demo", str(port)]
        env = {**os.environ, "DEMO_DATABASE": f"{directory}/demo.sqlite3"}
        with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as process:  # noqa: S603
            try:
                wait_for(port)
                yield f"http://127.0.0.1:{port}/"
            finally:
                process.terminate()


def find_free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    deadline = monotonic() + PATIENCE
    while monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            sleep(0.1)
        else:
            return
    sys.exit("The demo does not start.")


@contextmanager
def run_browser():
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"The pictures need one of these programs: {', '.join(BROWSERS)}")
    # Chromium's sandbox refuses to start for root.
    options = {"executable_path": program, "args": ["--no-sandbox"]}
    with sync_playwright() as playwright, playwright.chromium.launch(**options) as browser:
        yield browser


@contextmanager
def open_page(browser, address, size):
    """A page in a window with cookies of its own."""
    with browser.new_context(**size, color_scheme="light", locale="en") as context:
        page = context.new_page()
        page.goto(address)
        yield page


def take_demo(browser, address):
    """Two windows: a vote in one has just moved the bars of both, while the report is counted."""
    with open_page(browser, address, NARROW) as one, open_page(browser, address, NARROW) as other:
        one.get_by_role("button", name="Count the votes").click()
        one.wait_for_function("() => document.querySelector('progress').value >= 0.4")
        other.get_by_role("button", name="Vote for The sky").click()
        for page in (one, other):
            bar = page.get_by_role("button", name="Vote for The sky")
            expect(bar).to_contain_text("+1")
        other.wait_for_timeout(600)  # the bars have moved; what was added still stands there
        windows = [page.screenshot() for page in (one, other)]
    write("demo.png", side_by_side(browser, windows))


def side_by_side(browser, pictures):
    """One picture of these two, each in the frame of a window."""
    encoded = [base64.b64encode(picture).decode() for picture in pictures]
    with browser.new_page(viewport={"width": 1600, "height": 100}) as page:
        page.set_content(DESKTOP + "".join(WINDOW.format(picture=each) for each in encoded))
        return page.screenshot(full_page=True)


def take_debugger(browser, address):
    """A row that was created through the form: the reply, and the event in the log of frames."""
    with open_page(browser, f"{address}channels-api/#questions/subscribe", WIDE) as page:
        page.get_by_role("button", name="Subscribe, as a live table").click()
        page.goto(f"{address}channels-api/#questions/create")
        page.get_by_label("Question text").fill("Tea or coffee?")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_text("201").first).to_be_visible()
        expect(page.get_by_role("cell", name="Tea or coffee?")).to_be_attached()
        write("debugger.png", page.screenshot())


def write(name, picture):
    IMAGES.mkdir(parents=True, exist_ok=True)
    (IMAGES / name).write_bytes(picture)
    print(f"{IMAGES / name}: {len(picture) // 1000} kB")


def main():
    with ExitStack() as stack:
        address = stack.enter_context(run_demo())
        browser = stack.enter_context(run_browser())
        take_demo(browser, address)
        take_debugger(browser, address)


if __name__ == "__main__":
    main()
