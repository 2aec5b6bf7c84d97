"""The thread pool as a plain object: bounded and fair, and only its result leaves a call."""

import asyncio
import contextvars
import functools
import gc
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import OperationalError, connection, connections
from django.utils import translation

from channels_api.pool import ThreadPool
from channels_api.threads import ALONE, LIVE, RESERVED, Call, run_in_thread
from tests.app.models import Question

# Seconds until a test that fails gives up; none is waited for in one that passes.
LIMIT = 10

variable = contextvars.ContextVar("variable")


@contextmanager
def pool_of(size: int) -> Iterator[ThreadPool]:
    pool = ThreadPool(size, reserved=RESERVED, alone=ALONE)
    try:
        yield pool
    finally:
        pool.close()


def submit(pool: ThreadPool, owner: object, function, *args) -> asyncio.Future:
    call = Call(function, *args)
    pool.start(owner, call)
    return call.future


class Door:
    """What a call in a thread waits at, until the test opens it; it knows who came through."""

    def __init__(self) -> None:
        self.order: list = []
        self._open = threading.Event()
        self._changed = threading.Condition()

    def pass_through(self, name: object = None) -> object:
        with self._changed:
            self.order.append(name)
            self._changed.notify_all()
        assert self._open.wait(LIMIT), "nobody opened the door"
        return name

    def open(self) -> None:
        self._open.set()

    async def reached_by(self, count: int) -> None:
        """Back when that many calls have come to the door."""

        def wait() -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: len(self.order) >= count, LIMIT)

        assert await asyncio.to_thread(wait), f"only {self.order} came to the door"


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.open()


