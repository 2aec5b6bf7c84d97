# ruff: noqa: SLF001 - the mutants are written against the insides of the live core
"""Whatever is lost, and in whatever order: each replica ends equal to what its user may see.

Each rule is taken away once, and the same schedules have to notice it.
"""

import asyncio
import os

import pytest

from channels_api.live import audience, flusher, memory_log, subscriptions
from channels_api.live import log as log_module
from channels_api.live.audience import Audience
from channels_api.live.hub import Hub
from channels_api.live.log import ANYTHING, Replay, make_replay
from channels_api.live.operations import CREATE, DELETE, UPDATE
from channels_api.live.resume import find_missed
from channels_api.live.snapshot import make_snapshot, turn
from channels_api.live.subscription import StatefulSubscription
from channels_api.live.view import View
from channels_api.threads import LIVE
from tests.live_schedules import BrokenPromiseError
from tests.live_world import ClocklessLoop, run_reads_in
from tests.state_schedules import HEARTBEAT, StateSchedule

#: Schedules of one run (TEST_SEEDS=20000 for many more).
SEEDS = int(os.environ.get("TEST_SEEDS", "500"))
#: Those within which a mutant has to be caught.
MUTANT_SEEDS = 3000


@pytest.fixture(autouse=True)
def alone(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.CHANNELS_API = {"REVALIDATE": None, "HISTORY_SIZE": 12, "HEARTBEAT": HEARTBEAT}


def play(seed: int, monkeypatch) -> None:
    async def schedule() -> None:
        with monkeypatch.context() as patch:
            played = StateSchedule(seed, patch)
            patch.setattr(log_module, "_log", lambda name: played.log)
            run_reads_in(patch, played.reads)
            await played.run()

    loop = ClocklessLoop()
    try:
        loop.run_until_complete(schedule())
    finally:
        loop.close()


@pytest.mark.parametrize("start", range(0, SEEDS, 250))
def test_every_replica_ends_equal(start, monkeypatch):
    for seed in range(start, start + 250):
        try:
            play(seed, monkeypatch)
        except BrokenPromiseError as broken:
            pytest.fail(f"seed {seed}: {broken}")


# Each takes one rule away. Against the names of the code, so that who renames a rule looks at its
# mutant.


def the_position_is_read_after_the_rows(patch):
    async def read_snapshot(self, owner):
        async with turn():
            self._next_snapshot = None
            rows = await audience.run_in_thread(self.reader.snapshot, 1000, owner=LIVE)
        if rows.personal or self.must_split:
            return None
        await asyncio.sleep(0)
        return make_snapshot(self.position(), rows)

    patch.setattr(Audience, "_read_snapshot", read_snapshot)


def what_comes_before_the_reply_is_not_remembered(patch):
    deliver = StatefulSubscription.deliver

    def deliver_if_open(self, *args):
        if not self.is_held:
            deliver(self, *args)

    patch.setattr(StatefulSubscription, "deliver", deliver_if_open)


def the_epoch_is_ignored(patch):
    def make(position, top, kept):
        return make_replay(position._replace(epoch=top.epoch), top, kept)

    patch.setattr(memory_log, "make_replay", make)


def a_trimmed_log_is_believed(patch):
    def make(position, top, kept):
        replay = make_replay(position, top, kept)
        if replay.fault != "trimmed":
            return replay
        return Replay([change for _, change in kept if change != ANYTHING], top)

    patch.setattr(memory_log, "make_replay", make)


def the_heart_does_not_beat(patch):
    patch.setattr(Hub, "_compare", lambda self, tops: None)


def gaps_are_not_looked_up(patch):
    def hear(self, hint, state):
        if state.position and state.position.is_before(hint.position):
            state.position = hint.position
            self._emit(hint.topic, state, [hint.change])

    patch.setattr(Hub, "_hear_another", hear)


def hints_while_a_topic_is_entered_are_forgotten(patch):
    hear = Hub._hear_another

    def hear_if_entered(self, hint, state):
        if state.position:
            hear(self, hint, state)

    patch.setattr(Hub, "_hear_another", hear_if_entered)
    # Else the next heartbeat finds it.
    the_heart_does_not_beat(patch)


def an_announced_change_of_anything_is_no_reset(patch):
    patch.setattr(Hub, "_reset", lambda self, topic, state: None)


def rows_that_leave_are_not_told(patch):
    decide = View.decide

    def decide_by_operation(self, pk, operation, *, present):
        action = decide(self, pk, operation, present=present)
        return None if action == DELETE and operation == UPDATE else action

    patch.setattr(View, "decide", decide_by_operation)


def numbers_are_given_before_the_commit(patch):
    patch.setattr(StateSchedule, "number_first", True)


def reads_go_to_a_replica(patch):
    patch.setattr(StateSchedule, "stale_reads", True)


def the_position_moves_with_the_first_frame(patch):
    deliver = StatefulSubscription.deliver

    def deliver_ahead(self, late, events, told, position):
        if position is not None and not self.is_held and self._sink.has_room:
            self.position = position
        deliver(self, late, events, told, position)

    patch.setattr(StatefulSubscription, "deliver", deliver_ahead)


def the_position_moves_although_more_waits(patch):
    deliver = StatefulSubscription.deliver

    def deliver_all(self, late, events, told, position):
        waiting, self._pending = self._pending, {}
        deliver(self, late, events, told, position)
        self._pending = {**waiting, **self._pending}

    patch.setattr(StatefulSubscription, "deliver", deliver_all)


def a_client_that_comes_back_is_told_the_top_at_once(patch):
    start = StatefulSubscription.start

    def start_at_top(self, position, pending):
        start(self, self.audience.position(), pending)

    patch.setattr(StatefulSubscription, "start", start_at_top)


def what_the_client_holds_is_ignored(patch):
    def find(changes, have, view, row):
        return find_missed(changes, frozenset(), view, row)

    patch.setattr(subscriptions, "find_missed", find)


def what_a_slow_client_missed_is_forgotten(patch):
    patch.setattr(StatefulSubscription, "_remember", lambda self, pk, action: None)


def a_snapshot_that_is_being_read_is_shared(patch):
    async def read_snapshot(self, owner):
        async with turn():
            position = self.position()
            rows = await audience.run_in_thread(self.reader.snapshot, 1000, owner=LIVE)
            self._next_snapshot = None
        if rows.personal or self.must_split:
            return None
        self.learn(rows)
        return make_snapshot(position, rows)

    patch.setattr(Audience, "_read_snapshot", read_snapshot)


def what_is_lost_during_a_reset_is_forgotten(patch):
    end = StatefulSubscription.end_reset

    def end_reset(self, snapshot):
        if snapshot is not None:
            self._lost = None
        end(self, snapshot)

    patch.setattr(StatefulSubscription, "end_reset", end_reset)


def a_snapshot_teaches_the_audience_nothing(patch):
    patch.setattr(Audience, "learn", lambda self, rows, row=None: None)


def a_delete_is_forgotten_for_a_later_update(patch):
    def merge(earlier, later):
        return CREATE if earlier == CREATE and later == UPDATE else later

    patch.setattr(flusher, "merge", merge)


#: With a seed that noticed it when this was written: any other does as well, but finding one takes
#: a while.
MUTANTS = {
    the_position_is_read_after_the_rows: 744,
    what_comes_before_the_reply_is_not_remembered: 102,
    the_epoch_is_ignored: 22,
    a_trimmed_log_is_believed: 15,
    the_heart_does_not_beat: 19,
    gaps_are_not_looked_up: 8,
    hints_while_a_topic_is_entered_are_forgotten: 19,
    an_announced_change_of_anything_is_no_reset: 0,
    rows_that_leave_are_not_told: 293,
    numbers_are_given_before_the_commit: 477,
    reads_go_to_a_replica: 48,
    the_position_moves_with_the_first_frame: 457,
    the_position_moves_although_more_waits: 2002,
    a_client_that_comes_back_is_told_the_top_at_once: 95,
    what_the_client_holds_is_ignored: 135,
    what_a_slow_client_missed_is_forgotten: 8,
    a_snapshot_that_is_being_read_is_shared: 22,
    what_is_lost_during_a_reset_is_forgotten: 62,
    a_snapshot_teaches_the_audience_nothing: 744,
    a_delete_is_forgotten_for_a_later_update: 345,
}


@pytest.mark.parametrize(
    ("mutant", "known"), MUTANTS.items(), ids=[mutant.__name__ for mutant in MUTANTS]
)
def test_each_rule_is_needed(mutant, known, monkeypatch):
    mutant(monkeypatch)
    for seed in (known, *range(MUTANT_SEEDS)):
        try:
            play(seed, monkeypatch)
        except BrokenPromiseError:
            return
    pytest.fail(f"not one of {MUTANT_SEEDS} schedules noticed it")
