"""How often a socket may be wrong, too large or too fast, and what ends it."""

import asyncio
import contextlib
import re

import pytest

from tests.client import PATIENCE, SocketClient
from tests.frames_cases import error_frame, frame, not_json
from tests.frames_helpers import KINDS, ask, assert_answers, reply, ws
from tests.memory import MEGABYTE, peak_of_memory
from tests.raw_sockets import masked, raw_socket

BAD = error_frame(400, not_json("Expecting value (line 1 column 1)"))
BINARY = error_frame(400, "Binary frames are not taken: send JSON as text.")
TOO_LARGE = error_frame(413, "The frame is too large: 65536 bytes are allowed.")
LARGE = " " * 65_537
# Answered at once, by no action, so that nothing waits in line.
UNKNOWN = '{"stream": "nope", "payload": {"action": "echo", "request_id": 7}}'
NO_SUCH_STREAM = error_frame(404, "There is no stream 'nope'.", "nope", "echo", 7)


def refused(seconds: int) -> dict:
    return error_frame(429, f"Too many frames. Expected available in {seconds} seconds.")


@pytest.fixture(params=KINDS)
def server(request, app_server):
    """The usual server, without a flush after each test: no test here touches a table."""
    return app_server(request.param)


@pytest.fixture(params=KINDS)
def unlimited(request, app_server):
    """A server that takes frames at any rate."""
    return app_server(request.param, channels_api={"FRAME_RATE": None})


@pytest.fixture(params=KINDS)
def frugal(request, app_server):
    """Five frames at once and one in 1000 s: which frame is refused does not depend on speed."""
    return app_server(request.param, channels_api={"FRAME_RATE": 0.001, "FRAME_BURST": 5})


async def send_all(client: SocketClient, *messages: str | bytes) -> None:
    for message in messages:
        await client.send_raw(message)


class TestBadFrames:
    async def test_the_tenth_closes_after_its_answer(self, server):
        async with ws(server) as client:
            await send_all(client, *["bad"] * 10)
            assert await client.until_closed() == ([BAD] * 10, 4400)

    async def test_nine_do_not(self, server):
        async with ws(server) as client:
            for _ in range(9):
                assert await ask(client, "bad") == BAD
            await assert_answers(client)

    async def test_good_ones_between_do_not_make_it_better(self, server):
        async with ws(server) as client:
            for _ in range(9):
                assert await ask(client, "bad") == BAD
                await assert_answers(client)
            await client.send_raw("bad")
            assert await client.until_closed() == ([BAD], 4400)

    async def test_binary_frames_count_as_bad(self, server):
        async with ws(server) as client:
            await send_all(client, *["bad", b"{}"] * 5)
            assert await client.until_closed() == ([BAD, BINARY] * 5, 4400)

    async def test_what_comes_after_the_close_is_ignored(self, server):
        """Good and bad: the server has said its last word, and the action does not run."""
        async with ws(server) as client:
            await send_all(client, *["bad"] * 10, frame(), LARGE, "bad", *[frame()] * 500)
            assert await client.until_closed() == ([BAD] * 10, 4400)

    async def test_is_each_sockets_own(self, server):
        async with ws(server) as other, ws(server) as client:
            await send_all(other, *["bad"] * 9)
            await send_all(client, *["bad"] * 9)
            await assert_nine_and_answers(other)
            await assert_nine_and_answers(client)

    async def test_a_new_socket_starts_anew(self, server):
        async with ws(server) as client:
            await send_all(client, *["bad"] * 10)
            await client.until_closed()
        async with ws(server) as client:
            await send_all(client, *["bad"] * 9)
            await assert_nine_and_answers(client)


async def assert_nine_and_answers(client: SocketClient) -> None:
    assert [await client.receive() for _ in range(9)] == [BAD] * 9
    await assert_answers(client)


