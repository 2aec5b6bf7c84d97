"""The README says what is true: its code runs, and prints what it says it prints."""

import shutil
from pathlib import Path

import httpx
import pytest
from channels.layers import ChannelLayerManager
from django.test import override_settings

from channels_api.checks.configuration import check_settings
from channels_api.settings import DEFAULTS
from tests import readme
from tests.client import SocketClient
from tests.quickstart import QuickstartServer
from tests.tasks_helpers import follow

#: What no signal tells of.
TRY_BULK = """
from polls.bulk import publish, publish_all
from polls.models import Question
publish_all()
publish(Question.objects.all())
"""


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory) -> Path:
    """The quickstart's project, in which its commands have run."""
    directory = tmp_path_factory.mktemp("quickstart")
    readme.write_project(directory)
    for command in ["check"], ["makemigrations", "polls"], ["migrate"]:
        readme.run(directory, "manage.py", *command)
    readme.run(directory, "manage.py", "shell", "-c", TRY_BULK)
    return directory


@pytest.fixture
def project(quickstart, tmp_path) -> Path:
    """A copy of it, with a database of its own."""
    return shutil.copytree(quickstart, tmp_path / "project")


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
def test_quickstart(project, kind):
    """Every file of the quickstart, in a project of its own; the script prints what is shown."""
    with QuickstartServer(kind, project) as server:
        script = (project / "try_it.py").read_text()
        (project / "try_it.py").write_text(script.replace("8000", str(server.port)))
        printed = readme.run(project, "try_it.py")
    assert printed.splitlines() == readme.blocks()["It prints"].splitlines()


async def test_tasks(project):
    """The section's files in the quickstart's project: both doors, and one task in both."""
    readme.write_tasks(project)
    readme.run(project, "manage.py", "check")
    with QuickstartServer("uvicorn", project) as server:
        async with SocketClient(server.url + "ws/") as client:
            await client.request("reports", "build", data={"words": ["why", "what"]})
            last = (await follow(client))[-1]["payload"]
            assert last["data"]["result"] == {"why": 0, "what": 0}
            async with httpx.AsyncClient(
                base_url=server.http_url, timeout=30, trust_env=False
            ) as http:
                begun = await http.get("reports/", params={"word": "why"})
                assert begun.status_code == 202
                prefer = {"Prefer": "wait=20"}
                done = await http.get(begun.headers["Location"], headers=prefer)
                assert done.status_code == 303
                result = await http.get(done.headers["Location"])
                assert (result.status_code, result.json()) == (200, {"why": 0})
                gone = await http.delete(begun.headers["Location"])
                assert gone.status_code == 400
            shown = await client.request("tasks", "retrieve", pk=begun.json()["id"])
            assert shown["data"]["result"] == {"why": 0}


def test_settings():
    """All settings are there, with the defaults that they have."""
    namespace: dict = {}
    exec(readme.blocks()["These are the defaults"], namespace)  # noqa: S102 - the README is ours
    assert namespace["CHANNELS_API"] == DEFAULTS


def test_channel_layer():
    """It can be made as it stands there."""
    namespace: dict = {}
    exec(readme.blocks()["Several processes"], namespace)  # noqa: S102 - the README is ours
    with override_settings(CHANNEL_LAYERS=namespace["CHANNEL_LAYERS"]):
        layer = ChannelLayerManager()["default"]
    with override_settings(CHANNELS_API=namespace["CHANNELS_API"]):
        assert check_settings(None) == []
    assert layer.hosts == [{"address": "redis://127.0.0.1:6379", "socket_timeout": None}]


def test_code_is_in_blocks_that_run():
    """A block without a name, or with an unknown one, would be tested by nobody."""
    files = {caption for caption in readme.blocks() if caption.endswith(".py")}
    others = {"It prints", "These are the defaults", "Several processes"}
    others |= {"For development", "In production", "In a page", "In a page with tasks"}
    assert readme.blocks().keys() - files == others
    assert readme.README.read_text().count(".. code-block::") == len(readme.blocks())
