"""The log in Redis: its numbers, what it can't tell any more, and a Redis that goes away."""

import asyncio
import contextlib
import contextvars
import gc
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator

import pytest
import redis
from channels.layers import get_channel_layer
from redis.crc import key_slot

from channels_api import logs
from channels_api.layers import sender
from channels_api.live import redis_log, redis_outbox
from channels_api.live.log import ANYTHING, Change, Hint, Position, Replay, Topic
from channels_api.live.redis_log import MOST_HINTS, RedisLog
from channels_api.live.redis_scripts import TOP, Call
from tests.plugin import require_program
from tests.servers import ROOT, RedisServer

TOPIC, OTHER = Topic("app.question", "default"), Topic("app.question", "other")
TOP_KEY, CHANGES_KEY = Call(TOP, TOPIC).keys


@pytest.fixture(scope="module")
def one_server() -> Iterator[RedisServer]:
    require_program("redis-server")
    with RedisServer() as server:
        yield server


@pytest.fixture
def server(one_server) -> Iterator[RedisServer]:
    """A Redis that is empty; the tests may stop and kill it."""
    (one_server.directory / "dump.rdb").unlink(missing_ok=True)
    if not one_server.running:
        one_server.start()
    with admin(one_server) as client:
        client.flushall()
    yield one_server
    if one_server.running:
        one_server.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def admin(server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port, decode_responses=True) as client:
        yield client


@pytest.fixture
def make_log(server):
    """A function that makes a log, as another process would have it; all are closed."""
    made = []

    def make() -> RedisLog:
        made.append(RedisLog(server.url))
        return made[-1]

    yield make
    for log in made:
        in_sender(log.close())


@pytest.fixture
async def log(make_log):
    log = make_log()
    yield log
    await log.close()


def in_sender(coroutine):
    loop = sender.get_sender().loop
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)


class Rung:
    """A ring, and the hints that it was given."""

    def __init__(self) -> None:
        self.calls: list[list[Hint]] = []
        self._some = threading.Condition()

    def __call__(self, hints: list[Hint]) -> None:
        with self._some:
            self.calls.append(hints)
            self._some.notify_all()

    @property
    def hints(self) -> list[Hint]:
        return [hint for hints in self.calls for hint in hints]

    async def wait(self, enough=bool) -> list[Hint]:
        """All hints, as soon as they are enough."""

        def wait() -> bool:
            with self._some:
                return self._some.wait_for(lambda: enough(self.hints), 20)

        assert await asyncio.to_thread(wait), self.hints
        return self.hints


def changes(*pks, operation: str = "update") -> list[Change]:
    return [Change(pk, operation) for pk in pks]


async def publish(log: RedisLog, topic: Topic, *rows: Change) -> list[Hint]:
    rung = Rung()
    log.publish(topic, rows, rung)
    return await rung.wait()


def publish_in_one_go(log: RedisLog, *published: tuple[Topic, list[Change], Rung]) -> None:
    """Publish while the log is busy with something else, so that all of it waits together."""

    def ring(hints: list[Hint]) -> None:
        for topic, rows, rung in published:
            log.publish(topic, rows, rung)

    log.publish(Topic("app.first", "default"), changes(1), ring)


@pytest.fixture
def threads_switch_often() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


async def top(log: RedisLog) -> Position:
    return (await log.tops([TOPIC]))[TOPIC]


