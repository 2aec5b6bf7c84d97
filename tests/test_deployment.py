"""The site of docs/deployment.rst: two kinds of servers and a worker behind nginx."""

import asyncio
import json
import ssl
from collections.abc import Iterator
from contextlib import AsyncExitStack

import httpx
import pytest
import websockets

from channels_api.protocol import SUBPROTOCOL
from tests import readme
from tests.client import PATIENCE, SocketClient
from tests.deployment_site import ADDRESSES, HOST, PAGE, Nginx, Site
from tests.live_helpers import keep, subscribe
from tests.plugin import require_program
from tests.replica import Replica
from tests.tasks_helpers import follow

pytestmark = pytest.mark.timeout(180)

RATE = 60
# Clients that are spread over two processes, whoever has not been seen to leave before.
SEVERAL = 4


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> Iterator[Site]:
    for program in "redis-server", "nginx", "openssl":
        require_program(program)
    site = Site(tmp_path_factory.mktemp("site"))
    try:
        yield site
    finally:
        site.close()


@pytest.fixture
def site(started) -> Site:
    """All of its processes run; a test may have stopped one."""
    started.start()
    return started


@pytest.fixture(scope="module")
def all_nginx(started) -> Nginx:
    started.start()
    return started.nginx()


@pytest.fixture
def nginx(site, all_nginx) -> Nginx:
    return all_nginx


def at(address: str) -> dict:
    """Options of a client that comes from an address."""
    return {"local_addr": (address, 0)}


async def statuses(client: SocketClient, count: int) -> list[int]:
    return [(await client.request("questions", "list"))["response_status"] for _ in range(count)]


def test_all_blocks_are_tried():
    """Those of `Site`, and no other one that nobody would try."""
    found = [match["language"] for match in readme.ANY_BLOCK.finditer(PAGE.read_text())]
    assert found == ["python", "ini", "ini", "ini", "nginx", "nginx"]
    assert PAGE.read_text().count("code-block::") == len(found)


async def test_pages_and_static_files(nginx):
    """nginx serves the one, and the processes the other."""
    context = ssl.create_default_context(cafile=str(nginx.directory / f"{HOST}.pem"))
    url, names = f"https://127.0.0.1:{nginx.port}", {"sni_hostname": HOST}
    async with httpx.AsyncClient(base_url=url, verify=context, trust_env=False) as http:
        headers = {"Host": HOST}
        module = await http.get("static/channels_api/client.js", headers=headers, extensions=names)
        assert module.status_code == 200
        assert "export function connect" in module.text
        # A route of the README's, and an id that is none.
        page = await http.get("reports/state/none/", headers=headers, extensions=names)
        assert (page.status_code, page.json()) == (404, {"detail": "Not found."})


