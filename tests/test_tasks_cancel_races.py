"""A cancel at the worst moment: the store, the watchers and whoever cancels agree in the end."""

import asyncio
import os
import random
from collections import Counter

import pytest

from tests.cancel_helpers import answer_to_cancel, start, stored
from tests.client import SocketClient
from tests.tasks_helpers import follow

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 300 if os.environ.get("TEST_LONG") else 12
# Rounds at a time: the pool has two places, so that tasks wait, start and run.
SIDE_BY_SIDE = 3


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["redis-prefork", "redis-threads"])
async def test_all_agree_on_the_end_of_what_is_cancelled_as_it_begins(stacks, name):
    """Tasks of a minute: on a busy machine a cancel may take seconds to come to its mark."""
    rounds = Rounds(stacks.get(name), steps=6000, latest=0.03)
    assert await rounds.run() == {(410, "REVOKED"): ROUNDS}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["redis-prefork", "redis-threads"])
async def test_all_agree_on_the_end_of_what_is_cancelled_as_it_ends(stacks, name):
    """Tasks that are over as soon as they begin."""
    rounds = Rounds(stacks.get(name), steps=0, latest=0.006)
    ends = await rounds.run()
    # The last is a cancel that was answered while the task ran: it came to its end before anybody
    # could end it. The store and the watchers agree in each round, or there were no count.
    assert ends.keys() <= {(400, "SUCCESS"), (410, "REVOKED"), (410, "SUCCESS")}, ends


class Rounds:
    """Tasks that are cancelled a random moment after they were begun, some at a time."""

    def __init__(self, stack, *, steps, latest):
        self.stack = stack
        self.steps = steps
        self.latest = latest
        self.turns = asyncio.Semaphore(SIDE_BY_SIDE)

    async def run(self):
        """How often which answer to the cancel went with which end."""
        return Counter(await asyncio.gather(*(self.one() for _ in range(ROUNDS))))

    async def one(self):
        # pytest-randomly seeds it: a run that failed can be had again.
        delay = random.choice([0, random.uniform(0, self.latest)])  # noqa: S311
        door = random.choice(["tasks", "http"])  # noqa: S311
        async with (
            self.turns,
            SocketClient(self.stack.url) as client,
            SocketClient(self.stack.url) as watcher,
        ):
            task = await start(client, "brief", self.steps)
            seen = await watcher.request("tasks", "subscribe", pk=task)
            await asyncio.sleep(delay)
            status, _ = await answer_to_cancel(self.stack, task, door)
            told = {await last_state(client)}
            told.add(await last_state(watcher) if seen["response_status"] == 202 else state(seen))
            told.add(await self.end_in_store(task))
            # Nothing comes after the end.
            assert await client.barrier("tasks", "nothing") == []
            assert await watcher.barrier("tasks", "nothing") == []
        # The starter, the watcher and the store: one and the same.
        [end] = told
        return status, end

    async def end_in_store(self, task):
        """STARTED may stand there for a moment, until the task has looked for the mark."""
        found = await stored(self.stack, task)
        for _ in range(100):
            if found in ("SUCCESS", "REVOKED"):
                break
            found = await stored(self.stack, task)
        return found


async def last_state(client):
    return state((await follow(client))[-1]["payload"])


def state(payload):
    return payload["data"]["state"]
