"""What the debugger copies as Python and as a test, for requests of each kind: all of it is run."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from websockets.sync.client import connect

from tests.browser.demo_servers import DEMO
from tests.servers import ROOT

MODULES = ROOT / "channels_api" / "static" / "channels_api" / "debugger"
MAKE = f"""
import {{ SNIPPETS }} from "{(MODULES / "snippets.js").as_uri()}";
import {{ readFileSync }} from "node:fs";
const made = JSON.parse(readFileSync(process.argv[1])).map((call) => {{
  const known = {{ ...call, rows: new Map(call.rows) }};
  const kinds = Object.entries(SNIPPETS);
  return Object.fromEntries(kinds.map(([kind, {{ make }}]) => [kind, make(known)]));
}});
console.log(JSON.stringify(made));
"""
QUESTIONS = {"model": "polls.question", "key": "id", "inputs": ["question_text", "pub_date"]}
CHOICES = {"model": "polls.choice", "key": "id", "inputs": ["question", "choice_text"]}
TASKS = {"model": None, "key": None, "inputs": []}
ABOUT = {"questions": QUESTIONS, "choices": CHOICES, "tasks": TASKS}
NOBODY = {"user": "", "isStaff": False, "isSuperuser": False, "cookie": "sessionid"}
ADMIN = {"user": "admin", "isStaff": True, "isSuperuser": True, "cookie": "project_session"}
TEXT = "</script> 'both' \"quotes\", \\n, ü, 😀, \u2028"

#: Stream, action, whether it is a standard one, whether it is about one row; pk, data.
REQUESTS = [
    ("questions", "create", True, False, None, {"question_text": TEXT}),
    ("questions", "create", True, False, None, {"question_text": ""}),
    ("questions", "list", True, False, None, {}),
    ("questions", "list", True, False, None, {"page": 999}),
    ("questions", "retrieve", True, True, 1, None),
    ("questions", "retrieve", True, True, "no such row", None),
    ("questions", "patch", True, True, 1, {"question_text": "Changed"}),
    ("questions", "subscribe", True, True, None, {"action": "*"}),
    ("questions", "subscribe", True, True, None, {"action": "*", "snapshot": True}),
    ("questions", "subscribe", True, True, 1, {"action": "*", "snapshot": True}),
    ("questions", "totals", False, False, None, None),
    ("questions", "report", False, False, None, None),
    ("questions", "reset", False, True, 1, None),
    ("choices", "vote", False, True, 1, None),
    ("choices", "list", True, False, None, None),
    ("choices", "delete", True, True, 2, None),
    ("tasks", "retrieve", True, True, "made up", None),
]


def given(pk: object, data: object) -> dict:
    return {key: value for key, value in (("pk", pk), ("data", data)) if value is not None}


def ask(socket, stream: str, action: str, pk: object, data: object) -> dict:
    request_id = uuid.uuid4().hex
    payload = {"action": action, **given(pk, data), "request_id": request_id}
    socket.send(json.dumps({"stream": stream, "payload": payload}))
    while True:  # the subscriptions tell of changes, and the task of its states
        found = json.loads(socket.recv(timeout=20))["payload"]
        if found.get("request_id") == request_id:
            return found


@pytest.fixture(scope="module")
def calls(demos) -> list[dict]:
    """The requests, with the demo's replies, as the page would describe them."""
    server = demos("daphne")
    url = f"{server.url}ws/"
    origin = server.http_url.rstrip("/")
    made = []
    with connect(url, origin=origin) as socket:
        for stream, action, standard, detail, pk, data in REQUESTS:
            row = None if pk is None else ask(socket, stream, "retrieve", pk, None)["data"]
            reply = ask(socket, stream, action, pk, data)
            about = {**ABOUT[stream], "rows": [[pk, row]] if row else [], **NOBODY}
            kind = {"standard": standard, "detail": detail}
            places = {"url": url, "path": "/ws/", "origin": origin, "client": f"{origin}/client.js"}
            request = {"stream": stream, "action": action, **given(pk, data)}
            made.append({**places, **request, **about, **kind, "reply": reply})
    totals = next(call for call in made if call["action"] == "totals")
    return [*made, {**totals, **ADMIN}]


@pytest.fixture(scope="module")
def snippets(node, calls, tmp_path_factory) -> list[dict[str, str]]:
    return make_snippets(node, calls, tmp_path_factory.mktemp("calls") / "calls.json")