class TestLargeFrames:
    async def test_the_tenth_closes_after_its_answer(self, server):
        async with ws(server) as client:
            await send_all(client, *[LARGE] * 10)
            assert await client.until_closed() == ([TOO_LARGE] * 10, 4413)

    async def test_large_and_bad_ones_are_counted_apart(self, server):
        async with ws(server) as client:
            await send_all(client, *[LARGE, "bad"] * 9)
            frames = [await client.receive() for _ in range(18)]
            assert frames == [TOO_LARGE, BAD] * 9
            await assert_answers(client)


class TestRate:
    async def test_a_frame_over_the_rate_is_refused_and_nothing_else(self, frugal):
        async with ws(frugal) as client:
            for _ in range(5):
                assert await ask(client, frame(data="1")) == reply(1)
            assert_refused(await ask(client, frame(data="1")))
            assert_refused(await ask(client, frame(data="1")))

    async def test_comes_before_all_else(self, frugal):
        """A refused frame is neither measured nor parsed, so it is not bad either."""
        async with ws(frugal) as client:
            await send_all(client, *[UNKNOWN] * 5, *["bad", LARGE, b"binary"] * 12)
            frames = [await client.receive() for _ in range(41)]
            assert frames[:5] == [NO_SUCH_STREAM] * 5
            for answer in frames[5:]:
                assert_refused(answer)

    async def test_bad_frames_are_frames(self, frugal):
        async with ws(frugal) as client:
            await send_all(client, *["bad"] * 6)
            frames = [await client.receive() for _ in range(6)]
            assert frames[:5] == [BAD] * 5
            assert_refused(frames[5])

    async def test_the_hundredth_refusal_closes_after_its_answer(self, frugal):
        async with ws(frugal) as client:
            await send_all(client, *[UNKNOWN] * 200)
            frames, code = await client.until_closed()
            assert code == 4429
            assert frames[:5] == [NO_SUCH_STREAM] * 5
            assert len(frames) == 105
            for answer in frames[5:]:
                assert_refused(answer)

    async def test_ninety_nine_do_not(self, frugal):
        async with ws(frugal) as client:
            await send_all(client, *[UNKNOWN] * 104)
            frames = [await client.receive() for _ in range(104)]
            assert frames[:5] == [NO_SUCH_STREAM] * 5
            await (await client.socket.ping())
            await client.send_raw(UNKNOWN)
            frames, code = await client.until_closed()
            assert (len(frames), code) == (1, 4429)

    async def test_is_each_sockets_own(self, frugal):
        async with ws(frugal) as client, ws(frugal) as other:
            await send_all(client, *[UNKNOWN] * 6)
            assert_refused([await client.receive() for _ in range(6)][-1])
            await assert_answers(other)

    async def test_the_default_is_a_burst_of_200(self, server):
        async with ws(server) as client:
            await send_all(client, *[UNKNOWN] * 2000)
            frames, code = await client.until_closed()
            assert code == 4429
            assert frames[:200] == [NO_SUCH_STREAM] * 200
            assert frames.count(refused(1)) == 100
            # The others passed meanwhile, at 100 a second.
            assert set(map(str, frames)) == {str(NO_SUCH_STREAM), str(refused(1))}

    async def test_who_was_refused_may_go_on_later(self, server):
        async with ws(server) as client:
            await send_all(client, *[UNKNOWN] * 250)
            frames = [await client.receive() for _ in range(250)]
            assert refused(1) in frames
            for _ in range(100):
                answer = await ask(client, UNKNOWN)
                if answer == NO_SUCH_STREAM:
                    break
                assert answer == refused(1)
                await asyncio.sleep(0.02)
            assert answer == NO_SUCH_STREAM

    async def test_without_a_rate_every_frame_is_answered(self, unlimited):
        async with ws(unlimited) as client:
            await send_all(client, *[UNKNOWN] * 2000)
            assert [await client.receive() for _ in range(2000)] == [NO_SUCH_STREAM] * 2000
            await assert_answers(client)


