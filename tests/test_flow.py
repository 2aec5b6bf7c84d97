"""Pings and pongs without a server: the count, the writer, and a socket whose clock jumps."""

import asyncio
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_api.connection import Connection
from channels_api.control import MAX_PONG_LENGTH, parse_pong, ping_text
from channels_api.demultiplexer import WebsocketDemultiplexer
from channels_api.exceptions import CloseCode
from channels_api.flow import PING_BYTES, STALL_SECONDS, Flow
from channels_api.limits import BAD_FRAMES
from channels_api.protocol import SUBPROTOCOL
from channels_api.writer import HIGH_WATER, LOW_WATER, Writer
from tests.frames_cases import error_frame
from tests.live_world import clockless

# Any start, and the default interval.
START, INTERVAL = 1000.0, 20.0
NO_PING = "The pong answers no ping that waits for one."
UNANSWERED = error_frame(408, "No ping was answered for 20 seconds.")


def pong(number: int) -> str:
    return json.dumps({"pong": number})


@pytest.fixture
def flow():
    return Flow(INTERVAL, START)


class TestPong:
    @pytest.mark.parametrize("number", [1, 9, 10, 2**31, 10**19])
    def test_is_read(self, number):
        assert parse_pong(pong(number)) == number
        assert parse_pong(f' {{\n"pong"\t:\r{number} }} ') == number

    @pytest.mark.parametrize(
        "text",
        [
            *('{"pong":0}', '{"pong":-1}', '{"pong":01}', '{"pong":1.0}', '{"pong":1e0}'),
            *('{"pong":"1"}', '{"pong":true}', '{"pong":null}', '{"pong":[1]}', '{"pong":}'),
            *('{"pong":1,"a":1}', '{"pong":1}1', '{"ping":1}', '["pong",1]', "1", "", "{}"),
            *('{"pong":\u0661}', '{"pong":\xa01}', '{"pong":1}\x00', "{'pong':1}", '{"pong":1,}'),
            '{"pong":1}'.ljust(MAX_PONG_LENGTH + 1),
            '{"pong":' + "1" * MAX_PONG_LENGTH + "}",
        ],
    )
    def test_nothing_else_is_one(self, text):
        assert parse_pong(text) is None

    def test_the_ping_is_a_frame_by_itself(self):
        assert json.loads(ping_text(7, 2.5)) == {"ping": 7, "interval": 2.5}