async def until(condition, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


class TestNumbers:
    async def test_each_change_has_the_next_number(self, log):
        start = await top(log)
        rows = [Change(1, "create"), Change("1", "update"), Change("ä\ud800", "delete")]
        first = await publish(log, TOPIC, *rows)
        epoch = start.epoch
        assert start == Position(epoch, 0)
        assert first == [
            Hint(TOPIC, Position(epoch, 1), rows[0]),
            Hint(TOPIC, Position(epoch, 2), rows[1]),
            Hint(TOPIC, Position(epoch, 3), rows[2]),
        ]
        assert await publish(log, TOPIC, Change(1, "delete")) == [
            Hint(TOPIC, Position(epoch, 4), Change(1, "delete"))
        ]
        end = Position(epoch, 4)
        assert await log.since(TOPIC, start) == Replay([*rows, Change(1, "delete")], end)
        assert await log.since(TOPIC, Position(epoch, 3)) == Replay([Change(1, "delete")], end)
        assert await log.since(TOPIC, end) == Replay([], end)

    async def test_a_topic_has_its_own(self, log):
        await publish(log, TOPIC, *changes(1, 2))
        tops = await log.tops([OTHER, TOPIC])
        assert [tops[TOPIC].seq, tops[OTHER].seq] == [2, 0]
        assert tops[TOPIC].epoch != tops[OTHER].epoch
        assert await log.tops([]) == {}

    async def test_many_threads_at_once(self, log, threads_switch_often):
        start, rung = await top(log), Rung()

        def work(thread: int) -> None:
            for number in range(100):
                log.publish(TOPIC, changes(f"{thread}-{number}"), rung)

        await asyncio.gather(*(asyncio.to_thread(work, thread) for thread in range(8)))
        hints = await rung.wait(lambda hints: hints and hints[-1].position.seq == 800)
        assert [hint.position.seq for hint in hints] == sorted(
            {hint.position.seq for hint in hints}
        )
        told = await log.since(TOPIC, start)
        assert told.fault is None
        for thread in range(8):
            own = [row.pk for row in told.changes if row.pk.startswith(f"{thread}-")]
            assert own == [f"{thread}-{number}" for number in range(100)]

    async def test_what_is_published_at_once_is_appended_at_once(self, log):
        """Although another thread publishes meanwhile, and what waits is taken for that."""
        rung, other = Rung(), Rung()
        thread = threading.Thread(target=log.publish, args=(OTHER, changes(1), other))

        class Interrupted(list):
            def __iter__(self):
                yield self[0]
                thread.start()
                thread.join(0.1)
                in_sender(asyncio.sleep(0))
                yield self[1]

        log.publish(TOPIC, Interrupted(changes(1, 2)), rung)
        await other.wait()
        await rung.wait(lambda hints: len(hints) == 2)
        assert len(rung.calls) == 1
        thread.join()

    async def test_processes_share_it(self, log, make_log):
        other = make_log()
        start = await top(log)
        await publish(log, TOPIC, *changes(1))
        assert await publish(other, TOPIC, *changes(2)) == [
            Hint(TOPIC, Position(start.epoch, 2), Change(2, "update"))
        ]
        await publish(log, TOPIC, *changes(3))
        assert await other.since(TOPIC, start) == Replay(changes(1, 2, 3), Position(start.epoch, 3))
        assert await other.tops([TOPIC]) == {TOPIC: Position(start.epoch, 3)}
        await other.close()


class TestWaiting:
    """What is published while the log is busy is put together."""

    async def test_a_row_is_told_once(self, log):
        start, rung = await top(log), Rung()
        publish_in_one_go(
            log,
            (TOPIC, [Change(1, "create"), Change(2, "update")], rung),
            (TOPIC, [Change(1, "update"), Change("2", "update")], rung),
            (TOPIC, [Change(2, "delete")], rung),
        )
        rows = [Change(1, "create"), Change(2, "delete"), Change("2", "update")]
        assert [hint.change for hint in await rung.wait()] == rows
        assert (await log.since(TOPIC, start)).changes == rows

    async def test_a_reset_covers_the_rest(self, log):
        rung = Rung()
        publish_in_one_go(
            log,
            (TOPIC, changes(0, 1), rung),
            (TOPIC, [ANYTHING], rung),
            (TOPIC, changes(0, 2), rung),
            (OTHER, changes(1), rung),
        )
        hints = await rung.wait(lambda hints: len(hints) == 2)
        assert [(hint.topic, hint.position.seq, hint.change) for hint in hints] == [
            (TOPIC, 1, ANYTHING),
            (OTHER, 1, Change(1, "update")),
        ]

    async def test_too_many_rows_become_a_reset(self, log, monkeypatch):
        monkeypatch.setattr(redis_outbox, "CAPACITY", 5)
        rung, third = Rung(), Topic("app.third", "default")
        publish_in_one_go(
            log,
            (TOPIC, changes(1, 2, 3), rung),
            (OTHER, changes(1, 2, 3), rung),
            # That of the other topic counts one row now.
            (TOPIC, changes(4, 1), rung),
            (third, changes(1), rung),
            (TOPIC, changes(2), rung),
        )
        hints = await rung.wait(lambda hints: len(hints) == 6)
        assert [(hint.topic, hint.change) for hint in hints] == [
            *((TOPIC, change) for change in changes(1, 2, 3, 4)),
            (OTHER, ANYTHING),
            (third, ANYTHING),
        ]

    async def test_the_outbox_is_bounded(self, log, server, settings):
        settings.CHANNELS_API = {"HISTORY_SIZE": 100}
        with admin(server) as client:
            client.config_resetstat()
        rung = Rung()
        publish_in_one_go(
            log,
            (TOPIC, changes(*range(redis_outbox.CAPACITY)), rung),
            (OTHER, changes(1), rung),
        )
        hints = await rung.wait(lambda hints: len(hints) == 2)
        assert [(hint.topic, hint.position.seq, hint.change) for hint in hints] == [
            (TOPIC, 10_000, Change(9_999, "update")),
            (OTHER, 1, ANYTHING),
        ]
        with admin(server) as client:
            written = client.info("commandstats")["cmdstat_xadd"]["calls"]
        # What would be trimmed at once is not written first.
        assert written == 1 + 100 + 1

    async def test_of_many_only_the_last_is_rung(self, log):
        assert len(await publish(log, TOPIC, *changes(*range(MOST_HINTS)))) == MOST_HINTS
        (hint,) = await publish(log, TOPIC, *changes(*range(MOST_HINTS + 1)))
        assert (hint.position.seq, hint.change) == (2 * MOST_HINTS + 1, Change(20, "update"))

    async def test_a_ring_that_fails_stops_nothing(self, log):
        def fail(hints: list[Hint]) -> None:
            raise ValueError

        log.publish(TOPIC, changes(1), fail)
        assert [hint.position.seq for hint in await publish(log, TOPIC, *changes(2))] == [2]

    async def test_it_belongs_to_nobody(self, log):
        """Not to the request whose change happened to be the first."""
        mine = contextvars.ContextVar("mine", default=None)
        mine.set("request")
        heard = asyncio.Future()
        loop = asyncio.get_running_loop()
        log.publish(
            TOPIC, changes(1), lambda hints: loop.call_soon_threadsafe(heard.set_result, mine.get())
        )
        assert await asyncio.wait_for(heard, 20) is None

    async def test_a_layer_that_hangs_delays_nothing(self, server, settings, monkeypatch):
        # A sender of its own, since it will hang for a while.
        monkeypatch.setattr(sender, "_current", None)
        monkeypatch.setattr(sender, "TIMEOUT", 3)
        monkeypatch.setattr(sender, "PAUSE", 0)
        settings.CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "tests.live_layers.TroubledLayer",
                "CONFIG": {"mode": "hangs"},
            }
        }
        sender.send([sender.Message("group", {"type": "x"})] * 2)
        layer, log = get_channel_layer(), RedisLog(server.url)
        assert await asyncio.to_thread(layer.called.wait, 10)
        await publish(log, TOPIC, *changes(1))
        # The second message has not even been tried.
        assert layer.calls == {"group_send": 1}
        in_sender(log.close())


