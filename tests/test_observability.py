"""The page about observability says what is true: its table, its formatter, and both collectors."""

import json
import re
from pathlib import Path

import httpx
import pytest
from django.contrib.auth.models import AnonymousUser
from opentelemetry import metrics as telemetry
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from channels_api.metrics import ERRORS, FRAMES, LAG, METRICS, SOCKETS, measure, measured
from tests import readme
from tests.client import SocketClient
from tests.quickstart import QuickstartServer
from tests.servers import free_port

PAGE = readme.README.parent / "docs/observability.rst"


def test_the_table_is_of_all_that_is_counted():
    rows = re.findall(
        r"^(\w+) +(counter|gauge|histogram) +((?:\w+, )*\w+)?  ", PAGE.read_text(), re.M
    )
    assert rows == [(each.name, each.kind, ", ".join(each.labels)) for each in METRICS]


def test_all_code_is_run_here():
    assert readme.blocks(PAGE).keys() == {
        *("proj/logs.py", "In the settings", "polls/apps.py"),
        *("proj/prometheus.py", "proj/telemetry.py"),
    }
    assert PAGE.read_text().count(".. code-block::") == 5


@pytest.fixture
def project(tmp_path) -> Path:
    """The quickstart's project, with what the page adds to it."""
    readme.write_project(tmp_path)
    code = readme.blocks(PAGE)
    for name in "proj/logs.py", "proj/prometheus.py", "polls/apps.py":
        (tmp_path / name).write_text(code[name])
    settings = tmp_path / "proj/settings.py"
    # Without DEBUG the client is told an id, and no text.
    settings.write_text(f"{settings.read_text()}\n{code['In the settings']}\nDEBUG = False\n")
    bindings = tmp_path / "polls/bindings.py"
    failing = "    @list_action()\n    def fail(self, data=None, **kwargs):\n        return 1 / 0\n"
    bindings.write_text(f"{bindings.read_text()}\n{failing}")
    for command in ["makemigrations", "polls"], ["migrate"]:
        readme.run(tmp_path, "manage.py", *command)
    return tmp_path


async def test_prometheus_and_logs(project):
    """A server of such a project is scraped, and an error id is found in its log."""
    port = free_port()
    with QuickstartServer("uvicorn", project, env={"METRICS_PORT": str(port)}) as server:
        async with SocketClient(server.url + "ws/") as client:
            data = {"question_text": "a"}
            await client.request("questions", "subscribe", data={"action": "*"})
            events: list = []
            await client.request("questions", "create", data=data, events=events)
            events or await client.receive()
            failed = await client.request("questions", "fail")
            async with httpx.AsyncClient(trust_env=False) as http:
                scraped = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
        lines = dict(line.rsplit(" ", 1) for line in scraped.splitlines() if line[0] != "#")
        frames = 'channels_api_frames_total{action="%s",status="%s",stream="questions"}'
        assert lines[frames % ("create", 201)] == "1.0"
        assert lines[frames % ("fail", 500)] == "1.0"
        assert lines["channels_api_errors_total"] == "1.0"
        assert lines["channels_api_sockets"] == "1.0"
        assert lines['channels_api_events_total{stream="questions"}'] == "1.0"
        assert lines['channels_api_lag_seconds_count{stream="questions"}'] == "1.0"
        written = [json.loads(line) for line in server.log.splitlines() if line[0] == "{"]
    [error] = [line for line in written if line["level"] == "ERROR"]
    assert error.pop("text").endswith("ZeroDivisionError: division by zero")
    assert error == {
        **failed["errors"][1],
        "level": "ERROR",
        "logger": "channels_api",
        "stream": "questions",
        "action": "fail",
        "user_pk": AnonymousUser().pk,
    }


def test_opentelemetry():
    reader = InMemoryMetricReader()
    telemetry.set_meter_provider(MeterProvider([reader]))
    namespace: dict = {}
    exec(readme.blocks(PAGE)["proj/telemetry.py"], namespace)  # noqa: S102 - the page is ours
    try:
        measure(SOCKETS, 2)
        measure(SOCKETS, -1)
        measure(ERRORS)
        for status in "200", "200", "404":
            measure(FRAMES, stream="polls", action="list", status=status)
        measure(LAG, 0.25, stream="polls")
    finally:
        measured.disconnect(namespace["record"])
    [resource] = reader.get_metrics_data().resource_metrics
    [scope] = resource.scope_metrics
    points = {each.name: each.data.data_points for each in scope.metrics}
    assert [point.value for point in points["channels_api.sockets"]] == [1]
    assert [point.value for point in points["channels_api.errors"]] == [1]
    frames = {point.attributes["status"]: point.value for point in points["channels_api.frames"]}
    assert frames == {"200": 2, "404": 1}
    [lag] = points["channels_api.lag_seconds"]
    assert (lag.count, lag.sum, dict(lag.attributes)) == (1, 0.25, {"stream": "polls"})