def no_thread(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


async def gather(*futures: asyncio.Future, limit: float = LIMIT) -> list:
    return await asyncio.wait_for(asyncio.gather(*futures), limit)


class TestSize:
    async def test_all_threads_work_for_one_owner(self, door):
        """Calls that come in one go get a thread each, while there are threads."""
        with pool_of(3) as pool:
            calls = [submit(pool, "a", door.pass_through, number) for number in range(3)]
            await door.reached_by(3)
            door.open()
            assert await gather(*calls) == [0, 1, 2]

    async def test_one_idle_thread_is_not_taken_for_enough(self):
        """Two calls of one owner and one idle thread: the second call gets a new thread."""
        # A few times, since it depends on who of two threads is the first.
        for _ in range(20):
            door = Door()
            with pool_of(2) as pool:
                await submit(pool, "a", int)
                await gather(submit(pool, "a", door.pass_through), submit(pool, "a", door.open))

    async def test_no_more_threads_than_the_size(self, door):
        def pass_through(name: str) -> int:
            door.pass_through(name)
            return threading.get_ident()

        with pool_of(2) as pool:
            calls = [submit(pool, owner, pass_through, owner) for owner in "abc"]
            await door.reached_by(2)
            door.open()
            assert len(set(await gather(*calls))) == 2
        assert sorted(door.order) == ["a", "b", "c"]

    async def test_threads_start_when_there_is_work(self):
        before = set(threading.enumerate())
        with pool_of(8) as pool:
            assert not set(threading.enumerate()) - before
            await submit(pool, "a", int)
            assert len(set(threading.enumerate()) - before) == 1

    async def test_a_thread_that_can_not_be_had_is_done_without(self, monkeypatch):
        """The pool's threads sleep, and LIVE has none of its own."""
        with pool_of(2) as pool:
            await submit(pool, "a", int)
            monkeypatch.setattr(threading.Thread, "start", no_thread)
            assert await gather(submit(pool, LIVE, int, "7")) == [7]

    async def test_a_closed_pool_ends_its_threads_after_the_calls(self, door):
        pool = ThreadPool(2, reserved=RESERVED, alone=ALONE)
        calls = [submit(pool, owner, threading.current_thread) for owner in "aaaa"]
        calls.append(submit(pool, LIVE, threading.current_thread))
        pool.close()
        for thread in await gather(*calls):
            await asyncio.to_thread(thread.join, LIMIT)
            assert not thread.is_alive()


class TestTurns:
    async def test_owners_take_turns(self, door):
        """After a hundred calls of one owner, another one's first call is the next to run."""
        with pool_of(1) as pool:
            calls = [submit(pool, "busy", door.pass_through, "first")]
            await door.reached_by(1)
            calls += [submit(pool, "busy", door.pass_through, number) for number in range(99)]
            calls += [submit(pool, "other", door.pass_through, "other") for _ in range(2)]
            door.open()
            await gather(*calls)
        assert door.order[:5] == ["first", 0, "other", 1, "other"]

    async def test_the_calls_of_an_owner_keep_their_order(self, door):
        with pool_of(1) as pool:
            calls = [submit(pool, "a", door.pass_through, number) for number in range(50)]
            door.open()
            assert await gather(*calls) == list(range(50))
        assert door.order == list(range(50))

    async def test_live_is_served_while_all_threads_are_busy(self, door):
        with pool_of(2) as pool:
            calls = [submit(pool, "busy", door.pass_through, number) for number in range(9)]
            await door.reached_by(2)
            assert await gather(submit(pool, LIVE, int, "7")) == [7]
            assert door.order == [0, 1]
            door.open()
            await gather(*calls)

    async def test_a_slow_read_for_live_does_not_hold_up_the_next(self, door):
        """The pool's threads help LIVE as well, in its turn."""
        with pool_of(1) as pool:
            slow = submit(pool, LIVE, door.pass_through)
            await door.reached_by(1)
            assert await gather(submit(pool, LIVE, int, "7")) == [7]
            door.open()
            await slow


class TestResults:
    @pytest.mark.parametrize(
        ("raised", "seen"),
        [
            (ValueError("x"), ValueError),
            # Where the call is awaited these would end the event loop.
            (SystemExit(3), RuntimeError),
            (KeyboardInterrupt(), RuntimeError),
            (GeneratorExit(), RuntimeError),
            (asyncio.CancelledError(), RuntimeError),
            # A future can't hold one.
            (StopIteration(1), RuntimeError),
        ],
        ids=lambda value: getattr(value, "__name__", type(value).__name__),
    )
    async def test_an_exception_reaches_the_caller_and_spares_the_thread(self, raised, seen):
        def fail():
            raise raised

        with pool_of(1) as pool:
            thread = await submit(pool, "a", threading.current_thread)
            # Not pytest.raises: the event loop itself reacts to SystemExit in a task.
            future = submit(pool, "a", fail)
            await asyncio.wait([future], timeout=LIMIT)
            assert type(future.exception()) is seen
            assert await submit(pool, "a", threading.current_thread) is thread

    async def test_results_come_back_in_the_order_in_which_they_were_ready(self):
        told = []
        with pool_of(1) as pool:
            calls = [submit(pool, "a", int, str(number)) for number in range(200)]
            for call in calls:
                call.add_done_callback(lambda done: told.append(done.result()))
            await gather(*calls)
            await asyncio.sleep(0)
        assert told == list(range(200))

    async def test_nothing_is_kept_after_the_call(self):
        """An idle thread keeps neither the arguments nor the result of its last call."""

        class Large:
            pass

        with pool_of(1) as pool:
            large = Large()
            gone = weakref.ref(large)
            assert await submit(pool, "a", lambda it: it, large) is large
            del large
            # The thread lets go after it has handed the result over.
            await submit(pool, "b", int)
            gc.collect()
            assert gone() is None


class Pieces:
    """A job whose pieces are functions; what they return is put into a queue of the loop's."""

    def __init__(self, *functions) -> None:
        self._functions = list(functions)
        self.results: asyncio.Queue = asyncio.Queue()

    def run(self, put) -> bool:
        put(self.results.put_nowait, self._functions.pop(0)())
        return bool(self._functions)

    async def next(self) -> object:
        return await asyncio.wait_for(self.results.get(), LIMIT)


class TestPieces:
    async def test_a_result_does_not_wait_for_the_next_piece(self, door):
        """Neither the first, which wakes the loop, nor one that the loop is to look for."""
        heard = Door()
        job = Pieces(lambda: 1, lambda: heard.pass_through(2), lambda: door.pass_through(3))
        with pool_of(1) as pool:
            pool.start("a", job)
            assert await job.next() == 1
            heard.open()
            assert await job.next() == 2
            door.open()
            assert await job.next() == 3

    async def test_a_callback_that_fails_is_logged_and_the_next_is_called(self, caplog):
        class Failing(Pieces):
            def run(self, put) -> bool:
                put([].pop)
                return super().run(put)

        job = Failing(lambda: 1, lambda: 2)
        with pool_of(1) as pool:
            pool.start("a", job)
            assert [await job.next(), await job.next()] == [1, 2]
        assert "The outcome of work in a thread could not be taken" in caplog.text

    async def test_a_job_that_raises_is_told_and_spares_the_thread(self):
        class Raising(Pieces):
            def run(self, put) -> bool:
                raise SystemExit

            def fail(self, exc) -> None:
                self.results.put_nowait(type(exc))

        with pool_of(1) as pool:
            thread = await submit(pool, "a", threading.current_thread)
            job = Raising()
            pool.start("a", job)
            assert await job.next() is SystemExit
            assert await submit(pool, "a", threading.current_thread) is thread

    async def test_others_have_their_turn_between_two_pieces(self, door):
        with pool_of(1) as pool:
            pool.start("a", Pieces(*(functools.partial(door.pass_through, n) for n in range(3))))
            await door.reached_by(1)
            other = submit(pool, "b", door.pass_through, "other")
            own = submit(pool, "a", door.pass_through, "own")
            door.open()
            await gather(other, own, submit(pool, "a", int))
        assert door.order == [0, "other", "own", 1, 2]


class TestCancellation:
    async def test_a_running_call_ends_unheard(self, door):
        with pool_of(1) as pool:
            call = submit(pool, "a", door.pass_through, "unheard")
            await door.reached_by(1)
            call.cancel()
            door.open()
            assert await gather(submit(pool, "a", int, "7")) == [7]
        assert call.cancelled()
        assert door.order == ["unheard"]

    async def test_a_call_that_has_not_begun_never_does(self, door):
        """Nobody waits for it; a client that was answered 504 must not find its change later."""
        with pool_of(1) as pool:
            running = submit(pool, "a", door.pass_through, "running")
            await door.reached_by(1)
            waiting = submit(pool, "a", door.pass_through, "waiting")
            waiting.cancel()
            door.open()
            await gather(running, submit(pool, "a", int))
        assert door.order == ["running"]

    async def test_a_cancelled_caller(self, door, settings):
        settings.CHANNELS_API = {"THREADS": 1}
        task = asyncio.ensure_future(run_in_thread(door.pass_through, owner="a"))
        await door.reached_by(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        door.open()
        assert await asyncio.wait_for(run_in_thread(int, "7", owner="a"), LIMIT) == 7


class TestContext:
    async def test_context_variables_of_the_caller_are_seen(self):
        variable.set("mine")
        with pool_of(1) as pool:
            assert await submit(pool, "a", variable.get) == "mine"

    async def test_what_a_call_sets_is_not_seen_by_the_next(self):
        variable.set("mine")
        with pool_of(1) as pool:
            await submit(pool, "a", variable.set, "changed")
            assert await submit(pool, "a", variable.get) == "mine"

    @pytest.mark.parametrize("threads", [0, 2])
    async def test_the_active_language_is_that_of_the_caller(self, settings, threads):
        """Django keeps it in an asgiref Local, which is more than a context variable."""
        settings.CHANNELS_API = {"THREADS": threads}
        with translation.override("de"):
            assert await run_in_thread(translation.get_language, owner="a") == "de"
        with translation.override("fr"):
            assert await run_in_thread(translation.get_language, owner="a") == "fr"

    async def test_a_thread_has_not_that_of_who_came_first(self):
        """Some versions of Python start threads with the context of whoever starts them."""
        variable.set("mine")
        with pool_of(1) as pool:
            job = Pieces(lambda: variable.get("unset"))
            pool.start("a", job)
            assert await job.next() == "unset"


class TestLoops:
    @pytest.mark.parametrize("threads", [0, 2])
    async def test_async_to_sync_runs_on_the_loop_that_called(self, settings, threads):
        settings.CHANNELS_API = {"THREADS": threads}

        async def running_loop():
            return asyncio.get_running_loop()

        loop = await run_in_thread(async_to_sync(running_loop), owner="a")
        assert loop is asyncio.get_running_loop()

    async def test_thread_sensitive_code_below_async_to_sync_runs_in_the_same_thread(self):
        """The async ORM in a sync action uses the action's connection."""

        def threads():
            return threading.get_ident(), async_to_sync(sensitive)()

        async def sensitive():
            return await sync_to_async(threading.get_ident)()

        with pool_of(1) as pool:
            outer, inner = (await gather(submit(pool, "a", threads)))[0]
        assert outer == inner

    def test_two_loops_share_a_pool(self, door):
        async def first():
            call = submit(pool, "a", door.pass_through, "first")
            await door.reached_by(1)
            answer = await asyncio.to_thread(asyncio.run, second())
            door.open()
            return await call, answer

        async def second():
            return await asyncio.wait_for(submit(pool, "b", int, "7"), LIMIT)

        with pool_of(2) as pool:
            assert asyncio.run(first()) == ("first", 7)

    def test_a_loop_that_was_closed_while_its_call_ran(self, door):
        async def leave():
            submit(pool, "a", door.pass_through)
            await door.reached_by(1)

        async def come_back():
            return await asyncio.wait_for(submit(pool, "a", int, "7"), LIMIT)

        with pool_of(1) as pool:
            asyncio.run(leave())
            door.open()
            assert asyncio.run(come_back()) == 7

    def test_a_loop_that_was_closed_while_others_waited_for_a_thread(self, door):
        """It can look no more whether one is needed; another loop does."""

        async def leave_two(pool: ThreadPool) -> None:
            for name in ("first", "second"):
                submit(pool, name, door.pass_through, name)

        async def pass_by(pool: ThreadPool) -> list:
            return await gather(submit(pool, "third", int, "7"))

        with pool_of(4) as pool:
            asyncio.run(leave_two(pool))
            assert asyncio.run(pass_by(pool)) == [7]
        assert sorted(door.order) == ["first", "second"]

    def test_closed_loops_are_forgotten(self):
        async def call():
            await submit(pool, "a", int)
            return weakref.ref(asyncio.get_running_loop())

        with pool_of(1) as pool:
            first = asyncio.run(call())
            asyncio.run(call())
            gc.collect()
            assert first() is None


class TestSetting:
    async def test_a_changed_size_makes_a_new_pool(self, settings, door):
        """The calls of the old pool end in it, and its threads end after them."""
        settings.CHANNELS_API = {"THREADS": 1}
        old = await run_in_thread(threading.current_thread, owner="a")
        blocked = asyncio.ensure_future(run_in_thread(door.pass_through, "old", owner="a"))
        await door.reached_by(1)
        settings.CHANNELS_API = {"THREADS": 2}
        new = await asyncio.wait_for(run_in_thread(threading.current_thread, owner="a"), LIMIT)
        assert new is not old
        door.open()
        assert await asyncio.wait_for(blocked, LIMIT) == "old"
        await asyncio.to_thread(old.join, LIMIT)
        assert not old.is_alive()
        assert new.is_alive()

    async def test_the_same_size_keeps_the_pool(self, settings):
        settings.CHANNELS_API = {"THREADS": 1}
        first = await run_in_thread(threading.current_thread, owner="a")
        settings.CHANNELS_API = {"THREADS": 1, "DEFAULT_PAGE_SIZE": 3}
        assert await run_in_thread(threading.current_thread, owner="a") is first

    async def test_zero_is_the_thread_of_sync_to_async(self, settings):
        settings.CHANNELS_API = {"THREADS": 0}
        ours = await run_in_thread(threading.get_ident, owner="a")
        assert ours == await sync_to_async(threading.get_ident)()


def backend() -> object:
    """The driver's connection of this thread; a connection made anew is another object."""
    connection.ensure_connection()
    return connection.connection


@pytest.fixture
async def one_thread(settings, transactional_db):
    """`call(function, *args)` in the pool's only thread, whose connection is closed at the end."""
    settings.CHANNELS_API = {"THREADS": 1}
    await run_in_thread(connections.close_all, owner="test")
    yield functools.partial(run_in_thread, owner="test")
    await run_in_thread(connections.close_all, owner="test")


class TestConnections:
    """Around each call as Django around a request: CONN_MAX_AGE means what it says."""

    @pytest.mark.parametrize(("max_age", "kept"), [(0, False), (60, True), (None, True)])
    async def test_conn_max_age(self, one_thread, monkeypatch, max_age, kept):
        monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", max_age)
        wrapper = await one_thread(lambda: connections["default"])
        first = await one_thread(backend)
        assert (wrapper.connection is first) == kept
        assert (await one_thread(backend) is first) == kept

    async def test_a_connection_is_closed_after_a_failure_too(self, one_thread, monkeypatch):
        monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)

        def fail():
            backend()
            raise ValueError("after a query")

        wrapper = await one_thread(lambda: connections["default"])
        with pytest.raises(ValueError, match="after a query"):
            await one_thread(fail)
        assert wrapper.connection is None


# SQLite has no server that could end a connection.
if os.environ.get("TEST_DB") == "postgres":

    class TestDatabaseRestart:
        """C4: a connection that the database has ended is replaced."""

        async def end_connection(self, call):
            def terminate(pid: int) -> None:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(%s, 9000)", [pid])

            pid = await call(lambda: backend().info.backend_pid)
            await sync_to_async(terminate)(pid)

        @pytest.mark.parametrize(
            ("max_age", "health_checks"), [(0, False), (60, True)], ids=["new", "checked"]
        )
        async def test_the_next_call_works(self, one_thread, monkeypatch, max_age, health_checks):
            monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", max_age)
            monkeypatch.setitem(
                connections.settings["default"], "CONN_HEALTH_CHECKS", health_checks
            )
            await self.end_connection(one_thread)
            assert await one_thread(Question.objects.count) == 0

        async def test_without_health_checks_one_call_fails(self, one_thread, monkeypatch):
            monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 60)
            await self.end_connection(one_thread)
            with pytest.raises(OperationalError):
                await one_thread(Question.objects.count)
            assert await one_thread(Question.objects.count) == 0
