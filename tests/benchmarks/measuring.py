"""The parts of a run. Each measures its cases once in a round, on servers that it starts."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from tests.benchmarks import targets
from tests.benchmarks.figures import Case, Figures
from tests.benchmarks.generator import LoadGenerator
from tests.benchmarks.measures import cpu_seconds, resident_bytes
from tests.benchmarks.peers import PeerServer
from tests.benchmarks.sites import Site

HELD = 1000
WARM = 20
# Seconds until what a server does besides answering is over.
SETTLE = 1.0
EVENTS = {100: 100, 1000: 30}
REQUEST_PEERS = ("ours", "dcrf", "floor", "fields", "drf")
FAN_OUT_PEERS = ("ours", "dcrf", "floor")


@dataclass
class Bench:
    """What all parts have: where servers stand, who loads them, and where figures go."""

    site: Site
    generator: LoadGenerator
    figures: Figures
    number: int = 0

    def add(self, case: Case, peer: str, value: float) -> None:
        self.figures.add(self.number, case, peer, value)

    def run(self, job: str, server: PeerServer, **arguments: object) -> dict[str, float]:
        """Have the load generator do a job; what fails in it is reported at the end."""
        result = self.generator.run(job, server, **arguments)
        if result.get("failed"):
            self.fault(f"{job} at {server.name}, {arguments}: {result['failed']:.0f} failed")
        return result

    def fault(self, what: object) -> None:
        """What went wrong; the other figures of the round are still good."""
        self.figures.faults.append(f"round {self.number}: {what}")

    @contextmanager
    def serving(self, *peers: str, **env: str) -> Iterator[list[PeerServer]]:
        """Servers of these peers, in another order each round."""
        order = random.Random(self.number).sample(peers, len(peers))  # noqa: S311 - no secret
        with ExitStack() as stack:
            yield [stack.enter_context(self.site.server(peer, **env)) for peer in order]


def requests(bench: Bench) -> None:
    """Each load on each server in turn, all of which are up."""
    with bench.serving(*REQUEST_PEERS) as servers:
        for action in targets.ACTIONS:
            for load in targets.LOADS:
                for server in servers:
                    _one_load(bench, server, action, load)


def _one_load(bench: Bench, server: PeerServer, action: str, load: str) -> None:
    sockets, depth = targets.LOADS[load]
    if server.name == "drf" and depth > 1:
        return  # a connection of HTTP/1.1 has one request in flight
    before = cpu_seconds([server.pid])
    result = bench.run("request_reply", server, action=action, sockets=sockets, depth=depth)
    spent = cpu_seconds([server.pid]) - before
    values = {
        targets.RPS: result["per second"],
        targets.P50: result["p50 ms"],
        targets.P99: result["p99 ms"],
        targets.CPU: 1e6 * spent / result["answered"],
    }
    for unit, value in values.items():
        bench.add(targets.load_case(action, load, unit), server.name, value)


def fan_out(bench: Bench) -> None:
    """One row changes, and all subscribers see it."""
    for count in targets.SUBSCRIBERS:
        with bench.serving(*FAN_OUT_PEERS) as servers:
            for server in servers:
                arguments = {"subscribers": count, "events": EVENTS[count]}
                _one_fan_out(bench, server, partial(targets.one_audience, count), arguments)


def audiences(bench: Bench) -> None:
    """The same row, among others that only some may see."""
    arguments = {
        "subscribers": 1000,
        "events": 20,
        "path": "notes/",
        "sessions": bench.site.sessions,
    }
    with bench.serving("ours", "dcrf") as servers:
        for server in servers:
            _one_fan_out(bench, server, partial(Case, targets.SOME_AUDIENCES), arguments)


def _one_fan_out(
    bench: Bench, server: PeerServer, case: Callable[[str], Case], arguments: dict
) -> None:
    result = bench.run("fan_out", server, **arguments)
    units = {
        targets.EVENTS: "events per second",
        targets.LAST_P50: "to last p50 ms",
        targets.LAST_P99: "to last p99 ms",
        targets.LOST: "lost",
        targets.READS: "reads per event",
    }
    for unit, key in units.items():
        bench.add(case(unit), server.name, result[key])


def naps(bench: Bench) -> None:
    """How many sync actions run at a time."""
    with bench.serving("ours", "dcrf", "drf", BENCH_CHANNELS_API='{"THREADS": 8}') as servers:
        for server in servers:
            result = bench.run("naps", server, sockets=10)
            bench.add(Case(targets.NAPS, "s"), server.name, result["seconds"])


def memory(bench: Bench) -> None:
    """What a socket adds to its server, and to one without a framework."""
    grown = {}
    for peer in ("raw", "ours", "dcrf"):
        with bench.serving(peer) as (server,):
            grown[peer] = _grown(bench, server)
        for case, value in zip((targets.CONNECTED, targets.SUBSCRIBED), grown[peer], strict=True):
            bench.add(Case(case, targets.MEMORY), peer, value)
    for at, case in enumerate((targets.CONNECTED, targets.SUBSCRIBED)):
        for peer in ("ours", "dcrf"):
            over = grown[peer][at] - grown["raw"][at]
            bench.add(Case(case, targets.OVER_RAW), peer, over)


def _grown(bench: Bench, server: PeerServer) -> tuple[float, float]:
    """KiB per socket: connected, and with a subscription."""

    def resident(job: str, **arguments: object) -> int:
        bench.run(job, server, **arguments)
        time.sleep(SETTLE)
        return resident_bytes(server.pid)

    # What is imported and begun with the first of them is no matter of one socket.
    resident("hold", sockets=WARM)
    before = resident("subscribe")
    resident("release")
    connected = resident("hold", sockets=HELD + WARM)
    subscribed = resident("subscribe")
    bench.run("release", server)
    return (connected - before) / HELD / 1024, (subscribed - before) / HELD / 1024


def start_up(bench: Bench) -> None:
    """From the start of a server's process to its first answer."""
    for peer in ("ours", "dcrf", "drf"):
        server = bench.site.server(peer)
        began = time.monotonic()
        with server:
            bench.run("first", server)
            bench.add(Case(targets.FIRST, "s"), peer, time.monotonic() - began)


PARTS: dict[str, Callable[[Bench], None]] = {
    "requests": requests,
    "fan-out": fan_out,
    "audiences": audiences,
    "naps": naps,
    "memory": memory,
    "start-up": start_up,
}
