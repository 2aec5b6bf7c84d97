"""What the README says of the client runs in a page of the quickstart's site."""

import re
from pathlib import Path

import pytest

from tests import readme
from tests.browser.node_tools import MODULES, Node
from tests.test_readme import QuickstartServer

CLIENT = readme.README.parent / "channels_api/static/channels_api/client.js"
#: What a page has, and Node has not: the site that it comes from, and a WebSocket that says so.
PAGE = """
import {{ WebSocket }} from "{ws}";
globalThis.location = new URL("{site}");
globalThis.WebSocket = class extends WebSocket {{
  constructor(url, protocols) {{
    super(url, protocols, {{ origin: location.origin }});
  }}
}};
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The quickstart's project with the section on tasks, and its server."""
    directory = tmp_path_factory.mktemp("quickstart")
    readme.write_project(directory)
    readme.write_tasks(directory)
    for command in ["makemigrations", "polls"], ["migrate"]:
        readme.run(directory, "manage.py", *command)
    with QuickstartServer("daphne", directory) as server:
        yield server


#: Its events may come after the replies.
IS_PUBLISHED = """
while (![...all.rows.values()].some(({ published }) => published)) {
  await new Promise((resolve) => setTimeout(resolve, 10));
}
"""


def run(
    node: Node, site: QuickstartServer, directory: Path, caption: str, *, until: str = ""
) -> list[str]:
    """Run a block as the module of a page, and `until` after it; the lines that it printed."""
    ws = MODULES / "ws/wrapper.mjs"
    code = readme.blocks()[caption].replace("/static/channels_api/client.js", str(CLIENT))
    (directory / "page.mjs").write_text(PAGE.format(ws=ws, site=site.http_url))
    (directory / "script.mjs").write_text(f'import "./page.mjs";\n{code}{until}\napi.close();\n')
    done = node.run_node(directory / "script.mjs")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_page(node, site, tmp_path):
    lines = run(node, site, tmp_path, "In a page", until=IS_PUBLISHED)
    assert "400 { question_text: [ 'This field may not be blank.' ] }" in lines
    assert "question_text: 'What is new?', published: true" in " ".join(lines)


def test_a_page_with_tasks(node, site, tmp_path):
    lines = run(node, site, tmp_path, "In a page with tasks")
    assert lines[0] == "PENDING undefined"
    assert lines[-2] == "SUCCESS undefined"
    # It counts what the other test may have created.
    assert re.fullmatch(r"\{ why: 0, what: [01] \}", lines[-1])
