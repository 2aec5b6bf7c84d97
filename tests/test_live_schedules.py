# ruff: noqa: SLF001 - the mutants are written against the insides of the live core
"""Whatever the order of things: each client ends with the rows that its user may see.

Each rule of the live core is taken away once, and the same schedules have to notice it.
"""

import os

import pytest

from channels_api.live import log as log_module
from channels_api.live.audience import Audience
from channels_api.live.audiences import Audiences
from channels_api.live.flusher import Flusher
from channels_api.live.hub import Hub
from channels_api.live.operations import DELETE, UPDATE
from channels_api.live.subscription import Subscription
from channels_api.live.view import View
from tests.live_schedules import BrokenPromiseError, Schedule
from tests.live_world import ClocklessLoop, Reads, World, run_reads_in

#: Schedules of one run (TEST_SEEDS=20000 for many more), and those within which a mutant has to be
#: caught.
SEEDS = int(os.environ.get("TEST_SEEDS", "500"))
MUTANT_SEEDS = 5000


@pytest.fixture(autouse=True)
def no_channel_layer(settings):
    # What is looked at now and then would heal what a mutant has broken.
    settings.CHANNELS_API = {"REVALIDATE": None}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


def play(seed: int, monkeypatch) -> None:
    async def schedule() -> None:
        world, reads = World(), Reads()
        with monkeypatch.context() as patch:
            patch.setattr(log_module, "_log", lambda name: world.log)
            run_reads_in(patch, reads)
            await Schedule(seed, world, reads).run()

    loop = ClocklessLoop()
    try:
        loop.run_until_complete(schedule())
    finally:
        loop.close()


@pytest.mark.parametrize("start", range(0, SEEDS, 250))
def test_every_client_ends_with_the_rows_that_it_may_see(start, monkeypatch):
    for seed in range(start, start + 250):
        try:
            play(seed, monkeypatch)
        except BrokenPromiseError as broken:
            pytest.fail(f"seed {seed}: {broken}")


# Each takes one rule away. Against the names of the code, so that who renames a rule looks at its
# mutant.


def changes_while_entering_are_not_kept(patch):
    enter = Audience._enter_row

    async def enter_row(self, subscription, lookup):
        await enter(self, subscription, lookup)
        self._entering[subscription].changes.clear()

    patch.setattr(Audience, "_enter_row", enter_row)


def a_read_counts_for_what_came_while_it_ran(patch):
    read = Flusher._read

    async def read_and_forget(self, batch):
        found = await read(self, batch)
        self.dirty.clear()
        return found

    patch.setattr(Flusher, "_read", read_and_forget)


def deletes_are_told_to_all(patch):
    def decide(self, pk, operation, *, present):
        return operation if present else DELETE

    patch.setattr(View, "decide", decide)


def rows_that_leave_the_view_are_not_told(patch):
    decide = View.decide

    def decide_by_operation(self, pk, operation, *, present):
        action = decide(self, pk, operation, present=present)
        return None if action == DELETE and operation == UPDATE else action

    patch.setattr(View, "decide", decide_by_operation)


def gaps_are_not_looked_up(patch):
    def hear(self, hints):
        for hint in hints:
            state = self._topics.get(hint.topic)
            if state and state.position and hint.position.seq > state.position.seq:
                state.position = hint.position
                self._emit(hint.topic, state, [hint.change])

    patch.setattr(Hub, "hear", hear)


def what_failed_is_not_put_back(patch):
    patch.setattr(Flusher, "_put_back", lambda self, batch: None)


def what_failed_to_be_told_late_is_not_put_back(patch):
    patch.setattr(Subscription, "put_back", lambda self, pending: None)


def what_a_slow_client_missed_is_forgotten(patch):
    patch.setattr(Subscription, "_remember", lambda self, pk, action: None)


def events_come_before_the_reply(patch):
    open_later = Subscription.__init__

    def open_at_once(self, *args):
        open_later(self, *args)
        self._held = False

    patch.setattr(Subscription, "__init__", open_at_once)


def what_was_visible_once_is_believed_for_ever(patch):
    patch.setattr(View, "forget", lambda self, row: None)


def events_are_told_before_the_view_is_known(patch):
    patch.setattr(Flusher, "_has_work", lambda self: bool(self.dirty or self.lagging))


def an_audience_that_is_personal_goes_on_sharing(patch):
    read = Flusher._read

    async def believe_it(self, batch):
        rows = await read(self, batch)
        return await read(self, batch) if rows.personal else rows

    patch.setattr(Flusher, "_read", believe_it)
    patch.setattr(Audience, "must_split", property(lambda self: False))


def an_audience_is_split_while_somebody_enters(patch):
    patch.setattr(Audience, "split_if_due", lambda self: self._on_split(self))


def a_split_loses_what_was_marked(patch):
    adopt = Audience.adopt

    def adopt_without_marks(self, subscription, origin):
        origin.flusher.dirty.clear()
        adopt(self, subscription, origin)

    patch.setattr(Audience, "adopt", adopt_without_marks)


def an_audience_that_wants_more_is_found_as_before(patch):
    place = Audiences.place

    def place_what_wants_less(self, audience):
        if audience.only_row is not None:
            place(self, audience)

    patch.setattr(Audiences, "place", place_what_wants_less)


#: With a seed that noticed it when this was written: any other does as well, but finding one takes
#: a while.
MUTANTS = {
    changes_while_entering_are_not_kept: 43,
    a_read_counts_for_what_came_while_it_ran: 6,
    deletes_are_told_to_all: 4,
    rows_that_leave_the_view_are_not_told: 1,
    gaps_are_not_looked_up: 0,
    what_failed_is_not_put_back: 2,
    what_failed_to_be_told_late_is_not_put_back: 66,
    what_a_slow_client_missed_is_forgotten: 0,
    events_come_before_the_reply: 1,
    what_was_visible_once_is_believed_for_ever: 27,
    events_are_told_before_the_view_is_known: 4855,
    an_audience_that_is_personal_goes_on_sharing: 48,
    an_audience_is_split_while_somebody_enters: 17,
    a_split_loses_what_was_marked: 48,
    an_audience_that_wants_more_is_found_as_before: 104,
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