class TestWhatCantBeTold:
    async def test_trimmed(self, log, settings):
        settings.CHANNELS_API = {"HISTORY_SIZE": 3}
        epoch, _ = await top(log)
        await publish(log, TOPIC, *changes(1, 2))
        await publish(log, TOPIC, *changes(3, 4))
        end = Position(epoch, 4)
        assert await log.since(TOPIC, Position(epoch, 0)) == Replay([], end, "trimmed")
        assert await log.since(TOPIC, Position(epoch, 1)) == Replay(changes(2, 3, 4), end)
        # More at once than is kept.
        await publish(log, TOPIC, *changes(*range(10)))
        end = Position(epoch, 14)
        assert await log.since(TOPIC, Position(epoch, 10)) == Replay([], end, "trimmed")
        assert await log.since(TOPIC, Position(epoch, 11)) == Replay(changes(7, 8, 9), end)

    async def test_reset(self, log):
        start = await top(log)
        await publish(log, TOPIC, ANYTHING)
        assert await log.since(TOPIC, start) == Replay([], Position(start.epoch, 1), "trimmed")

    @pytest.mark.parametrize("seq", [3, 2**53 + 1, 2**63 - 1])
    async def test_ahead(self, log, seq):
        (_, end) = [each.position for each in await publish(log, TOPIC, *changes(1, 2))]
        assert await log.since(TOPIC, Position(end.epoch, seq)) == Replay([], end, "ahead")

    @pytest.mark.parametrize("seq", [-1, -(2**63)])
    async def test_before_the_beginning(self, log, seq):
        """Nobody was ever told such a position, but anybody can send one."""
        (_, end) = [each.position for each in await publish(log, TOPIC, *changes(1, 2))]
        assert await log.since(TOPIC, Position(end.epoch, seq)) == Replay([], end, "trimmed")

    async def test_long_ago(self, log, server):
        """What is missing is not counted one by one."""
        end = await top(log)
        with admin(server) as client:
            client.hset(TOP_KEY, "seq", 10**12)
        told = await log.since(TOPIC, end)
        assert told == Replay([], Position(end.epoch, 10**12), "trimmed")
        assert await publish(log, TOPIC, *changes(1)) == [
            Hint(TOPIC, Position(end.epoch, 10**12 + 1), Change(1, "update"))
        ]
        assert (await log.since(TOPIC, Position(end.epoch, 10**12))).changes == changes(1)

    @pytest.mark.parametrize("epoch", ["", "x", "ä", "-"])
    async def test_another_epoch(self, log, epoch):
        (_, end) = [each.position for each in await publish(log, TOPIC, *changes(1, 2))]
        assert await log.since(TOPIC, Position(epoch, 1)) == Replay([], end, "epoch")

    async def test_a_topic_that_is_idle_for_long(self, log, server, settings):
        settings.CHANNELS_API = {"HISTORY_SECONDS": 0.1}
        (first, end) = [each.position for each in await publish(log, TOPIC, *changes(1, 2))]
        with admin(server) as client:
            await until(lambda: not client.exists(CHANGES_KEY))
            assert client.ttl(TOP_KEY) > 6 * 24 * 3600
        assert await log.since(TOPIC, end) == Replay([], end)
        assert await log.since(TOPIC, first) == Replay([], end, "trimmed")
        settings.CHANNELS_API = {}
        (hint,) = await publish(log, TOPIC, *changes(3))
        assert hint.position == Position(end.epoch, 3)
        assert await log.since(TOPIC, end) == Replay(changes(3), hint.position)
        with admin(server) as client:
            assert 290 < client.ttl(CHANGES_KEY) <= 300

    async def test_who_asks_keeps_the_numbers(self, log, server):
        (hint,) = await publish(log, TOPIC, *changes(1))
        with admin(server) as client:
            client.expire(TOP_KEY, 60)
            assert await top(log) == hint.position
            assert client.ttl(TOP_KEY) > 6 * 24 * 3600

    @pytest.mark.parametrize("lost", [[TOP_KEY], [TOP_KEY, CHANGES_KEY]], ids=["evicted", "both"])
    async def test_redis_has_forgotten_it(self, log, server, lost):
        (_, before) = [each.position for each in await publish(log, TOPIC, *changes(1, 2))]
        with admin(server) as client:
            client.delete(*lost)
        (hint,) = await publish(log, TOPIC, *changes(3))
        assert hint.position.seq == 1
        assert hint.position.epoch != before.epoch
        assert await log.since(TOPIC, before) == Replay([], hint.position, "epoch")
        whole = Position(hint.position.epoch, 0)
        assert await log.since(TOPIC, whole) == Replay(changes(3), hint.position)

    async def test_flushall(self, log, server):
        (hint,) = await publish(log, TOPIC, *changes(1))
        with admin(server) as client:
            client.flushall()
        replay = await log.since(TOPIC, hint.position)
        assert replay == Replay([], await top(log), "epoch")
        assert replay.top.seq == 0

    async def test_redis_comes_back_with_what_it_had_saved(self, log, server):
        """Numbers are given again, for other changes: that must not look like the same log."""
        await publish(log, TOPIC, *changes(1, 2))
        with admin(server) as client:
            client.save()
        (_, lost) = [each.position for each in await publish(log, TOPIC, *changes(3, 4))]
        kill(server)
        await asyncio.to_thread(server.start)
        (_, again) = [each.position for each in await publish(log, TOPIC, *changes(5, 6))]
        assert again.seq == lost.seq == 4
        assert await log.since(TOPIC, lost) == Replay([], again, "epoch")