def assert_refused(answer: dict) -> None:
    """The wait is that of the `frugal` server; some of it may have passed."""
    (message,) = answer["payload"]["errors"]
    seconds = int(re.search(r"\d+", message)[0])
    assert 900 < seconds <= 1000
    assert answer == refused(seconds)


class TestNothingElseCloses:
    """Unknown names, refusals of a queue, control frames: the client may have its reasons."""

    @pytest.mark.parametrize(
        "message",
        [
            UNKNOWN,
            '{"stream": "frames", "payload": {"action": "nope"}}',
            '{"stream": "questions", "payload": {"action": "subscribe"}}',
        ],
    )
    async def test_requests_that_fail(self, server, message):
        async with ws(server) as client:
            for _ in range(30):
                answer = await ask(client, message)
                assert 400 <= answer["payload"]["response_status"] < 500
            await assert_answers(client)

    async def test_control_frames(self, server):
        async with ws(server) as client:
            for payload in (b"", b"x", b"\xff" * 125):
                await client.socket.pong(payload)
                await asyncio.wait_for(await client.socket.ping(payload), PATIENCE)
            await assert_answers(client)

    async def test_more_than_can_wait_in_line(self, unlimited):
        """Every frame gets one answer: what it asked for, or that too many wait."""
        async with ws(unlimited) as client:
            await send_all(client, *[frame(data=str(n), request_id=str(n)) for n in range(500)])
            frames = [await client.receive() for _ in range(500)]
            full = "Too many frames are waiting: 32 are allowed."
            by_id = {answer["payload"]["request_id"]: answer for answer in frames}
            assert by_id.keys() == set(range(500))
            for number, answer in by_id.items():
                expected = (
                    reply(number, number)
                    if answer["payload"]["response_status"] == 200
                    else error_frame(429, full, "frames", "echo", number)
                )
                assert answer == expected
            await assert_answers(client)


class TestFlood:
    async def test_other_sockets_are_answered_meanwhile(self, unlimited):
        # The flooder's own close would have to wait behind all that it has sent.
        async with ws(unlimited, close_timeout=0.1) as flooder, ws(unlimited) as client:
            answers: list[str] = []
            flood = asyncio.ensure_future(flood_for_ever(flooder, answers))
            for _ in range(10):
                before = len(answers)
                await assert_answers(client)
                while len(answers) == before:
                    assert not flood.done()
                    await asyncio.sleep(0)
            flood.cancel()
            await asyncio.wait([flood])

    async def test_a_flood_that_ignores_the_close_costs_no_memory(self, server):
        """Nobody holds what is not wanted: daphne queues without limit for a slow application."""
        async with ws(server) as other:
            await assert_answers(other)
            before = peak_of_memory(server.pid, forget=True)
            pushed = await asyncio.to_thread(push, server.port, 400 * MEGABYTE)
            assert pushed > 20 * MEGABYTE
            await assert_answers(other)
            grown = peak_of_memory(server.pid) - before
        assert grown < 10 * MEGABYTE


async def flood_for_ever(client: SocketClient, answers: list) -> None:
    """Send as fast as the server takes it, and read what it answers."""

    async def send():
        while True:
            await send_all(client, *[UNKNOWN] * 50)
            await asyncio.sleep(0)  # sending alone never lets the others have their turn

    sending = asyncio.ensure_future(send())
    try:
        while True:
            answers.append(await client.socket.recv())
    finally:
        sending.cancel()


def push(port: int, size: int) -> int:
    """Send frames for an unknown stream until there are so many bytes, or until it is cut off.

    By hand, since no library goes on when it has seen a close. Nothing is read: what the server
    says fits into the buffers.
    """
    message = masked(UNKNOWN.ljust(60_000).encode())
    pushed = 0
    with raw_socket(port) as (connection, _), contextlib.suppress(ConnectionError):
        while pushed < size:
            connection.sendall(message)
            pushed += len(message)
    return pushed