async def test_a_socket_through_nginx(nginx):
    """Both kinds of servers: rows, events of the other process's rows, and frames of 64 KiB."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(nginx.client()) for _ in range(SEVERAL)]
        for client in clients:
            # It has offered to, as browsers do.
            assert client.socket.protocol.extensions == [], "frames are compressed"
            await subscribe(client, "questions")
        events: list = []
        text = {"question_text": "a"}
        made = await clients[0].request("questions", "create", data=text, events=events)
        for client in clients:
            payload = (events.pop() if events else await client.receive())["payload"]
            assert (payload["action"], payload["data"]) == ("create", made["data"])
            await assert_largest_frames(client)


async def assert_largest_frames(client: SocketClient) -> None:
    frame = {"stream": "questions", "payload": {"action": "count", "data": "", "request_id": 1}}
    room = 65_536 - len(json.dumps(frame))
    for size, status in (room, 200), (room + 1, 413), (room, 200):
        frame["payload"]["data"] = "x" * size
        await client.send_raw(json.dumps(frame))
        assert (await client.receive())["payload"]["response_status"] == status


@pytest.mark.parametrize("origin", ["https://elsewhere.org", f"https://{HOST}.elsewhere.org", None])
async def test_pages_of_others_are_refused(nginx, origin):
    for _ in nginx.nodes:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await nginx.client(origin=origin).__aenter__()
        assert refused.value.response.status_code == 403


async def test_throttles_count_by_the_address_of_the_client(nginx):
    """On both processes together, and whatever a client says of itself."""
    one, other = next(ADDRESSES), next(ADDRESSES)
    forged = {"X-Forwarded-For": "203.0.113.7", "X-Real-IP": "203.0.113.7"}
    async with (
        nginx.client(**at(one)) as first,
        nginx.client(**at(one)) as second,
        nginx.client(**at(one), headers=forged) as forging,
        nginx.client(**at(one), headers=forged) as forging_too,
        nginx.client(**at(other)) as elsewhere,
    ):
        assert await statuses(first, RATE // 2) == [200] * (RATE // 2)
        assert await statuses(second, RATE // 2) == [200] * (RATE // 2)
        for client in first, second, forging, forging_too:
            assert await statuses(client, 1) == [429]
        assert await statuses(elsewhere, 1) == [200]


async def test_actions_know_the_client(nginx):
    """Where it is, and that it came by TLS, and not what nginx is to the process."""
    address, forged = next(ADDRESSES), {"X-Forwarded-For": "203.0.113.7"}
    async with AsyncExitStack() as stack:
        for _ in range(SEVERAL):
            client = nginx.client(**at(address), headers=forged)
            await stack.enter_async_context(client)
            assert (await client.request("questions", "address"))["data"] == [address, True]


async def test_an_address_has_so_many_sockets_and_no_more(nginx):
    """nginx answers the next one itself; when one goes, another may come."""
    address = at(next(ADDRESSES))
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(nginx.client(**address)) for _ in range(100)]
        with pytest.raises(websockets.InvalidStatus) as refused:
            await nginx.client(**address).__aenter__()
        assert refused.value.response.status_code == 503
        await clients[0].socket.close()
        await stack.enter_async_context(reconnected(nginx, address))


class reconnected:  # noqa: N801 - a context, as its client
    """A client that comes in as soon as nginx has noticed that another one has left."""

    def __init__(self, nginx: Nginx, options: dict) -> None:
        self.nginx, self.options = nginx, options

    async def __aenter__(self) -> SocketClient:
        return await asyncio.wait_for(self._come_in(), PATIENCE)

    async def _come_in(self) -> SocketClient:
        while True:
            self.client = self.nginx.client(**self.options)
            try:
                return await self.client.__aenter__()
            except websockets.InvalidStatus:
                await asyncio.sleep(0.02)

    async def __aexit__(self, *exc_info: object) -> None:
        await self.client.__aexit__()


async def test_pings_keep_a_socket_open(site):
    """With a patience of one second instead of sixty: three seconds of pings, and no more."""
    nginx = site.nginx({"proxy_read_timeout 60s;": "proxy_read_timeout 1s;"})
    async with nginx.client(subprotocols=[SUBPROTOCOL]) as pinged, nginx.client() as silent:
        for number in range(1, 7):
            assert (await pinged.receive())["ping"] == number
            await pinged.send_raw(json.dumps({"pong": number}))
        _, code = await silent.until_closed()
        assert code == 1006
        assert await statuses(pinged, 1) == [200]


@pytest.mark.parametrize(("stopped", "code"), [(0, 1012), (1, 1006)], ids=["uvicorn", "daphne"])
async def test_a_client_goes_on_at_the_other_process(site, stopped, code):
    """What changes while it is away is told when it comes back, and nothing twice."""
    # One that does not know which processes other tests have stopped.
    nginx = site.nginx()
    node, left = site.nodes[stopped], site.nodes[1 - stopped]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(nginx.client()) for _ in range(SEVERAL)]
        replicas = {client: await keep(client, "questions") for client in clients}
        await asyncio.to_thread(node.stop)
        assert node.process.returncode in (0, -node.stop_signal)
        closed = [await is_closed(client) for client in clients]
        gone, stays = clients[closed.index(True)], clients[closed.index(False)]
        assert gone.socket.close_code == code
        made = await made_by(stays, replicas[stays])
        async with nginx.client() as back:
            replica = replicas[gone]
            await keep(back, "questions", replica, **replica.resume_data())
            assert replica.recovered
            replica.event((await back.receive())["payload"])
            assert replica.rows[made] == replicas[stays].rows[made]
            assert replica.rows == replicas[stays].rows
    assert left.running


async def is_closed(client: SocketClient) -> bool:
    """Whether the server has closed a socket; one that is open answers."""
    try:
        assert await statuses(client, 1) == [200]
    except websockets.ConnectionClosed:
        return True
    return False


async def made_by(client: SocketClient, replica: Replica) -> int:
    """A row that a client with a replica has made."""
    events: list = []
    data = {"question_text": "meanwhile"}
    reply = await client.request("questions", "create", data=data, events=events)
    for frame in events or [await client.receive()]:
        replica.event(frame["payload"])
    return reply["data"]["id"]


async def test_tasks_run_in_the_workers_of_the_unit(nginx):
    async with nginx.client() as client:
        await client.request("reports", "build", data={"words": ["why"]})
        last = (await follow(client))[-1]["payload"]
        assert last["data"]["result"].keys() == {"why"}


async def test_a_reload_ends_old_sockets_in_the_end(site):
    """After a second, instead of five minutes; new ones are served at once."""
    nginx = site.nginx({"worker_shutdown_timeout 5m;": "worker_shutdown_timeout 1s;"})
    async with nginx.client() as old:
        nginx.process.send_signal(1)  # HUP
        _, code = await old.until_closed()
        assert code == 1006
        async with nginx.client() as new:
            assert await statuses(new, 1) == [200]