def kill(server: RedisServer) -> None:
    server.process.kill()
    server.process.wait()


@pytest.fixture
def faults(caplog, monkeypatch):
    """A function that tells whether a failure to append was logged in this test."""
    monkeypatch.setattr(logs, "_last", {})
    caplog.set_level(logging.ERROR, "channels_api")
    return lambda: any("can't be logged; trying again" in line for line in caplog.messages)


class TestOutages:
    async def test_a_redis_that_hangs(self, make_log, server, faults, monkeypatch):
        monkeypatch.setattr(redis_log, "TIMEOUT", 0.1)
        log = make_log()
        start, rung = await top(log), Rung()
        server.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        log.publish(TOPIC, changes(0), rung)
        in_sender(asyncio.sleep(0))  # it is on its way now
        for pk in range(1, 200):
            log.publish(TOPIC, changes(pk), rung)
        assert time.monotonic() - began < 5
        await until(faults)
        log.publish(TOPIC, changes("late"), rung)
        with pytest.raises(redis.TimeoutError):
            await log.tops([TOPIC])
        assert rung.calls == []
        server.process.send_signal(signal.SIGCONT)
        await rung.wait(lambda hints: hints and hints[-1].change.pk == "late")
        replay = await log.since(TOPIC, start)
        assert replay.fault is None
        # Twice where the answer was late.
        assert list(dict.fromkeys(row.pk for row in replay.changes)) == [*range(200), "late"]
        await log.close()

    async def test_a_redis_that_is_gone(self, log, server, faults):
        before, rung = await top(log), Rung()
        kill(server)
        began = time.monotonic()
        for pk in range(200):
            log.publish(TOPIC, changes(pk), rung)
        assert time.monotonic() - began < 5
        with pytest.raises(redis.ConnectionError):
            await log.tops([TOPIC])
        await until(faults)
        assert rung.calls == []
        await asyncio.to_thread(server.start)
        (hint,) = await rung.wait()
        assert hint.change == Change(199, "update")
        assert (await log.since(TOPIC, before)).fault == "epoch"
        replay = await log.since(TOPIC, Position(hint.position.epoch, 0))
        assert replay == Replay(changes(*range(200)), hint.position)

    async def test_a_redis_that_takes_no_connections(self, monkeypatch):
        monkeypatch.setattr(redis_log, "TIMEOUT", 0.1)
        with contextlib.ExitStack() as stack:
            door = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            # More than one stays before the door.
            for _ in range(3):
                visitor = stack.enter_context(socket.socket())
                visitor.setblocking(False)
                visitor.connect_ex(door.getsockname())
            log = RedisLog(f"redis://127.0.0.1:{door.getsockname()[1]}")
            with pytest.raises(redis.TimeoutError):
                await asyncio.wait_for(log.tops([TOPIC]), 10)

    async def test_a_redis_that_became_a_replica(self, log, server, faults):
        """Another one is found under its name then, but not through the old connection."""
        start, rung = await top(log), Rung()
        with admin(server) as client:
            client.replicaof("127.0.0.1", "1")
            log.publish(TOPIC, changes(1), rung)
            with pytest.raises(redis.exceptions.ReadOnlyError):
                await log.tops([TOPIC])
            await until(faults)
            await until(lambda: connections(server) == 1)  # this one
            client.replicaof("NO", "ONE")
        await rung.wait()
        assert (await log.since(TOPIC, start)).changes == changes(1)

    async def test_a_process_that_can_start_no_thread(self, log, monkeypatch, faults):
        def refuse() -> None:
            raise RuntimeError("can't start new thread")

        rung = Rung()
        with monkeypatch.context() as patch:
            patch.setattr(redis_log, "get_sender", refuse)
            log.publish(TOPIC, changes(1), rung)
        log.publish(TOPIC, changes(2), rung)
        hints = await rung.wait(lambda hints: len(hints) == 2)
        assert [hint.change for hint in hints] == changes(1, 2)

    async def test_too_many_rows_while_redis_is_gone(self, log, server, faults, monkeypatch):
        monkeypatch.setattr(redis_outbox, "CAPACITY", 5)
        await log.tops([TOPIC])
        rung = Rung()
        kill(server)
        log.publish(TOPIC, changes(1, 2, 3), rung)
        await until(faults)
        log.publish(TOPIC, changes(4, 5, 6), rung)
        await asyncio.to_thread(server.start)
        assert [hint.change for hint in await rung.wait()] == [ANYTHING]

    async def test_the_first_call_after_a_restart(self, log, server):
        await log.tops([TOPIC])
        await publish(log, TOPIC, *changes(1))
        kill(server)
        await asyncio.to_thread(server.start)
        assert (await top(log)).seq == 0
        (hint,) = await publish(log, TOPIC, *changes(2))
        assert hint.position.seq == 1

    async def test_connections_that_are_cut(self, log, server):
        start = await top(log)
        for pk in range(5):
            await publish(log, TOPIC, *changes(pk))
            with admin(server) as client:
                assert client.client_kill_filter(_type="normal", skipme=True) >= 1
            assert (await top(log)).seq == pk + 1
        assert (await log.since(TOPIC, start)).changes == changes(*range(5))

    async def test_a_topic_that_redis_refuses(self, log, server, faults):
        """It waits, the others don't."""
        with admin(server) as client:
            client.set(CHANGES_KEY, "of somebody else")
            client.hset(TOP_KEY, "epoch", "e")
            refused, rung = Rung(), Rung()
            publish_in_one_go(log, (TOPIC, changes(1), refused), (OTHER, changes(1), rung))
            assert [hint.topic for hint in await rung.wait()] == [OTHER]
            await until(faults)
            assert refused.calls == []
            client.delete(CHANGES_KEY)
        (hint,) = await refused.wait()
        assert hint.change == Change(1, "update")
        assert (await log.tops([OTHER]))[OTHER].seq == 1