class TestFlow:
    def test_without_an_interval_nothing_is_asked_or_counted(self):
        flow = Flow()
        flow.sent(10 * HIGH_WATER)
        assert flow.unacknowledged == 0
        assert not flow.ping_is_due(START)
        assert not flow.miss_pong(START)
        assert flow.next_look(START) == float("inf")

    def test_a_ping_is_due_after_an_interval(self, flow):
        assert flow.next_look(START) == START + INTERVAL
        assert not flow.ping_is_due(START + INTERVAL - 0.001)
        assert flow.ping_is_due(START + INTERVAL)
        assert flow.ping(START + INTERVAL) == 1
        assert not flow.ping_is_due(START + INTERVAL)

    def test_a_ping_is_due_after_so_many_bytes(self, flow):
        flow.sent(PING_BYTES - 1)
        assert not flow.ping_is_due(START)
        flow.sent(1)
        assert flow.ping_is_due(START)
        flow.ping(START)
        assert not flow.ping_is_due(START)

    def test_a_ping_for_bytes_is_a_ping(self, flow):
        """The next one is due an interval after it, and not an interval after those before."""
        flow.sent(PING_BYTES)
        flow.ping(START + 15)
        assert not flow.ping_is_due(START + 34.9)
        assert flow.ping_is_due(START + 35)

    def test_a_pong_acknowledges_what_was_sent_before_its_ping(self, flow):
        flow.sent(100)
        flow.ping(START)
        flow.sent(50)
        assert flow.unacknowledged == 150
        assert flow.pong(1, START)
        assert flow.unacknowledged == 50

    def test_pings_are_no_bytes(self, flow):
        flow.ping(START)
        assert flow.unacknowledged == 0

    def test_a_pong_answers_those_before_as_well(self, flow):
        for size in (1, 2, 4):
            flow.sent(size)
            flow.ping(START)
        assert flow.pong(2, START)
        assert flow.unacknowledged == 4
        assert not flow.pong(1, START)
        assert not flow.pong(2, START)
        assert flow.pong(3, START)
        assert flow.unacknowledged == 0

    @pytest.mark.parametrize("number", [0, 1, 4, 10**30])
    def test_a_pong_that_no_ping_waits_for_is_none(self, flow, number):
        for _ in range(3):
            flow.ping(START)
        flow.sent(1)
        flow.pong(1, START)
        assert not flow.pong(number, START)
        assert flow.unacknowledged == 1

    def test_a_pong_is_missed_an_interval_after_its_ping(self, flow):
        flow.ping(START)
        flow.ping(START + 5)
        assert flow.next_look(START + 5) == START + 20
        assert not flow.miss_pong(START + 19.9)
        assert flow.miss_pong(START + 20)

    def test_a_client_that_answers_has_an_interval_for_the_rest(self, flow):
        flow.ping(START)
        flow.ping(START)
        flow.pong(1, START + 19)
        assert not flow.miss_pong(START + 38.9)
        assert flow.miss_pong(START + 39)

    def test_nothing_is_missed_when_all_is_answered(self, flow):
        flow.ping(START)
        flow.pong(1, START + 1)
        assert flow.next_look(START + 1) == START + INTERVAL
        assert not flow.miss_pong(START + INTERVAL)

    def test_a_process_that_stood_still_blames_nobody(self, flow):
        """The pong may have come meanwhile, and has not been read."""
        flow.ping(START)
        late = START + INTERVAL + STALL_SECONDS + 0.1
        assert not flow.miss_pong(late)
        assert flow.next_look(late) == late + INTERVAL
        assert flow.miss_pong(late + INTERVAL)

    def test_a_ping_that_could_not_be_sent_yet_needs_no_look(self, flow):
        assert flow.next_look(START + INTERVAL) == float("inf")

    @given(st.lists(st.one_of(st.integers(1, 10_000), st.just("ping"), st.integers(-9, -1))))
    def test_counts_as_a_client_would(self, steps):
        """Positive: bytes that are sent; negative: a pong to the ping so many before the last."""
        flow, sent, pings, answered = Flow(INTERVAL, START), 0, [0], 0
        for step in steps:
            if step == "ping":
                assert flow.ping(START) == len(pings)
                pings.append(sent)
            elif step > 0:
                flow.sent(step)
                sent += step
            else:
                number = len(pings) + step
                waits = answered < number
                assert flow.pong(number, START) == waits
                answered = max(answered, number)
            assert flow.unacknowledged == sent - pings[answered]


class Client:
    """A client that is `delay` seconds away, and the server between, which is never in the way.

    It answers pings while it is `attentive`. The server does not take anything while it is blocked.
    """

    def __init__(self, delay: float = 0.0) -> None:
        self.loop = asyncio.get_running_loop()
        self.delay = delay
        self.arrival = 0.0
        self.attentive = True
        self.frames: list[dict] = []
        self.pings: list[tuple[float, int]] = []
        self.code: int | None = None
        self.free = asyncio.Event()
        self.free.set()
        self.receive: Callable[[str], object] = lambda text: None

    async def send(self, message: dict) -> None:
        await self.free.wait()
        self.later(self.take, message)

    def later(self, function: Callable, *args: object) -> None:
        """In order: a loop's timers for the same time are in none."""
        if self.delay:
            self.arrival = max(self.arrival + 1e-6, self.loop.time() + self.delay)
            self.loop.call_at(self.arrival, function, *args)
        else:
            self.loop.call_soon(function, *args)

    def take(self, message: dict) -> None:
        if message["type"] == "websocket.close":
            self.code = message["code"]
        elif message["text"].startswith('{"ping"'):
            number = json.loads(message["text"])["ping"]
            self.pings.append((self.loop.time() - self.delay, number))
            if self.attentive:
                self.answer(number)
        elif message["text"].startswith("{"):
            self.frames.append(json.loads(message["text"]))
        else:
            self.frames.append(message["text"])

    def answer(self, number: int) -> None:
        self.later(self.receive, pong(number))


