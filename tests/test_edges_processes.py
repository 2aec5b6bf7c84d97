"""Processes at the edges: a forked child, a short command, a client that is given up."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from channels_api.exceptions import CloseCode
from tests.app.models import Question
from tests.client import SocketClient
from tests.conftest import database_names
from tests.live_helpers import do, event, question, subscribe, subscriber, until
from tests.plugin import require_program
from tests.servers import ROOT, RedisServer

LIMIT = 20
TOPIC = 'Topic("app.question", "default")'

#: A parent whose event loop has a hub, and a child that publishes. The loop writes down who calls
#: it from outside, which is what would wake the parent.
FORK = f"""
import asyncio, logging, os, threading
import django
django.setup()
from channels_api.live import bell, hub
from channels_api.live.changes import publish
from channels_api.live.log import Change, Topic

logging.basicConfig()
topic = {TOPIC}
woken = []

class Loop(asyncio.SelectorEventLoop):
    def call_soon_threadsafe(self, *args, **kwargs):
        woken.append(os.getpid())
        return super().call_soon_threadsafe(*args, **kwargs)

class Reader:
    user_topic = None
    is_over = False

Reader.topic = topic

class Audience:
    reader = Reader
    key = "all"
    only_row = None
    heard = []
    def mark(self, changes):
        self.heard.extend(change.pk for change in changes)

async def parent():
    await hub.get_hub().hold(Reader)
    hub.get_hub()._topics[topic].audiences.add(Audience())
    publish(topic, [Change(1, "update")])
    await asyncio.sleep(0)
    FORK_HERE
    if not pid:
        woken.clear()
        publish(topic, [Change(2, "update")])
        print("child woke", len(woken), "loops", flush=True)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    publish(topic, [Change(3, "update")])
    await asyncio.sleep(0)
    print("parent heard", Audience.heard, flush=True)

loop = Loop()
loop.run_until_complete(parent())
"""

#: Another thread of the parent is ringing at the fork. In the child that thread does not go on.
HELD = """held, free = threading.Event(), threading.Event()
    def ring():
        with bell.hubs._lock:
            held.set()
            free.wait()
    threading.Thread(target=ring, daemon=True).start()
    held.wait()
    pid = os.fork()
    free.set()"""

SAVE = """
import sys
import django
django.setup()
import tests.app.streams
from tests.app.models import Question
Question.objects.create(question_text=sys.argv[1])
"""


def python(code: str, *arguments: str, env=None) -> subprocess.Popen:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **(env or {})}
    return subprocess.Popen(
        # A fork while there are threads is what is tested; newer Pythons warn of any.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("fork", ["pid = os.fork()", HELD], ids=["quiet", "ringing"])
def test_a_forked_child_does_not_ring_in_its_parents_loops(fork):
    """The log's numbers of the two are apart as well: no change of the parent seems lost."""
    with python(FORK.replace("FORK_HERE", fork), env={"TEST_LAYER": "memory"}) as process:
        try:
            printed, _ = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
    assert printed.splitlines() == ["child woke 0 loops", "parent heard [1, 3]"]


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    require_program("redis-server")
    with RedisServer() as server:
        yield server


async def test_what_a_command_saved_is_told_though_it_ends_at_once(
    app_server, transactional_db, redis_server
):
    env = {"TEST_LAYER": "redis", "TEST_REDIS_URL": redis_server.url}
    server = app_server(env=env)
    names = [f"command {number}" for number in range(3)]
    async with subscriber(server.url + "ws/", "live") as client:
        for name in names:
            process = python(SAVE, name, env={**env, **database_names()})
            printed, _ = await asyncio.to_thread(process.communicate, timeout=LIMIT)
            assert (process.returncode, printed) == (0, "")
            row = await Question.objects.aget(question_text=name)
            told = await client.receive(timeout=LIMIT)
            assert told == event("live", "create", row.pk, question(row.pk, name))


async def test_a_client_that_is_given_up_has_no_subscriptions(app_server, transactional_db):
    """From the moment on, though it neither reads nor goes away. Daphne takes whatever is sent."""
    server = app_server("uvicorn", channels_api={"SEND_TIMEOUT": 0.5})
    url = server.url + "ws/"
    async with SocketClient(url, compression=None) as sleeper, subscriber(url, "live") as other:
        for name in ("live-published", "live-other"):
            await subscribe(sleeper, name)

        async def topics() -> int:
            return (await do(other, "look", stream="live-state"))["topics"]

        assert await topics() == 2
        sleeper.socket.transport.pause_reading()
        for number in range(20):
            await sleeper.send("load-a", "large", data=1_000_000, request_id=number)

        state: dict = {}

        async def only_the_others() -> bool:
            state.update(await do(other, "look", stream="live-state"))
            return (state["topics"], state["audiences"]) == (1, 1)

        await until(only_the_others)
        # Not because the socket has ended: both are served.
        assert state["tasks"].count("WebSocketProtocol.run_asgi") == 2
        # The other one goes on.
        data, events = {"question_text": "a"}, []
        pk = (await other.request("live-write", "create", data=data, events=events))["data"]
        told = events[0] if events else await other.receive()
        assert told == event("live", "create", pk, question(pk))
        sleeper.socket.transport.resume_reading()
        _, code = await sleeper.until_closed(timeout=LIMIT)
        assert code == CloseCode.TOO_SLOW


async def test_a_limit_of_none_is_no_limit(app_server, transactional_db):
    limits = ["MAX_SUBSCRIPTIONS", "MAX_IN_FLIGHT", "MAX_QUEUED", "MAX_FRAME_BYTES"]
    limits += ["MAX_REPLY_BYTES", "MAX_DEPTH", "FRAME_RATE", "FRAME_BURST"]
    server = app_server(
        # Daphne has a limit of its own for a frame, either way: 1 MiB.
        "uvicorn",
        channels_api=dict.fromkeys([*limits, "ACTION_TIMEOUT", "SEND_TIMEOUT"]),
    )
    rows = await Question.objects.abulk_create(
        [Question(question_text=str(number)) for number in range(101)]
    )
    pks = [row.pk async for row in Question.objects.order_by("pk")]
    assert len(pks) == len(rows)
    async with subscriber(server.url + "ws/", "live") as client:
        for pk in pks:
            await client.send("live", "subscribe", pk=pk, data={"action": "*"}, request_id=pk)
        replies = [(await client.receive(timeout=LIMIT))["payload"] for _ in pks]
        assert [reply["request_id"] for reply in replies] == pks
        assert {reply["response_status"] for reply in replies} == {200}
        nested: list = []
        for _ in range(100):
            nested = [nested]
        data = {"text": "x" * 500_000, "nested": nested}
        reply = await client.request("edges-failing", "echo", data=data, timeout=LIMIT)
        assert reply["data"] == data
        reply = await client.request("load-a", "large", data=2_000_000, timeout=LIMIT)
        assert reply["data"] == "x" * 2_000_000