class TestCallers:
    async def test_who_is_cancelled_leaves_a_connection_that_answers(self, log):
        await publish(log, TOPIC, *changes(1, 2))
        await publish(log, OTHER, *changes(3))
        start, cancelled = Position((await top(log)).epoch, 0), 0
        for steps in range(100):
            calls = [log.tops([OTHER]), log.since(TOPIC, start), log.tops([OTHER])]
            tasks = [asyncio.ensure_future(call) for call in calls]
            for _ in range(steps % 15):
                await asyncio.sleep(0)
            for task in tasks:
                cancelled += task.cancel()
            if steps % 2:
                await asyncio.wait(tasks)
            assert (await top(log)).seq == 2
            assert (await log.since(TOPIC, start)).changes == changes(1, 2)
        assert cancelled > 100

    async def test_many_use_one_connection(self, log, server):
        await asyncio.gather(*(log.tops([TOPIC]) for _ in range(100)))
        assert connections(server) == 1
        await log.close()
        assert connections(server) == 0
        assert (await top(log)).seq == 0

    async def test_a_close_waits_for_who_is_using_it(self, log, server):
        start = await top(log)
        replays = [log.since(TOPIC, start) for _ in range(20)]
        *found, _ = await asyncio.gather(*replays, log.close())
        assert found == [Replay([], start)] * 20
        assert connections(server) == 0

    def test_event_loops_that_follow_each_other(self, make_log, server):
        log = make_log()

        async def use() -> None:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(log.tops([TOPIC]), 0)
            assert (await log.since(TOPIC, await top(log))).fault is None
            await log.close()

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(3):
                asyncio.run(use())
            gc.collect()
        assert [str(each.message) for each in caught] == []
        assert connections(server) == 0


