"""`manage.py channels_api_schema`: its formats, and how a file that is out of date is told."""

import io
import json
import sys

import pytest
import yaml
from django.core.management import CommandError, call_command

from channels_api.schema import make_schema


@pytest.fixture(autouse=True)
def _project(settings):
    settings.ASGI_APPLICATION = "tests.schema_world.bare"


def run(*arguments):
    """What the command prints: to stdout, and to stderr."""
    stdout, stderr = io.StringIO(), io.StringIO()
    call_command("channels_api_schema", *arguments, stdout=stdout, stderr=stderr)
    return stdout.getvalue(), stderr.getvalue()


def test_it_writes_yaml():
    text, told = run()

    assert yaml.safe_load(text) == make_schema()
    assert text.startswith("asyncapi: 3.0.0\ninfo:\n  title: tests\n  version: 1.0.0\n")
    assert told == ""


def test_it_writes_json():
    text, told = run("--format", "json")

    assert json.loads(text) == make_schema()
    assert list(json.loads(text)) == list(make_schema())
    assert text.endswith("\n}\n")
    assert told == ""


def test_without_pyyaml_it_says_what_to_install_and_writes_json(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(CommandError) as caught:
        run()
    assert str(caught.value) == (
        "PyYAML is not installed: pip install channels-api[schema], or ask for --format json."
    )
    assert json.loads(run("--format", "json")[0]) == make_schema()


def test_a_file_that_differs_fails_the_check_and_one_that_does_not_passes(tmp_path):
    file = tmp_path / "schema.yaml"
    run("--output", str(file))
    assert run("--check", str(file)) == ("", "")
    file.write_text(file.read_text().replace("title: tests", "title: others"))

    stderr = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("channels_api_schema", "--check", str(file), stderr=stderr)

    assert caught.value.returncode == 1
    assert [line for line in stderr.getvalue().splitlines() if line[0] in "+-"] == [
        f"--- {file}",
        "+++ made now",
        "-  title: others",
        "+  title: tests",
    ]


def test_what_can_not_be_described_is_told_on_stderr(settings):
    settings.ASGI_APPLICATION = "tests.schema_world.application"

    text, told = run()

    assert told.splitlines() == [
        f"Warning: AskingBinding.{name}: no serializer without a socket: KeyError(False)"
        for name in ("list", "retrieve")
    ]
    assert yaml.safe_load(text)["x-streams"]["asking"]["row"] is None


@pytest.mark.parametrize("name", [None, "tests.schema_world.nothing"])
def test_a_project_without_sockets_is_told_what_to_do(settings, name):
    settings.ASGI_APPLICATION = name

    with pytest.raises(CommandError, match="ASGI_APPLICATION"):
        run()
