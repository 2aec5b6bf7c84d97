"""`manage.py channels_api_types`: where it writes, and how a file that is out of date is told."""

import io

import pytest
from channels.routing import URLRouter
from django.core.management import CommandError, call_command
from django.urls import path

from channels_api.bindings import ResourceBindingBase
from channels_api.decorators import list_action
from channels_api.demultiplexer import WebsocketDemultiplexer
from channels_api.schema import make_schema
from channels_api.schema.typescript import to_typescript


class Greeting(ResourceBindingBase):
    @list_action()
    def greet(self, data=None, **kwargs):
        """Says grüß dich."""


class Demultiplexer(WebsocketDemultiplexer):
    consumers = {"greetings": Greeting}


application = URLRouter([path("ws/", Demultiplexer.as_asgi())])


@pytest.fixture(autouse=True)
def _project(settings):
    settings.ASGI_APPLICATION = f"{__name__}.application"


def run(*arguments):
    """What the command prints: to stdout, and to stderr; with the error that ended it, or None."""
    stdout, stderr, error = io.StringIO(), io.StringIO(), None
    try:
        call_command("channels_api_types", *arguments, stdout=stdout, stderr=stderr)
    except CommandError as exc:
        error = exc
    return stdout.getvalue(), stderr.getvalue(), error


def test_it_writes_to_stdout():
    expected = to_typescript(make_schema())

    assert "/** Says grüß dich. */\n    greet: {\n" in expected
    assert run() == (expected, "", None)


def test_what_can_not_be_described_is_told(monkeypatch):
    monkeypatch.setattr(Greeting, "get_queryset", lambda self: 1 / 0)

    stdout, stderr, error = run()

    assert (stdout, error) == (to_typescript(make_schema()), None)
    assert stderr.startswith("Warning: Greeting: its ")


def test_it_writes_into_a_file(tmp_path):
    (tmp_path / "api.ts").write_text("older\n" * 1000)

    assert run("--output", f"{tmp_path}/api.ts") == ("", "", None)
    assert (tmp_path / "api.ts").read_bytes() == to_typescript(make_schema()).encode()


def test_a_file_that_is_up_to_date_passes_the_check(tmp_path):
    run("--output", f"{tmp_path}/api.ts")

    assert run("--check", f"{tmp_path}/api.ts") == ("", "", None)


def test_a_file_that_differs_is_told_with_the_difference_and_left_alone(tmp_path):
    file = tmp_path / "api.ts"
    run("--output", str(file))
    text = file.read_text(encoding="utf-8").replace("greet:", "salute:")
    file.write_text(text, encoding="utf-8")

    stdout, stderr, error = run("--check", str(file))

    assert stdout == ""
    assert [line for line in stderr.splitlines() if line[0] in "+-"] == [
        f"--- {file}",
        "+++ made now",
        "-    salute: {",
        "+    greet: {",
    ]
    assert str(error) == f"{file} differs from what is made now: write it with --output."
    assert error.returncode == 1
    assert file.read_text(encoding="utf-8") == text


def test_a_file_that_is_missing_fails_the_check(tmp_path):
    stdout, stderr, error = run("--check", f"{tmp_path}/api.ts")

    assert (stdout, stderr) == ("", "")
    assert (str(error), error.returncode) == (f"There is no file {tmp_path}/api.ts.", 1)


def test_a_project_without_sockets_is_told_what_is_missing(settings):
    settings.ASGI_APPLICATION = None

    stdout, _, error = run()

    assert stdout == ""
    assert str(error).startswith("ASGI_APPLICATION is not set")
