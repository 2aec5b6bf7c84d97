"""What waits for a slow channel layer goes as one message, where that is the same."""

import pytest
from channels.layers import get_channel_layer

from channels_api.layers import sender
from channels_api.live.bell import MOST_HINTS, from_message, ring_others
from channels_api.live.log import Change, Hint, Position, Topic
from tests.live_helpers import until

A, B = Topic("app.question", "default"), Topic("app.note", "default")


def hint(topic: Topic, seq: int, epoch: str = "x") -> Hint:
    return Hint(topic, Position(epoch, seq), Change(seq, "update"))


@pytest.fixture
def layer(settings, monkeypatch):
    # A sender of its own: nothing of another test waits in it.
    monkeypatch.setattr(sender, "_current", None)
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "tests.live_layers.TroubledLayer", "CONFIG": {"mode": "slow"}}
    }
    yield get_channel_layer()
    sender.finish()


async def heard(layer, count: int) -> list[tuple[str, list[Hint]]]:
    """What the groups were sent, in so many messages."""

    async def is_sent() -> bool:
        return len(layer.sent) >= count

    await until(is_sent)
    return [(group, from_message(body)) for group, body in layer.sent]


async def test_hints_that_follow_one_another_go_together(layer):
    ring_others([hint(A, 1)])
    layer.called.wait(10)
    for each in (hint(A, 2), hint(A, 3), hint(B, 1), hint(A, 4), hint(A, 5, "y")):
        ring_others([each])
    assert await heard(layer, 5) == [
        (A.group, [hint(A, 1)]),
        (A.group, [hint(A, 2), hint(A, 3)]),
        (B.group, [hint(B, 1)]),
        (A.group, [hint(A, 4)]),
        (A.group, [hint(A, 5, "y")]),
    ]


async def test_no_message_becomes_too_large(layer):
    ring_others([hint(A, 1)])
    layer.called.wait(10)
    for seq in range(2, MOST_HINTS + 4):
        ring_others([hint(A, seq)])
    sent = await heard(layer, 3)
    assert [len(hints) for _, hints in sent] == [1, MOST_HINTS, 2]
    assert [each for _, hints in sent for each in hints] == [
        hint(A, seq) for seq in range(1, MOST_HINTS + 4)
    ]


async def test_what_can_not_be_joined_goes_alone_and_in_order(layer):
    first = sender.Message("group", {"type": "x", "number": 1})
    sender.send([first])
    layer.called.wait(10)
    others = [first._replace(body={"type": "x", "number": number}) for number in (2, 3)]
    sender.send(others)

    async def all_sent() -> bool:
        return len(layer.sent) == 3

    await until(all_sent)
    assert layer.sent == [(each.group, each.body) for each in (first, *others)]
