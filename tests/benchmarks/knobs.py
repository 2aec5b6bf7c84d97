"""What settings of the site, its server and its database bring: `make knobs`.

Prints a row for each, in interleaved rounds. With `--rst` the table goes into a document.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.benchmarks import targets
from tests.benchmarks.figures import Case, Figures, middle
from tests.benchmarks.generator import LoadError, LoadGenerator
from tests.benchmarks.measures import cpu_seconds, print_table, resident_bytes
from tests.benchmarks.measuring import Bench
from tests.benchmarks.peers import PeerServer, allow_sockets
from tests.benchmarks.report import Row, replace_block, rst_table
from tests.benchmarks.sites import Site, make_site

BLOCK = "make knobs"
SOCKETS = "retrieve, 50 sockets"
Values = dict[Case, float]
HELD = 500
SUBSCRIBERS = 200


@dataclass(frozen=True)
class Knob:
    """A way to run the site, and what is looked at."""

    name: str
    measure: Callable[[Bench, PeerServer], Values]
    database: str = "sqlite"
    server: str = "uvicorn"
    env: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    pinned: bool = True


def requests(bench: Bench, server: PeerServer) -> Values:
    """Many sockets with one request each."""
    load = {"action": "retrieve", "sockets": 50, "seconds": 1.5}
    result = bench.run("request_reply", server, **load)
    return {
        Case(SOCKETS, targets.RPS): result["per second"],
        Case(SOCKETS, targets.P99): result["p99 ms"],
    }


def threads(bench: Bench, server: PeerServer) -> Values:
    """Requests, and actions that wait."""
    nap = bench.run("naps", server, sockets=10)["seconds"]
    return {**requests(bench, server), Case("ten actions of 0.2 s", "s"): nap}


def sockets(bench: Bench, server: PeerServer) -> Values:
    """Requests, events, and the memory of idle sockets."""
    idle = idle_sockets(bench, server, deflate=False)
    fan = bench.run("fan_out", server, subscribers=1000, events=20)
    events = {Case("1000 subscribers", targets.EVENTS): fan["events per second"]}
    return {**requests(bench, server), **events, **idle}


def plain(bench: Bench, server: PeerServer) -> Values:
    return frames(bench, server, deflate=False)


def deflated(bench: Bench, server: PeerServer) -> Values:
    return frames(bench, server, deflate=True)


def frames(bench: Bench, server: PeerServer, *, deflate: bool) -> Values:
    """The memory of idle sockets, and the CPU time of an event."""
    idle = idle_sockets(bench, server, deflate=deflate)
    before = cpu_seconds([server.pid])
    arguments = {"subscribers": SUBSCRIBERS, "events": 60, "deflate": deflate}
    told = bench.run("fan_out", server, **arguments)["told"]
    spent = 1e6 * (cpu_seconds([server.pid]) - before) / told
    return {**idle, Case(f"{SUBSCRIBERS} subscribers", targets.CPU): spent}


def idle_sockets(bench: Bench, server: PeerServer, *, deflate: bool) -> Values:
    bench.run("hold", server, sockets=20, deflate=deflate)
    before = resident_bytes(server.pid)
    bench.run("hold", server, sockets=HELD, deflate=deflate)
    grown = resident_bytes(server.pid) - before
    bench.run("release", server)
    return {Case("idle socket", targets.MEMORY): grown / HELD / 1024}


def connections(database: str, name: str, **env: str) -> Knob:
    return Knob(f"{database}: {name}", requests, database=database, env=env)


KNOBS = [
    *(
        connections(database, f"CONN_MAX_AGE = {age}", BENCH_CONN_MAX_AGE=str(age))
        for database in ("sqlite", "postgres")
        for age in (0, 600)
    ),
    connections("postgres", "psycopg's pool", BENCH_POOL="1"),
    Knob("uvicorn", sockets),
    Knob("daphne", sockets, server="daphne"),
    *(
        Knob(
            f"{database}: THREADS = {count}",
            threads,
            database=database,
            env={"BENCH_CHANNELS_API": json.dumps({"THREADS": count})},
        )
        for database in ("sqlite", "postgres")
        for count in (1, 2, 8, 32)
    ),
    *(
        Knob(
            f"postgres: {count} processes",
            requests,
            database="postgres",
            arguments=["--workers", str(count)],
            pinned=False,
        )
        for count in (1, 2)
    ),
    Knob("frames as they are", plain),
    Knob("permessage-deflate", deflated),
]


def measure(rounds: int) -> Figures:
    """All of them in each round; the name of the knob stands where that of a peer does."""
    figures = Figures()
    with ExitStack() as parts:
        sites = {
            database: parts.enter_context(make_site(database=database))
            for database in ("sqlite", "postgres")
        }
        load = parts.enter_context(LoadGenerator())
        for number in range(1, rounds + 1):
            order = random.Random(number).sample(KNOBS, len(KNOBS))  # noqa: S311 - no secret
            for knob in order:
                sys.stderr.write(f"round {number}: {knob.name}\n")
                site = replace(sites[knob.database], kind=knob.server)
                _measure_knob(Bench(site, load, figures, number), knob, site)
    return figures


def _measure_knob(bench: Bench, knob: Knob, site: Site) -> None:
    server = site.server("ours", *knob.arguments, pinned=knob.pinned, **knob.env)
    try:
        with server:
            for case, value in knob.measure(bench, server).items():
                bench.add(case, knob.name, value)
    except LoadError as exc:
        bench.fault(exc)


def rows_of(figures: Figures) -> list[Row]:
    """A row for each knob, a column for each case."""
    cases = list(figures.values)
    head = ("", *(f"{case.name}: {case.unit}" for case in cases))
    return [
        head,
        *((knob.name, *(middle(figures.of(case, knob.name)) for case in cases)) for knob in KNOBS),
    ]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make knobs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rst", type=Path, help=f"the document that has the block `{BLOCK}`")
    options = parser.parse_args()
    allow_sockets()
    figures = measure(options.rounds)
    print_table(rows_of(figures))
    for fault in figures.faults:
        sys.stdout.write(f"failed: {fault}\n")
    if options.rst:
        replace_block(options.rst, BLOCK, rst_table(rows_of(figures)))


if __name__ == "__main__":
    main()
