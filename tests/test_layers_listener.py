"""The listener as a plain object: a layer that misbehaves on command, in a loop without a clock."""

import asyncio
import os
import random

import pytest

from channels_api import logs
from channels_api.layers import listener as listener_module
from channels_api.layers.listener import (
    LEAVE_TIMEOUT,
    LONGEST_PAUSE,
    LOOK_AFTER,
    PROBE_TIMEOUT,
    TIMEOUT,
    Listener,
)
from tests.live_layers import TroubledLayer
from tests.live_world import clockless

#: Schedules of one run; TEST_SEEDS=20000 for many more.
SEEDS = int(os.environ.get("TEST_SEEDS", "100"))
HEARTBEAT = 10
#: Seconds after which what a layer has forgotten is joined again.
DEAF = HEARTBEAT + PROBE_TIMEOUT + 0.01


@pytest.fixture
def layer(settings, monkeypatch) -> TroubledLayer:
    settings.CHANNELS_API = {"HEARTBEAT": HEARTBEAT}
    layer = TroubledLayer()
    monkeypatch.setattr(listener_module, "layer_between_processes", lambda: layer)
    monkeypatch.setattr(logs, "_last", {})
    return layer


class Ear(Listener):
    def __init__(self) -> None:
        self.heard: list[dict] = []
        #: What was joined whenever it was told to look.
        self.looks: list[set[str]] = []
        super().__init__(self.heard.append, self._note_look)

    def _note_look(self) -> None:
        self.looks.append(set(self._joined))

    @property
    def wanted(self) -> list[str]:
        return list(self._wanted)

    async def join_all(self, groups: str) -> "Ear":
        await asyncio.gather(*(self.join(group) for group in groups))
        return self

    async def leave_all(self) -> None:
        await asyncio.gather(*(self.leave(group) for group in self.wanted))


def nothing_left() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


def now() -> float:
    return asyncio.get_running_loop().time()