def make_snippets(node, calls: list[dict], path: Path) -> list[dict[str, str]]:
    path.write_text(json.dumps(calls))
    done = node.run_node("--input-type=module", "--eval", MAKE, path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_tests_pass_and_compare(calls, snippets, tmp_path):
    for number, (call, made) in enumerate(zip(calls, snippets, strict=True)):
        code = made["test"]
        (tmp_path / f"test_right_{number}.py").write_text(code)
        status = call["reply"]["response_status"]
        wrong = code.replace(f'"response_status": {status}', '"response_status": 299')
        (tmp_path / f"test_wrong_{number}.py").write_text(wrong)
    database = {"DEMO_DATABASE": str(tmp_path / "demo.sqlite3")}
    settings = {"DJANGO_SETTINGS_MODULE": "proj.settings", "PYTHONPATH": f"{DEMO}:{ROOT}"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run(
        [*command, "--tb=short", "-rfE", "--rootdir", tmp_path],
        cwd=tmp_path,
        env={**os.environ, **database, **settings},
        capture_output=True,
        text=True,
    )
    failed = {line.split("::")[0] for line in done.stdout.splitlines() if line.startswith("FAILED")}
    assert failed == {f"FAILED test_wrong_{number}.py" for number in range(len(calls))}, done.stdout


@pytest.mark.parametrize("action", ["create", "totals", "report"])
def test_python_prints_the_reply(calls, snippets, action):
    index = next(index for index, call in enumerate(calls) if call["action"] == action)
    code = snippets[index]["python"]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Each frame begins a line, and nothing inside it does.
    last = "{" + f"\n{done.stdout}".rpartition("\n{")[2]
    status = {"create": 201, "totals": 200, "report": 200}[action]
    assert json.loads(last)["payload"]["response_status"] == status


def test_javascript_is_source_and_holds_the_data(node, calls, snippets, tmp_path):
    """That it runs, a browser shows."""
    one_of_each_form = {call["action"]: made for call, made in zip(calls, snippets, strict=True)}
    for action in ("create", "subscribe", "report", "vote"):
        (tmp_path / f"{action}.mjs").write_text(one_of_each_form[action]["javascript"])
        checked = node.run_node("--check", tmp_path / f"{action}.mjs")
        assert checked.returncode == 0, checked.stderr
    assert f"question_text: {json.dumps(TEXT, ensure_ascii=False)}" in snippets[0]["javascript"]


def test_as_the_same_user(snippets):
    made = snippets[-1]
    assert 'create_user("admin", is_staff=True, is_superuser=True)' in made["test"]
    assert 'additional_headers={"Cookie": "project_session=..."}' in made["python"]


def test_of_a_page_only_the_rows_are_compared(node, calls, tmp_path):
    call = next(call for call in calls if call["action"] == "list")
    rows = call["reply"]["data"]
    envelope = {"count": 50, "next": "http://127.0.0.1:8000/?page=2", "previous": None}
    data = {**envelope, "links": {"last": "http://127.0.0.1:8000/?page=2"}, "results": rows[:1]}
    paged = {**call, "reply": {**call["reply"], "data": data}}
    code = make_snippets(node, [paged], tmp_path / "calls.json")[0]["test"]
    for line in ('"count": ANY', '"next": ANY', '"previous": ANY', '"links": {"last": ANY}'):
        assert line in code
    assert "127.0.0.1" not in code
    assert f'"question_text": {json.dumps(rows[0]["question_text"], ensure_ascii=False)}' in code


MOUNT_PANEL = """async reply => {
  const { ActionPanel } = await import("/debugger/action.js");
  const list = { fragment: "#questions/list", name: "list", standard: true, data: {} };
  window.copied = [];
  const panel = new ActionPanel(document.getElementById("main"), {
    resolve: () => undefined,
    send: async () => ({ reply, text: JSON.stringify({ payload: reply }), milliseconds: 1 }),
    copy: (kind) => copied.push(kind),
  });
  sessionStorage.clear();
  panel.show({ ...list, method: "GET", stream: { name: "questions" } });
}"""


@pytest.mark.parametrize(
    ("data", "result", "status", "is_made"),
    [
        ({}, [], 200, True),
        ({"page": 1, "offset": 0}, [], 200, True),
        ({"page": "", "offset": None, "cursor": ""}, [], 200, True),
        ({"page": "2"}, [], 200, False),
        ({"page": "last"}, [], 200, False),
        ({"offset": 5}, [], 200, False),
        ({"cursor": "cD0y"}, [], 200, False),
        ({"p": 2}, {"previous": "http://127.0.0.1/", "results": []}, 200, False),
        ({"page": 999}, None, 404, True),
    ],
)
def test_no_test_is_made_of_a_later_page(static_page: Page, data, result, status, is_made):
    reply = {"action": "list", "errors": [], "data": result, "response_status": status}
    static_page.evaluate(MOUNT_PANEL, reply)
    static_page.get_by_role("textbox", name="data, as JSON").fill(json.dumps(data))
    static_page.get_by_role("button", name="Send", exact=True).click()
    expect(static_page.locator("#reply-status")).to_contain_text(str(status))
    static_page.get_by_role("button", name="Copy as test").click()
    assert static_page.evaluate("copied") == (["test"] if is_made else [])
    assert static_page.get_by_text("No test can be made of a later page").is_visible() != is_made