def connections(server: RedisServer) -> int:
    """Those that are open, but for the one that asks."""
    with admin(server) as client:
        own = client.client_id()
        return sum(int(each["id"]) != own for each in client.client_list(_type="normal"))


async def test_in_a_cluster_the_keys_of_a_topic_are_on_one_node(log, server):
    await publish(log, TOPIC, *changes(1))
    with admin(server) as client:
        keys = client.keys()
    assert sorted(keys) == sorted([TOP_KEY, CHANGES_KEY])
    assert len({key_slot(key.encode()) for key in keys}) == 1
    # And those of all topics are not.
    assert key_slot(TOP_KEY.encode()) != key_slot(Call(TOP, OTHER).keys[0].encode())


SCRIPT = """
import asyncio, gc, os, sys
from django.conf import settings
settings.configure()
from channels_api.layers import sender
from channels_api.live import redis_log
from channels_api.live.log import Change, Topic
from channels_api.live.redis_log import RedisLog

redis_log.TIMEOUT = 20
TOPIC = Topic("app.question", "default")
log = RedisLog(sys.argv[1])
ring = lambda hints: None
"""

FORK = """
sender.FINISH_TIMEOUT = 20

async def main():
    await log.tops([TOPIC])
    sent = asyncio.Event()
    told = lambda hints: loop.call_soon_threadsafe(sent.set)
    loop = asyncio.get_running_loop()
    log.publish(TOPIC, [Change("sent", "update")], told)
    await sent.wait()
    input()  # Redis is stopped now
    log.publish(TOPIC, [Change("parent", "update")], ring)
    log.publish(TOPIC, [Change("parent", "update"), Change("waiting", "update")], ring)
    child = os.fork()
    if child == 0:
        gc.collect()
        log.publish(TOPIC, [Change("child", "update")], ring)
        print("goes on", flush=True)
        asyncio.run(log.tops([TOPIC]))
        sender.finish()
        os._exit(0)
    os.waitpid(child, 0)
    await log.tops([TOPIC])
    await log.close()

asyncio.run(main())
"""


