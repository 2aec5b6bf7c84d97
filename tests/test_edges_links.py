"""Links know where the project is mounted; lists without an order are those of DRF."""

import asyncio
import json
import urllib.request

import pytest

from tests.app.models import Question
from tests.classic_client import ask, success
from tests.client import SocketClient

SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.edges_settings"}
ROOT = "/mounted"


async def over_http(server, path, headers=None):
    """What the same rows are over HTTP."""
    request = urllib.request.Request(server.http_url + path, headers=headers or {})  # noqa: S310

    def get():
        # No proxy of the person who runs the tests.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=20) as response:
            return json.load(response)

    return await asyncio.to_thread(get)


@pytest.fixture(params=["daphne", "uvicorn"])
def kind(request, transactional_db):
    return request.param


@pytest.mark.parametrize("root", ["", ROOT])
@pytest.mark.parametrize("stream", ["edges-links", "edges-links-viewset"])
async def test_links_are_those_of_http(app_server, kind, root, stream):
    """Of fields, of reverse() and of pages; under a root path too."""
    arguments = ["--root-path", root] if root else []
    server = app_server(kind, env=SETTINGS, arguments=arguments)
    # uvicorn puts the root before each path by itself, as if a proxy had cut it off.
    where = "" if kind == "uvicorn" else root.lstrip("/") + "/" * bool(root)
    rows = [await Question.objects.acreate(question_text="?") for _ in range(2)]
    origin = f"http://127.0.0.1:{server.port}{root}"

    listed = await over_http(server, f"{where}edges-links/")
    assert listed["results"][0]["url"] == f"{origin}/edges-links/{rows[0].pk}/"
    async with SocketClient(f"{server.url}{where}ws/") as client:
        reply = await ask(client, stream, "retrieve", pk=rows[1].pk)
        row = {"url": f"{origin}/edges-links/{rows[1].pk}/", "all": f"{origin}/edges-links/"}
        assert reply == success("retrieve", row)
        page = (await ask(client, stream, "list"))["data"]
        # The socket's own path is that of its page: only the mount point is in common.
        assert page.pop("next") == f"{origin}/ws/?page=2"
        assert listed.pop("next") == f"{origin}/edges-links/?page=2"
        assert page == listed


async def test_links_of_a_secure_socket_are_https(app_server, transactional_db):
    """uvicorn believes its proxy; the same header makes HTTP's links https."""
    server = app_server("uvicorn", env=SETTINGS)
    row = await Question.objects.acreate(question_text="?")
    headers = {"X-Forwarded-Proto": "https"}
    expected = await over_http(server, f"edges-links/{row.pk}/", headers)
    assert expected["url"].startswith("https://127.0.0.1:")
    # The header of the same proxy's origin: a page over https.
    async with SocketClient(server.url + "ws/", headers=headers) as client:
        reply = await ask(client, "edges-links", "retrieve", pk=row.pk)
        assert reply == success("retrieve", expected)


async def test_a_mount_point_is_not_that_of_another_server(app_server, transactional_db):
    """Nor does a frame keep what the one before it was told: links of two sockets in turn."""
    server = app_server("uvicorn", env=SETTINGS)
    row = await Question.objects.acreate(question_text="?")
    async with (
        SocketClient(server.url + "ws/", headers={"X-Forwarded-Proto": "https"}) as secure,
        SocketClient(server.url + "ws/") as plain,
    ):
        for _ in range(2):
            for client, scheme in [(secure, "https"), (plain, "http")]:
                reply = await ask(client, "edges-links", "retrieve", pk=row.pk)
                assert reply["data"]["url"].startswith(f"{scheme}://")


@pytest.mark.parametrize("stream", ["edges-grouped", "edges-distinct"])
@pytest.mark.parametrize("suffix", ["", "-viewset"])
async def test_rows_without_keys_are_those_of_http(app_server, kind, stream, suffix):
    """An order by the key would make a group, or a row, of each of them."""
    server = app_server(kind, env=SETTINGS)
    for votes in [1, 2, 1, 1, 2]:
        await Question.objects.acreate(question_text="?", votes=votes)

    def by_votes(rows):
        return sorted(rows, key=lambda row: row["votes"])

    expected = by_votes(await over_http(server, f"{stream}/"))
    assert [row["votes"] for row in expected] == [1, 2]
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, stream + suffix, "list")
        assert {**reply, "data": by_votes(reply["data"])} == success("list", expected)