class Rooms:
    """How often there was room again."""

    def __init__(self) -> None:
        self.told = 0
        self.closed = 0

    def on_room(self) -> None:
        self.told += 1

    def on_close(self) -> None:
        self.closed += 1


def connect(delay: float = 0.0, interval: float = INTERVAL) -> tuple[Writer, Client, Rooms]:
    client, rooms = Client(delay), Rooms()
    writer = Writer(client.send, on_room=rooms.on_room, on_close=rooms.on_close)
    client.receive = writer.take_pong
    writer.start_pings(interval)
    return writer, client, rooms


def timers() -> list[asyncio.TimerHandle]:
    loop = asyncio.get_running_loop()
    return [each for each in loop._scheduled if not each.cancelled()]  # noqa: SLF001


def other_tasks() -> set[asyncio.Task]:
    return asyncio.all_tasks() - {asyncio.current_task()}


class TestIdle:
    @clockless
    async def test_a_ping_each_interval(self):
        writer, client, _ = connect()
        await asyncio.sleep(101)
        assert client.pings == [(20, 1), (40, 2), (60, 3), (80, 4), (100, 5)]
        assert client.frames == []
        assert writer.is_open

    @clockless
    async def test_costs_one_timer_and_no_task(self):
        writer, client, _ = connect()
        for _ in range(100):
            await asyncio.sleep(1.5)
            # The test's own sleep is over.
            assert len(timers()) == 1
            assert other_tasks() == set()
        writer.push("busy")
        await asyncio.sleep(0.1)
        assert len(timers()) == 1
        assert len(client.pings) == 7

    @clockless
    async def test_nothing_stays_behind(self):
        writer, client, _ = connect()
        writer.push("x" * PING_BYTES)
        await asyncio.sleep(1)
        await writer.end()
        assert timers() == []
        assert other_tasks() == set()
        await asyncio.sleep(100)
        assert len(client.pings) == 1

    @clockless
    async def test_nothing_stays_behind_a_send_that_is_stuck(self):
        writer, client, _ = connect()
        client.free.clear()
        writer.push("stuck")
        await asyncio.sleep(1)
        await writer.end()
        assert timers() == []
        assert other_tasks() == set()

    @clockless
    async def test_a_silent_client_is_closed(self):
        writer, client, rooms = connect()
        client.attentive = False
        await asyncio.sleep(39.9)
        assert writer.is_open
        await asyncio.sleep(0.2)
        assert client.pings == [(20, 1)]
        assert client.frames == [UNANSWERED]
        assert client.code == CloseCode.SILENT_TOO_LONG
        assert rooms.closed == 1
        await writer.end()
        assert timers() == []

    @clockless
    async def test_who_falls_silent_is_closed_too(self):
        """Also after frames that were acknowledged."""
        writer, client, _ = connect()
        writer.push("event")
        await asyncio.sleep(50)
        client.attentive = False
        await asyncio.sleep(29.9)
        assert writer.is_open
        await asyncio.sleep(0.2)
        assert client.code == CloseCode.SILENT_TOO_LONG

    @clockless
    async def test_after_a_close_there_are_no_pings(self):
        writer, client, _ = connect()
        writer.close(4400)
        await asyncio.sleep(100)
        assert client.pings == []
        assert (client.frames, client.code) == ([], 4400)