def script(server: RedisServer, code: str) -> subprocess.Popen:
    return subprocess.Popen(
        # Newer Pythons warn of every fork of a process with threads.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCRIPT + code, server.url],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


class TestProcesses:
    async def test_one_that_ends_at_once(self, log, server):
        start = await top(log)
        code = "log.publish(TOPIC, [Change(1, 'create'), Change('1', 'update')], ring)"
        output, errors = await asyncio.to_thread(script(server, code).communicate)
        assert (output, errors) == ("", "")
        replay = await log.since(TOPIC, start)
        assert replay.changes == [Change(1, "create"), Change("1", "update")]

    async def test_one_that_ends_without_a_redis(self, server):
        kill(server)
        code = """
import logging
logging.getLogger("channels_api").addHandler(logging.NullHandler())
sender.FINISH_TIMEOUT = 0.3
log.publish(TOPIC, [Change(1, "create")], ring)
"""
        process = script(server, code)
        output, errors = await asyncio.to_thread(process.communicate, timeout=20)
        assert (process.returncode, output, errors) == (0, "", "")

    async def test_a_forked_child(self, log, server):
        """What waits in the parent is sent by the parent alone."""
        start = await top(log)
        process = script(server, FORK)

        def is_sent() -> bool:
            with admin(server) as client:
                return client.exists(CHANGES_KEY)

        await until(is_sent)
        server.process.send_signal(signal.SIGSTOP)
        process.stdin.write("\n")
        process.stdin.flush()
        assert await asyncio.to_thread(process.stdout.readline) == "goes on\n"
        server.process.send_signal(signal.SIGCONT)
        output, errors = await asyncio.to_thread(process.communicate, timeout=20)
        assert (process.returncode, output, errors) == (0, "", "")
        replay = await log.since(TOPIC, start)
        told = [row.pk for row in replay.changes]
        assert told[0] == "sent"
        # "parent" was on its way when it was published again, so that it may come twice.
        assert sorted(set(told)) == ["child", "parent", "sent", "waiting"]
        assert [told.count("child"), told.count("waiting")] == [1, 1]