def complaints(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


async def until(condition) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen")


# Renewal


@clockless
async def test_all_groups_are_joined_again_before_they_expire(layer):
    layer.group_expiry = 400
    ear = await Ear().join_all("ab")
    await asyncio.sleep(50)
    await ear.join("c")
    await asyncio.sleep(290)
    assert layer.when("group_add", "a") == layer.when("group_add", "b") == [0, 100, 200, 300]
    assert layer.when("group_add", "c") == [50, 100, 200, 300]
    await ear.leave_all()
    assert nothing_left()


@clockless
async def test_a_layer_whose_groups_do_not_expire_is_left_alone(layer, monkeypatch):
    del layer.group_expiry
    ear = await Ear().join_all("ab")
    await asyncio.sleep(3600)
    assert layer.calls["group_add"] == 2
    await ear.leave_all()


@clockless
async def test_who_waits_for_a_group_waits_for_no_renewal(layer):
    ear = await Ear().join_all("abcdefghij")
    layer.mode = "slow"
    renewing = asyncio.ensure_future(ear.renew())
    await asyncio.sleep(0.1)
    began = now()
    await ear.join("new")
    assert (now() - began, "new" in layer.members) == (pytest.approx(0.9), True)
    await renewing
    assert now() - began == pytest.approx(TIMEOUT - 0.1)  # it goes on by itself
    await asyncio.sleep(4)
    assert [len(layer.when("group_add", each)) for each in "abcdefghij"] == [2] * 10
    await ear.leave_all()


# Probes


@clockless
async def test_groups_that_were_forgotten_without_a_word_are_joined_again(layer, caplog):
    ear = await Ear().join_all("abc")
    before = layer.members
    layer.lose_everything()
    await asyncio.sleep(DEAF)
    assert layer.members == before
    assert complaints(caplog) == ["The channel layer does not deliver; joining its groups again"]
    assert caplog.records[0].exc_info is None
    await ear.leave_all()
    assert nothing_left()


@clockless
@pytest.mark.parametrize("busy", [False, True])
async def test_a_group_that_was_joined_later_proves_nothing(layer, busy):
    """Joined again counts as joined later."""
    ear = await Ear().join_all("ab")
    layer.lose_everything()
    if busy:
        await ear.leave("a")
        await ear.join("a")
    await ear.join("c")
    assert set(layer.members) == ({"a", "c"} if busy else {"c"})
    await asyncio.sleep(DEAF)
    assert set(layer.members) == set("abc")
    await ear.leave_all()


@clockless
async def test_a_probe_is_no_message_and_there_is_one_in_a_heartbeat(layer):
    ear = Ear()
    await asyncio.sleep(100)
    await ear.join_all("ab")
    await asyncio.sleep(1000)
    assert 100 <= layer.calls["group_send"] <= 125
    assert {group for group, _ in layer.sent} == {"a"}
    await ear.leave("a")
    await asyncio.sleep(HEARTBEAT)
    assert layer.sent[-1] == ("b", {"type": "channels_api.probe", "group": "b"})
    assert ear.heard == []
    await ear.leave("b")
    sent = layer.calls["group_send"]
    await asyncio.sleep(1000)
    assert layer.calls["group_send"] == sent
    assert layer.calls["group_add"] == 2


@clockless
async def test_of_several_members_one_asks_and_all_hear(layer):
    ears = [await Ear().join_all("ab") for _ in range(20)]
    await asyncio.sleep(1000)
    assert layer.calls["group_send"] <= 130
    assert layer.calls["group_add"] == 40
    for ear in ears:
        await ear.leave_all()


@clockless
async def test_the_probe_of_another_group_proves_nothing(layer):
    ear, other = await Ear().join_all("ab"), await Ear().join_all("b")
    layer.groups["a"].clear()
    await asyncio.sleep(DEAF)
    assert set(layer.members) == set("ab")
    await ear.leave_all()
    await other.leave_all()


@clockless
@pytest.mark.parametrize("mode", ["drops", "full", "half"])
async def test_a_layer_that_loses_probes_costs_a_renewal_for_each(layer, mode):
    ear = await Ear().join_all("ab")
    layer.mode = mode
    for number in range(100):
        await asyncio.sleep(HEARTBEAT)
        layer.inbox.put_nowait({"number": number})
    layer.mode = "works"
    await asyncio.sleep(LONGEST_PAUSE)
    assert layer.calls["group_add"] <= 2 + 2 * (1000 / (HEARTBEAT * 0.8))
    # What is heard comes on the one channel, so that no other one is needed.
    assert layer.calls["new_channel"] == 1
    assert ear.heard == [{"number": number} for number in range(100)]
    await ear.leave_all()


@clockless
async def test_a_channel_that_nothing_comes_through_is_replaced(layer):
    ear = await Ear().join_all("ab")
    layer.lose_channel()
    await asyncio.sleep(2 * DEAF)
    assert layer.members == {group: {"specific.inbox!2"} for group in "ab"}
    layer.inbox.put_nowait({"number": 1})
    await asyncio.sleep(1)
    assert ear.heard == [{"number": 1}]
    await ear.leave_all()
    assert nothing_left()
    assert layer.members == {}


@clockless
async def test_a_probe_for_a_group_that_was_left_meanwhile_means_nothing(layer):
    ear = await Ear().join_all("ab")
    layer.mode = "drops"
    await until(lambda: layer.sent)
    await ear.leave("a")
    layer.mode = "works"
    await asyncio.sleep(PROBE_TIMEOUT)
    assert layer.calls["group_add"] == 2
    await ear.leave("b")


# Trouble


@clockless
async def test_a_read_that_failed_makes_all_groups_be_joined_again_at_once(layer):
    ear = await Ear().join_all("ab")
    layer.mode = "fails"
    layer.inbox.put_nowait({})  # wakes the read that is under way
    await asyncio.sleep(0)
    layer.lose_everything()
    layer.mode = "works"
    await asyncio.sleep(1)
    assert set(layer.members) == set("ab")
    await ear.leave_all()


@clockless
async def test_the_layer_is_looked_up_again_after_the_last_leave(layer, monkeypatch):
    ear = await Ear().join_all("a")
    await ear.leave("a")
    other = TroubledLayer()
    monkeypatch.setattr(listener_module, "layer_between_processes", lambda: other)
    await ear.join("a")
    assert (layer.members, set(other.members)) == ({}, {"a"})
    await ear.leave("a")


@clockless
@pytest.mark.parametrize("mode", ["fails", "hangs", "half"])
async def test_a_group_that_was_not_taken_is_tried_again_although_others_are_heard(layer, mode):
    """The one that listens has noticed nothing."""
    ear = await Ear().join_all("a")
    layer.mode = mode
    began = now()
    await ear.join_all("bc")
    # Where it is known that the layer is away, nobody waits for it.
    assert now() - began == (TIMEOUT if mode == "hangs" else 0)
    layer.mode = "works"
    await asyncio.sleep(LONGEST_PAUSE)
    assert layer.members == {group: {"specific.inbox!1"} for group in "abc"}
    await ear.leave_all()


@clockless
async def test_more_groups_than_a_slow_layer_takes_in_time_are_joined_all_the_same(layer):
    layer.mode = "slow"
    ear, began = Ear(), now()
    await ear.join_all("abcdefghij")
    assert now() - began <= TIMEOUT
    await asyncio.sleep(5)
    assert set(layer.members) == set("abcdefghij")
    assert layer.calls["group_add"] == 10
    layer.mode = "works"
    await ear.leave_all()


@clockless
@pytest.mark.parametrize("mode", ["fails", "hangs"])
async def test_a_layer_that_is_away_is_asked_now_and_then(layer, mode):
    """After an hour as well as after a second."""
    ear = await Ear().join_all("ab")
    layer.mode = mode
    layer.inbox.put_nowait({})  # wakes the read that is under way
    layer.times.clear()
    await asyncio.sleep(3600)
    for name in ("new_channel", "group_add", "group_send", "receive"):
        assert len(layer.when(name)) <= 3600 / 2
    assert len(layer.times) >= 3600 / 20
    layer.mode = "works"
    # Two probes, after the one that may be hanging just now.
    await asyncio.sleep(TIMEOUT + 2 * DEAF)
    [channel] = layer.members["a"]
    assert layer.members == {group: {channel} for group in "ab"}
    layer.inbox.put_nowait({"number": 1})
    await asyncio.sleep(1)
    assert ear.heard[-1] == {"number": 1}
    await ear.leave_all()
    assert layer.members == {}
    assert nothing_left()


@clockless
@pytest.mark.parametrize("mode", ["fails", "hangs", "half"])
async def test_a_leave_during_an_outage_leaves_nothing_behind(layer, mode):
    ear = await Ear().join_all("abc")
    layer.mode = mode
    began = now()
    await ear.leave_all()
    assert now() - began <= TIMEOUT
    await asyncio.sleep(LEAVE_TIMEOUT / 2)
    layer.mode = "works"
    await asyncio.sleep(LONGEST_PAUSE + TIMEOUT)
    assert layer.members == {}
    assert nothing_left()


@clockless
async def test_what_a_long_outage_has_left_behind_is_left_by_the_next_to_come(
    layer, monkeypatch, caplog
):
    ear = await Ear().join_all("a")
    layer.mode = "hangs"
    await ear.leave_all()
    await asyncio.sleep(LEAVE_TIMEOUT + LONGEST_PAUSE + TIMEOUT)
    assert nothing_left()
    assert layer.calls["new_channel"] == 1
    layer.mode = "works"
    monkeypatch.setattr(logs, "_last", {})
    caplog.clear()
    await ear.renew()
    assert complaints(caplog) == []
    assert nothing_left()
    assert set(layer.members) == {"a"}
    await ear.join("b")
    await asyncio.sleep(1)
    assert layer.members == {"b": {"specific.inbox!2"}}
    await ear.leave("b")
    assert layer.members == {}
    assert nothing_left()


@clockless
async def test_a_message_in_an_outage_is_heard_after_it(layer):
    ear = await Ear().join_all("a")
    layer.mode = "fails"
    layer.inbox.put_nowait({"number": 1})  # wakes the read that is under way
    await asyncio.sleep(1)
    layer.inbox.put_nowait({"number": 2})
    await asyncio.sleep(1)
    assert ear.heard == [{"number": 1}]
    layer.mode = "works"
    await asyncio.sleep(LONGEST_PAUSE)
    assert ear.heard == [{"number": 1}, {"number": 2}]
    await ear.leave_all()


# What was not heard


@clockless
async def test_nobody_has_to_look_for_what_was_joined_in_time(layer):
    ear = await Ear().join_all("ab")
    await ear.leave("a")
    await asyncio.gather(ear.leave("b"), ear.join("a"))
    layer.mode = "slow"
    await asyncio.gather(ear.leave("a"), ear.join("a"), ear.join("c"))
    await ear.leave_all()
    await ear.join("a")
    await asyncio.sleep(1000)
    assert ear.looks == []
    await ear.leave_all()


@clockless
@pytest.mark.parametrize("mode", ["fails", "hangs", "half"])
async def test_what_is_joined_later_than_it_was_taken_to_be_is_looked_for(layer, mode):
    ear = await Ear().join_all("a")
    layer.mode = mode
    await ear.join_all("bc")
    assert ear.looks == []
    layer.mode = "works"
    await asyncio.sleep(LONGEST_PAUSE)
    await ear.join("d")
    assert ear.looks == [set("abc")]
    await ear.leave_all()


@clockless
async def test_more_groups_than_a_slow_layer_takes_in_time_are_looked_for_once(layer):
    layer.mode = "slow"
    ear = Ear()
    await ear.join_all("abcdefghij")
    await asyncio.sleep(5)
    assert ear.looks == [set("abcdefghij")]
    layer.mode = "works"
    await ear.leave_all()


@clockless
@pytest.mark.parametrize("loses", ["lose_everything", "lose_channel"])
async def test_what_was_lost_until_all_groups_were_joined_again_is_looked_for(layer, loses):
    ear = await Ear().join_all("ab")
    getattr(layer, loses)()
    await asyncio.sleep(2 * DEAF)
    assert ear.looks
    assert {*map(frozenset, ear.looks)} == {frozenset("ab")}
    await ear.leave_all()


@clockless
async def test_what_another_listener_may_have_had_in_its_hand_is_looked_for(layer):
    ear, other = await Ear().join_all("a"), await Ear().join_all("ab")
    await other.leave("a")
    assert ear.looks == []
    await other.leave("b")
    await asyncio.sleep(LOOK_AFTER)
    assert (ear.looks, other.looks) == ([{"a"}], [])
    await ear.leave_all()


@clockless
async def test_another_listener_that_comes_and_goes_is_looked_after_once_in_a_while(layer):
    """And after its last stop: what it had in its hand then is lost as well."""
    ear, other = await Ear().join_all("a"), Ear()
    for _ in range(100):
        await other.join("b")
        await other.leave("b")
        stopped, looks = now(), len(ear.looks)
        await asyncio.sleep(LOOK_AFTER / 20)
    assert 0 < looks <= stopped / LOOK_AFTER
    await asyncio.sleep(LOOK_AFTER)
    assert len(ear.looks) == looks + 1
    await ear.leave_all()


@clockless
async def test_what_was_lost_in_an_outage_is_looked_for(layer):
    ear = await Ear().join_all("ab")
    layer.mode = "fails"
    layer.inbox.put_nowait({})  # wakes the read that is under way
    await asyncio.sleep(1)
    assert ear.looks == []
    layer.mode = "works"
    await asyncio.sleep(LONGEST_PAUSE)
    assert {*map(frozenset, ear.looks)} == {frozenset("ab")}
    await ear.leave_all()


class LosingLayer(TroubledLayer):
    """Its `receive` loses a cancel, as Python before 3.12 does now and then."""

    async def receive(self, channel):
        try:
            return await super().receive(channel)
        except asyncio.CancelledError:
            return await super().receive(channel)


@clockless
async def test_nobody_goes_on_listening_whose_cancel_was_lost(monkeypatch):
    monkeypatch.setattr(listener_module, "layer_between_processes", LosingLayer)
    ear = await Ear().join_all("a")
    await asyncio.sleep(1)
    await ear.leave("a")
    assert nothing_left()


# All of it, in any order


class Chances(TroubledLayer):
    """One mode for each call."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(group_expiry=chance.choice([None, 100]))
        self.chance = chance
        self.trouble = 0.0

    async def _trouble(self, name: str, group: str = "") -> None:
        modes = ["fails", "hangs", "half", "slow", "drops", "full"]
        self.mode = self.chance.choice(modes) if self.chance.random() < self.trouble else "works"
        await super()._trouble(name, group)


async def run_schedule(seed: int, monkeypatch) -> None:
    chance = random.Random(seed)  # noqa: S311
    layer = Chances(chance)
    monkeypatch.setattr(listener_module, "layer_between_processes", lambda: layer)
    monkeypatch.setattr(listener_module, "random", chance)
    ears, tasks = [Ear(), Ear()], []
    for _ in range(40):
        ear, group = chance.choice(ears), chance.choice("abcd")
        step = chance.choice([ear.join, ear.join, ear.leave, layer.lose_everything, None])
        if step == layer.lose_everything:
            step()
        elif step is not None:
            tasks.append(asyncio.ensure_future(step(group)))
        layer.trouble = chance.choice([layer.trouble, 0, 0.3, 1])
        await asyncio.sleep(chance.choice([0, 0, 0.1, 1, 5, 30]))
    layer.trouble = 0
    await asyncio.gather(*tasks)
    await asyncio.sleep(3 * DEAF)
    assert {group: len(members) for group, members in layer.members.items()} == wanted(ears)
    layer.lose_everything()
    await asyncio.sleep(DEAF)
    assert {group: len(members) for group, members in layer.members.items()} == wanted(ears)
    for ear in ears:
        await ear.leave_all()
    assert layer.members == {}
    assert nothing_left()


def wanted(ears: list[Ear]) -> dict[str, int]:
    groups = [group for ear in ears for group in ear.wanted]
    return {group: groups.count(group) for group in groups}


@pytest.mark.parametrize("start", range(0, SEEDS, 50))
def test_after_any_schedule_the_memberships_are_those_that_are_wanted(layer, monkeypatch, start):
    for seed in range(start, start + 50):
        try:
            clockless(run_schedule)(seed, monkeypatch)
        except AssertionError as broken:
            pytest.fail(f"seed {seed}: {broken}")
