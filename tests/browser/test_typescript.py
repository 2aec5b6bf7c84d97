"""TypeScript's compiler on the types of the client: what it takes, what it refuses, and how."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.node_tools import HERE, MODULES
from tests.servers import ROOT

COMPILER = MODULES / "typescript/bin/tsc"
CLIENT = ROOT / "channels_api/static/channels_api"
#: As strict as it can be.
OPTIONS = {
    "strict": True,
    "exactOptionalPropertyTypes": True,
    "noUncheckedIndexedAccess": True,
    "noEmit": True,
    "target": "es2022",
    "lib": ["es2022", "dom"],
    "types": [],
}
RESOLUTIONS = {
    "bundler": {"module": "esnext", "moduleResolution": "bundler"},
    "nodenext": {"module": "nodenext", "moduleResolution": "nodenext"},
}


@pytest.fixture
def project(tmp_path):
    """A project's directory, with the client as a package, as npm installs it."""
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/channels-api-client").symlink_to(CLIENT)
    return tmp_path


@pytest.fixture
def compile_files(node, project):
    """A function that compiles a project of these files, by name, and returns what was printed."""

    def run(resolution="bundler", **files):
        for name, text in files.items():
            (project / f"{name}.ts").write_text(text)
        options = {**OPTIONS, **RESOLUTIONS[resolution]}
        config = {"compilerOptions": options, "files": [f"{name}.ts" for name in files]}
        (project / "tsconfig.json").write_text(json.dumps(config))
        done = node.run_node(COMPILER, "--pretty", "false", cwd=project)
        # A compiler that could not begin has said nothing there either.
        assert (done.returncode == 0) == (done.stdout == ""), done
        return done.stdout

    return run


def read(name):
    return (HERE / f"types/{name}.ts").read_text()


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_good_uses_compile_and_each_wrong_one_is_refused(compile_files, resolution):
    files = {name: read(name) for name in ("polls", "good", "wrong")}

    assert compile_files(resolution, **files) == ""


def test_messages_name_the_field_and_the_type_that_a_person_knows(compile_files):
    use = """
import { connect } from "channels-api-client";
import type { Api } from "./polls.js";
const api = connect<Api>("/ws/");
api.stream("questions").create({ question_txt: "x" });
api.stream("live-votes").create({});
"""

    lines = compile_files(polls=read("polls"), use=use).splitlines()
    assert dict(line.split(": ", 1) for line in lines) == {
        "use.ts(5,34)": "error TS2561: Object literal may only specify known properties, but "
        "'question_txt' does not exist in type 'QuestionInput'. Did you mean to write "
        "'question_text'?",
        "use.ts(6,26)": "error TS2339: Property 'create' does not exist on type "
        "'Stream<LiveVotesStream>'.",
    }


def test_what_an_editor_offers(node, project):
    (project / "polls.ts").write_text(read("polls"))
    (project / "use.ts").write_text("""
import { connect } from "channels-api-client";
import type { Api } from "./polls.js";
const api = connect<Api>("/ws/");
api.stream("/*streams*/");
api.stream("live-votes")./*methods*/;
const questions = api.stream("questions");
questions.create({ /*fields*/ });
questions.create({ question_text: "Why?", tone: "/*choices*/" });
questions.action("/*actions*/");
questions.action("report", { data: { /*data*/ } });
questions.subscribe({ filter: { /*filters*/ } });
questions.subscribe({ onChange: (change) => change.type === "create" && change.row./*row*/ });
""")
    done = node.run_node(HERE / "types/complete.mjs", COMPILER, "use.ts", cwd=project)

    assert json.loads(done.stdout) == {
        "streams": ["links", "live-votes", "questions", "tasks"],
        "methods": ["name", "request", "retrieve", "subscribe"],
        "fields": ["pub_date?", "question_text", "tone?"],
        "choices": ["calm", "loud"],
        "actions": ["by-day", "publish", "report"],
        "data": ["year"],
        "filters": ["author__name?", "search?"],
        "row": ["choices", "e-mail", "id", "pub_date", "question_text", "tone"],
    }


def write_types(settings, directory):
    """What the command prints in a project, as a person starts it."""
    command = [sys.executable, "-m", "django", "channels_api_types", "--settings", settings]
    path = os.pathsep.join([str(ROOT), str(directory)])
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, timeout=90)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_the_types_of_the_demo(compile_files):
    api = write_types("proj.settings", ROOT / "demo")

    assert compile_files(api=api, demo=read("demo")) == ""


def test_the_types_of_many_streams(compile_files):
    api = write_types("tests.types_settings", ROOT)
    use = """
import { connect } from "channels-api-client";
import type { Api } from "./api.js";
const api = connect<Api>("/ws/");
api.stream("questions").create({ question_text: "x" }).then((row) => row.votes);
// @ts-expect-error
api.stream("questions-read-only").create({ question_text: "x" });
// @ts-expect-error
api.stream("documents").retrieve(5);
"""

    assert compile_files("nodenext", api=api, use=use) == ""


def test_what_the_types_export_is_there(node):
    names = (
        f"console.log(Object.keys(await import({json.dumps(str(CLIENT / 'client.js'))})).join())"
    )
    exported = node.run_node("--input-type=module", "--eval", names).stdout.strip().split(",")

    declared = (CLIENT / "client.d.ts").read_text()
    wanted = re.findall(r"^export (?:class|function|const) (\w+)", declared, re.MULTILINE)
    assert "connect" in wanted
    assert set(wanted) <= set(exported)


def test_npm_packs_the_client_its_types_and_what_says_what_it_is(node):
    npm = Path(node.path).with_name("npm")
    command = [npm, "pack", "--dry-run", "--json", "--offline"]
    packed = subprocess.run(command, cwd=CLIENT, capture_output=True, text=True, timeout=90)

    (package,) = json.loads(packed.stdout)
    files = {file["path"] for file in package["files"]}
    assert files == {"client.js", "client.d.ts", "package.json", "README.md"}