class TestRoom:
    @clockless
    async def test_what_is_not_acknowledged_counts(self):
        writer, client, rooms = connect()
        client.attentive = False
        writer.push("x" * (HIGH_WATER - 1))
        await asyncio.sleep(1)
        assert writer.has_room
        writer.push("x")
        await asyncio.sleep(1)
        assert not writer.has_room
        assert rooms.told == 0

    @clockless
    async def test_what_waits_and_what_is_not_acknowledged_count_together(self):
        writer, client, _ = connect()
        client.attentive = False
        writer.push("x" * LOW_WATER)
        await asyncio.sleep(1)
        client.free.clear()
        writer.push("x" * LOW_WATER)
        assert not writer.has_room

    @clockless
    async def test_a_pong_makes_room(self):
        writer, client, rooms = connect()
        client.attentive = False
        for _ in range(4):
            writer.push("x" * PING_BYTES)
        await asyncio.sleep(1)
        assert not writer.has_room
        assert [number for _, number in client.pings] == [1, 2, 3, 4]
        assert writer.take_pong(pong(1))
        await asyncio.sleep(0)
        # There is some, but whoever was stopped waits for more of it.
        assert (writer.has_room, rooms.told) == (True, 0)
        assert writer.take_pong(pong(2))
        await asyncio.sleep(0)
        assert (writer.has_room, rooms.told) == (True, 1)
        assert writer.take_pong(pong(4))
        await asyncio.sleep(0)
        assert rooms.told == 1

    @clockless
    async def test_a_pong_makes_no_room_while_frames_wait(self):
        writer, client, rooms = connect()
        client.attentive = False
        writer.push("x" * HIGH_WATER)
        await asyncio.sleep(1)
        client.free.clear()
        writer.push("next")
        await asyncio.sleep(1)
        assert not writer.has_room
        assert writer.take_pong(pong(1))
        await asyncio.sleep(1)
        assert rooms.told == 0
        client.free.set()
        await asyncio.sleep(1)
        assert rooms.told == 1

    @clockless
    async def test_frames_are_sent_in_order_without_room(self):
        writer, client, _ = connect()
        client.attentive = False
        texts = [str(number) + "x" * PING_BYTES for number in range(9)]
        for text in texts:
            writer.push(text)
        await asyncio.sleep(1)
        assert not writer.has_room
        writer.push("reply")
        await asyncio.sleep(1)
        assert client.frames == [*texts, "reply"]

    @pytest.mark.parametrize("size", [500, PING_BYTES - 1, PING_BYTES, HIGH_WATER, 3_000_000])
    @clockless
    async def test_who_was_stopped_goes_on(self, size):
        """Frames of any size: the last of them is acknowledged as well, soon."""
        writer, _, rooms = connect(delay=0.05)
        for _ in range(HIGH_WATER // size + 1):
            writer.push("x" * size)
        assert not writer.has_room
        await asyncio.sleep(1)
        assert (writer.has_room, rooms.told) == (True, 1)

    @clockless
    async def test_a_client_far_away_is_not_held_up(self):
        """80 ms to the answer, 8 MB a second: most of what may be under way is under way."""
        writer, client, rooms = connect(delay=0.04)
        for _ in range(1000):
            assert writer.has_room
            writer.push("x" * 50_000)
            await asyncio.sleep(0.05 / 8)
        await asyncio.sleep(1)
        assert len(client.frames) == 1000
        assert rooms.told == 0

    @clockless
    async def test_bytes_and_not_characters_are_acknowledged(self):
        writer, client, _ = connect()
        client.attentive = False
        writer.push("\U0001f600" * (HIGH_WATER // 4))
        await asyncio.sleep(1)
        assert not writer.has_room


class TestSlow:
    @clockless
    async def test_a_client_that_does_not_answer_for_what_was_sent(self):
        writer, client, _ = connect()
        client.attentive = False
        writer.push("x" * PING_BYTES)
        await asyncio.sleep(19.9)
        assert writer.is_open
        await asyncio.sleep(0.2)
        assert client.frames == ["x" * PING_BYTES, UNANSWERED]
        assert client.code == CloseCode.TOO_SLOW

    @clockless
    async def test_a_few_bytes_are_bytes(self):
        writer, client, _ = connect()
        client.attentive = False
        writer.push("event")
        await asyncio.sleep(40.1)
        assert client.code == CloseCode.TOO_SLOW

    @clockless
    async def test_who_takes_long_but_goes_on_is_kept(self):
        """Eight pings at once, of which the client answers one each 15 s."""
        writer, client, _ = connect()
        client.attentive = False
        for _ in range(8):
            writer.push("x" * PING_BYTES)
        for number in range(1, 9):
            await asyncio.sleep(15)
            assert writer.take_pong(pong(number))
        assert writer.is_open

    @clockless
    async def test_a_send_that_is_stuck_is_given_up(self, settings):
        """Where the server waits for the client: the ping may be behind what it does not take."""
        settings.CHANNELS_API = {"SEND_TIMEOUT": None}
        writer, client, rooms = connect()
        client.attentive = False
        writer.push("x" * PING_BYTES)
        await asyncio.sleep(1)
        client.free.clear()
        writer.push("stuck")
        writer.push("waits")
        await asyncio.sleep(19.1)
        assert not writer.is_open
        assert rooms.closed == 1
        client.free.set()
        await asyncio.sleep(1)
        assert client.frames == ["x" * PING_BYTES]
        assert client.code == CloseCode.TOO_SLOW

    @clockless
    async def test_what_waits_is_not_taken_either(self, settings):
        settings.CHANNELS_API = {"SEND_TIMEOUT": None}
        writer, client, _ = connect()
        client.attentive = False
        await asyncio.sleep(21)
        client.free.clear()
        writer.push("stuck")
        await asyncio.sleep(19.1)
        assert not writer.is_open
        client.free.set()
        await asyncio.sleep(1)
        assert client.pings == [(20, 1)]
        assert client.code == CloseCode.TOO_SLOW

    @clockless
    async def test_a_ping_that_is_stuck_is_given_up(self, settings):
        settings.CHANNELS_API = {"SEND_TIMEOUT": None}
        writer, client, _ = connect()
        await asyncio.sleep(19)
        client.free.clear()
        await asyncio.sleep(21.1)
        assert not writer.is_open
        client.free.set()
        await asyncio.sleep(1)
        assert client.code == CloseCode.SILENT_TOO_LONG

    @clockless
    async def test_a_stuck_send_is_given_up_before_a_ping_could_be_sent(self):
        """SEND_TIMEOUT is watched by the same timer."""
        writer, client, _ = connect(interval=5)
        client.free.clear()
        writer.push("stuck")
        await asyncio.sleep(19.9)
        assert writer.is_open
        await asyncio.sleep(0.2)
        assert not writer.is_open
        client.free.set()
        await asyncio.sleep(1)
        assert client.code == CloseCode.TOO_SLOW

    @clockless
    async def test_a_send_may_be_stuck_for_less_than_an_interval(self, settings):
        settings.CHANNELS_API = {"SEND_TIMEOUT": 5}
        writer, client, _ = connect()
        await asyncio.sleep(1)
        client.free.clear()
        writer.push("stuck")
        await asyncio.sleep(4.9)
        assert writer.is_open
        await asyncio.sleep(0.2)
        assert not writer.is_open
        await writer.end()

    @clockless
    async def test_a_close_that_takes_long_is_left_alone(self):
        """A server may wait for the client's own close; that has SEND_TIMEOUT, as all else."""
        writer, client, _ = connect()
        client.attentive = False
        await asyncio.sleep(35)
        client.free.clear()
        writer.close(4400)
        await asyncio.sleep(10)
        client.free.set()
        await asyncio.sleep(1)
        assert (client.frames, client.code) == ([], 4400)


def open_socket(settings, *, pings: bool = True, **channels_api) -> tuple[Connection, Client]:
    """A socket without streams."""
    settings.CHANNELS_API = channels_api
    client = Client()
    connection = Connection({"type": "websocket"}, {}, client.send)
    client.receive = connection.receive
    if pings:
        connection.start_pings()
    return connection, client


ASK = '{"stream": "nope", "payload": {"action": "echo"}}'
BAD_PONG = error_frame(400, NO_PING)


class TestSocket:
    @clockless
    async def test_a_pong_costs_no_frame(self, settings):
        """A client that has used its frames up is not closed for a pong that was refused."""
        connection, client = open_socket(settings, FRAME_RATE=0.0001, FRAME_BURST=2)
        for _ in range(3):
            connection.receive(ASK)
        await asyncio.sleep(210)
        assert len(client.pings) == 10
        assert [frame["payload"]["response_status"] for frame in client.frames] == [404, 404, 429]
        assert client.code is None
        await connection.end()

    @clockless
    async def test_a_pong_that_nobody_asked_for_is_a_frame(self, settings):
        connection, client = open_socket(settings, FRAME_RATE=0.0001, FRAME_BURST=2)
        await asyncio.sleep(21)
        for _ in range(3):
            connection.receive(pong(1))
        await asyncio.sleep(1)
        statuses = [frame["payload"]["response_status"] for frame in client.frames]
        assert statuses == [400, 400, 429]
        await connection.end()

    @pytest.mark.parametrize(
        "text", [pong(1), pong(3), pong(0), '{"pong":"2"}', '{"pong":2.0}', '{"pong":null}']
    )
    @clockless
    async def test_a_wrong_pong_is_a_bad_frame(self, settings, text):
        """Ping 2 waits for its pong."""
        connection, client = open_socket(settings)
        await asyncio.sleep(30)
        client.attentive = False
        await asyncio.sleep(11)
        for _ in range(BAD_FRAMES - 1):
            connection.receive(text)
        await asyncio.sleep(1)
        assert client.frames == [BAD_PONG] * (BAD_FRAMES - 1)
        assert client.code is None
        connection.receive(text)
        await asyncio.sleep(1)
        assert client.code == CloseCode.PROTOCOL_ABUSE
        await connection.end()

    @clockless
    async def test_without_pings_every_pong_is_a_bad_frame(self, settings):
        connection, client = open_socket(settings, pings=False)
        connection.receive(pong(1))
        await asyncio.sleep(100)
        assert client.frames == [BAD_PONG]
        assert client.pings == []
        await connection.end()

    @clockless
    async def test_there_may_be_no_pings(self, settings):
        connection, client = open_socket(settings, PING_INTERVAL=None)
        client.attentive = False
        connection.writer.push("x" * 10 * HIGH_WATER)
        await asyncio.sleep(1000)
        assert client.pings == []
        assert client.code is None
        assert connection.writer.has_room
        await connection.end()

    @clockless
    async def test_a_large_frame_is_not_looked_at(self, settings):
        connection, client = open_socket(settings, MAX_FRAME_BYTES=100)
        await asyncio.sleep(30)
        connection.receive(pong(2).ljust(101))
        await asyncio.sleep(1)
        assert client.frames == [error_frame(413, "The frame is too large: 100 bytes are allowed.")]
        await connection.end()


class Chooser(WebsocketDemultiplexer):
    """A project's own: it accepts what its class says."""

    chosen: str | None = None

    async def connect(self) -> None:
        await self.accept(subprotocol=self.chosen)


class TestAccept:
    @pytest.mark.parametrize(
        ("chosen", "offered", "accepted", "pings"),
        [
            (None, ["chat", SUBPROTOCOL], SUBPROTOCOL, 2),
            (None, ["chat"], None, 0),
            (None, [], None, 0),
            ("chat", ["chat", SUBPROTOCOL], "chat", 0),
            (SUBPROTOCOL, [SUBPROTOCOL], SUBPROTOCOL, 2),
        ],
    )
    @clockless
    async def test_what_a_project_chooses_wins(self, chosen, offered, accepted, pings):
        sent: list[dict] = []
        received: asyncio.Queue[dict] = asyncio.Queue()
        scope = {"type": "websocket", "subprotocols": offered}

        async def send(message: dict) -> None:
            sent.append(message)
            if "ping" in message.get("text", ""):
                text = json.dumps({"pong": json.loads(message["text"])["ping"]})
                received.put_nowait({"type": "websocket.receive", "text": text})

        demultiplexer = type("Chooser", (Chooser,), {"chosen": chosen})()
        socket = asyncio.ensure_future(demultiplexer(scope, received.get, send))
        received.put_nowait({"type": "websocket.connect"})
        await asyncio.sleep(50)
        received.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await socket
        assert sent[0] == {"type": "websocket.accept", "subprotocol": accepted}
        texts = [ping_text(number, 20) for number in range(1, pings + 1)]
        assert sent[1:] == [{"type": "websocket.send", "text": text} for text in texts]
        assert timers() == []
