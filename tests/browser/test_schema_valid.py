"""The official parser of AsyncAPI takes the schema: of the demo, and of streams of every kind."""

import json
import os
import subprocess
import sys

from channels_api.schema import make_schema
from tests.browser.node_tools import HERE
from tests.servers import ROOT

# A hint, and no fault: the document is of version 3.0.0, on purpose.
NEWER_VERSION = "asyncapi-latest-version"


def demo_text():
    """What the command writes of the demo."""
    command = [sys.executable, "manage.py", "channels_api_schema"]
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "proj.settings"}
    done = subprocess.run(command, cwd=ROOT / "demo", env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def world_text(settings):
    settings.ASGI_APPLICATION = "tests.schema_world.application"
    return json.dumps(make_schema(warn=lambda sentence: None))


def broken_text(settings):
    settings.ASGI_APPLICATION = "tests.schema_world.bare"
    document = make_schema()
    document["operations"]["ping.ping"]["channel"] = {"$ref": "#/channels/nowhere"}
    return json.dumps(document)


def test_the_official_parser_finds_no_fault_in_a_schema_and_one_in_a_broken_one(
    node, tmp_path, settings
):
    texts = {
        "demo.yaml": demo_text(),
        "world.json": world_text(settings),
        "broken.json": broken_text(settings),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)

    done = node.run_node(HERE / "validate_schema.mjs", *(tmp_path / name for name in texts))

    assert done.returncode == 0, done.stderr
    demo, world, broken = json.loads(done.stdout)
    for answer in demo, world:
        faults = [each for each in answer["found"] if each["code"] != NEWER_VERSION]
        assert (answer["parsed"], faults) == (True, [])
    assert not broken["parsed"]
    assert any(each["path"].startswith("operations/ping.ping") for each in broken["found"])
