"""What is counted, and that whoever counts can break nothing."""

import logging

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser

from channels_api import logs
from channels_api.metrics import ERRORS, METRICS, SOCKETS, measure, measured
from tests.app.models import Question
from tests.app.streams import Demultiplexer
from tests.client import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)


class Socket:
    """A socket in this process."""

    async def __aenter__(self) -> "Socket":
        self._communicator = WebsocketCommunicator(Demultiplexer.as_asgi(), "/ws/")
        self._communicator.scope["user"] = AnonymousUser()
        assert (await self._communicator.connect(timeout=PATIENCE))[0]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._communicator.disconnect(timeout=PATIENCE)

    async def ask(self, stream: str, action: str, **payload) -> dict:
        frame = {"stream": stream, "payload": {"action": action, **payload}}
        await self._communicator.send_json_to(frame)
        return await self.hear()

    async def say(self, text: str) -> dict:
        await self._communicator.send_to(text_data=text)
        return await self.hear()

    async def hear(self) -> dict:
        return (await self._communicator.receive_json_from(timeout=PATIENCE))["payload"]


async def test_sockets(counts):
    async with Socket(), Socket():
        assert counts.of("sockets") == {(): 2}
    assert counts.of("sockets") == {(): 0}


async def test_frames(counts):
    """By stream, action and status, whatever thread they are answered in."""
    async with Socket() as socket:
        await socket.ask("live", "create", data={"question_text": "a"})
        await socket.ask("live", "create", data={})
        await socket.ask("live", "retrieve", pk=0)
        await socket.ask("edges-failing", "echo", data=1)
        await socket.ask("edges-failing", "echo", data=1)
        await socket.ask("edges-failing", "async_fail", data="Http404")
    assert counts.of("frames") == {
        ("live", "create", "201"): 1,
        ("live", "create", "400"): 1,
        ("live", "retrieve", "404"): 1,
        ("edges-failing", "echo", "200"): 2,
        ("edges-failing", "async_fail", "404"): 1,
    }


async def test_what_a_client_makes_up_is_no_label(counts):
    """Streams, actions and keys of its own would be series without an end."""
    async with Socket() as socket:
        await socket.ask("no such stream", "list")
        await socket.ask("live", "no such action")
        await socket.ask("no such stream", "no such action", pk="no such key")
        await socket.say("no JSON")
        await socket.say('{"stream": "live", "payload": {"action": "list", "data": 1e999}}')
        await socket.say('{"stream": "made up", "payload": {"action": "list", "data": 1e999}}')
    assert counts.of("frames") == {
        ("", "", "404"): 2,
        ("live", "", "400"): 1,
        ("", "", "400"): 2,
        ("live", "list", "400"): 1,
    }


async def test_errors(counts, monkeypatch):
    """A 500, a constructor that fails, and what is logged once a minute only."""
    monkeypatch.setattr(logs, "_last", {})
    async with Socket() as socket:
        assert (await socket.ask("edges-failing", "fail", data="Unhandled"))[
            "response_status"
        ] == 500
        await socket.ask("edges-failing", "async_fail", data="Unhandled")
        await socket.ask("edges-constructor", "echo", data=1)
    assert counts.of("errors") == {(): 3}
    assert sum(value for key, value in counts.of("frames").items() if key[2] == "500") == 3
    for _ in range(3):
        logs.log_sometimes("The same")
    assert counts.of("errors") == {(): 6}


async def test_events_and_lag(counts):
    """A change is counted for each subscription, and timed once for all of them."""
    question = await Question.objects.acreate(question_text="a")
    async with Socket() as one, Socket() as other, Socket() as third:
        for socket in one, other:
            await socket.ask("live", "subscribe", data={"action": "*"})
        await third.ask("live", "subscribe", pk=question.pk, data={"action": "*"})
        question.question_text = "b"
        await question.asave()
        for socket in one, other, third:
            assert (await socket.hear())["data"]["question_text"] == "b"
        await Question.objects.acreate(question_text="c")
        for socket in one, other:
            assert (await socket.hear())["action"] == "create"
        # The count is made after the last of them was told, in the same turn of the loop.
        await one.ask("live", "list")
    assert counts.of("events") == {("live",): 5}
    assert len(counts.lags) == 2
    assert all(0 < lag < PATIENCE for lag in counts.lags)


async def test_resets(counts, settings):
    """Whoever keeps state is sent all of it anew where a change can't be told row by row."""
    from channels_api.live import achanged  # noqa: PLC0415 - the hub of this process

    async with Socket() as socket:
        await socket.ask("live", "subscribe", data={"action": "*", "snapshot": True})
        await achanged(Question)
        assert (await socket.hear())["reason"] == "gap"
    assert counts.of("resets") == {("live", "gap"): 1}


async def test_without_a_receiver_nothing_is_made_for_it(monkeypatch):
    """No label is looked up and no signal is sent."""
    assert not measured.is_heard

    def send(*args, **kwargs):
        raise AssertionError("nobody listens")

    monkeypatch.setattr(measured, "send_robust", send)
    async with Socket() as socket:
        await socket.ask("live", "subscribe", data={"action": "*"})
        await Question.objects.acreate(question_text="a")
        assert (await socket.hear())["action"] == "create"


async def test_a_receiver_that_raises_breaks_nothing(counts, caplog):
    """It is logged, and the others are called."""

    def broken(**kwargs) -> None:
        raise RuntimeError("no space left on device")

    measured.connect(broken)
    try:
        async with Socket() as socket:
            await socket.ask("live", "subscribe", data={"action": "*"})
            await Question.objects.acreate(question_text="a")
            assert (await socket.hear())["action"] == "create"
            assert (await socket.ask("live", "list"))["response_status"] == 200
    finally:
        measured.disconnect(broken)
    assert counts.of("sockets") == {(): 0}
    assert counts.of("events") == {("live",): 1}
    assert {record.name for record in caplog.records if record.levelno >= logging.ERROR} == {
        "django.dispatch"
    }


def test_a_receiver_is_no_coroutine():
    """Nobody could wait for it in the event loop's own thread."""

    async def receiver(**kwargs) -> None:
        """Is never called."""

    with pytest.raises(TypeError, match="must be a plain function"):
        measured.connect(receiver)
    assert not measured.is_heard


def test_names_are_those_of_the_collectors():
    """Lower case with underscores, and no two alike."""
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name.islower() for name in names)


def test_values(counts):
    measure(SOCKETS)
    measure(SOCKETS, -1)
    measure(ERRORS, 2)
    assert counts.sums == {("sockets",): 0, ("errors",): 2}
