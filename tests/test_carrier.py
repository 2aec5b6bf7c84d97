"""One task sends for many, and one that has to wait holds nobody up."""

import asyncio
from contextvars import ContextVar

import pytest

from channels_api.carrier import Carrier
from tests.test_writer import other_tasks, until


@pytest.fixture
async def carrier():
    return Carrier(asyncio.get_running_loop())


class Sender:
    """Notes in which task it is run; waits where it has been told to."""

    def __init__(self, log: list[str], name: str, *, waits: bool = False) -> None:
        self.log, self.name = log, name
        self.may_go_on = asyncio.Event()
        self.task: asyncio.Task | None = None
        if not waits:
            self.may_go_on.set()

    async def __call__(self) -> None:
        self.task = asyncio.current_task()
        self.log.append(self.name)
        try:
            await self.may_go_on.wait()
        except asyncio.CancelledError:
            self.log.append(f"{self.name} cancelled")
            raise
        self.log.append(f"{self.name} done")


async def test_all_that_need_not_wait_are_run_in_one_task_in_their_order(carrier):
    log: list[str] = []
    senders = [Sender(log, str(number)) for number in range(5)]
    for sender in senders:
        carrier.carry(sender)
    assert log == []
    await until(lambda: len(log) == 10)
    assert log == [line for n in range(5) for line in (str(n), f"{n} done")]
    assert len({sender.task for sender in senders}) == 1
    await until(lambda: not other_tasks())


async def test_what_waits_holds_up_none_that_came_before_or_after(carrier):
    log: list[str] = []
    slow = Sender(log, "slow", waits=True)
    for sender in (slow, Sender(log, "behind")):
        carrier.carry(sender)
    await until(lambda: "behind done" in log)
    carrier.carry(Sender(log, "later"))
    await until(lambda: "later done" in log)
    assert log == ["slow", "behind", "behind done", "later", "later done"]
    slow.may_go_on.set()
    await until(lambda: not other_tasks())
    assert log[-1] == "slow done"


async def test_one_that_comes_while_another_begins_to_wait(carrier):
    log: list[str] = []
    slow = Sender(log, "slow", waits=True)
    carrier.carry(slow)
    await asyncio.sleep(0)  # it has begun, and is not known to wait yet
    assert log == ["slow"]
    carrier.carry(Sender(log, "next"))
    await until(lambda: "next done" in log)
    slow.may_go_on.set()
    await until(lambda: not other_tasks())


async def test_a_task_that_had_to_wait_takes_no_more(carrier):
    log: list[str] = []
    slow, other = Sender(log, "slow", waits=True), Sender(log, "other", waits=True)
    carrier.carry(slow)
    carrier.carry(other)
    await until(lambda: log == ["slow", "other"])
    last = Sender(log, "last")
    slow.may_go_on.set()
    carrier.carry(last)
    await until(lambda: "last done" in log)
    assert len({slow.task, other.task, last.task}) == 3
    other.may_go_on.set()
    await until(lambda: not other_tasks())


async def test_one_that_is_cancelled_takes_none_with_it(carrier):
    log: list[str] = []
    slow = Sender(log, "slow", waits=True)
    carrier.carry(slow)
    await asyncio.sleep(0)
    carrier.carry(Sender(log, "next"))
    slow.task.cancel()
    await until(lambda: "next done" in log)
    assert "slow cancelled" in log
    await until(lambda: not other_tasks())


async def test_a_task_that_is_cancelled_before_it_begins_takes_none_with_it(carrier):
    log: list[str] = []
    carrier.carry(Sender(log, "first"))
    for task in other_tasks():
        task.cancel()
    carrier.carry(Sender(log, "next"))
    await until(lambda: log == ["first", "first done", "next", "next done"])


async def test_it_runs_in_the_context_of_nobody(carrier):
    variable: ContextVar[str] = ContextVar("variable", default="nobody's")
    seen = []

    async def look():
        seen.append(variable.get())

    variable.set("who came first")
    carrier.carry(look)
    await until(lambda: seen)
    assert seen == ["nobody's"]
