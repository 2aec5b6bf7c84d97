"""How cost grows with sockets, audiences and rows: `make growth`.

Prints a table for each, writes all values to docs/growth.json and draws docs/images/growth.svg.
With `--rst` the tables go into a document.
"""

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.benchmarks import targets
from tests.benchmarks.figures import Case, Figures, middle, short
from tests.benchmarks.generator import LoadError, LoadGenerator
from tests.benchmarks.measures import print_table, resident_bytes
from tests.benchmarks.measuring import Bench
from tests.benchmarks.peers import PEERS, allow_sockets
from tests.benchmarks.plots import draw
from tests.benchmarks.report import Row, replace_block, rst_table
from tests.benchmarks.sites import make_site
from tests.servers import ROOT

BLOCK = "make growth"
JSON = ROOT / "docs" / "growth.json"
PICTURE = ROOT / "docs" / "images" / "growth.svg"
MOST_USERS = 1000
MOST_ROWS = 10_000
SUBSCRIBERS = 1000
MILLION = 1_000_000


@dataclass(frozen=True)
class Growth:
    """What grows, the steps in which it does, and what is measured at each for each peer."""

    what: str
    steps: Sequence[int]
    measure: Callable[[Bench, str, int, Callable[[str], Case]], None]
    units: Sequence[str]
    peers: Sequence[str] = ("ours",)

    def case(self, step: int, unit: str) -> Case:
        return Case(f"{step} {self.what}", unit)


def sockets(bench: Bench, peer: str, count: int, case: Callable[[str], Case]) -> None:
    """Idle and subscribed, with a request in flight on each, and told of a row that is written."""
    with bench.serving(peer) as (server,):
        bench.run("hold", server, sockets=20)
        bench.run("subscribe", server)
        before = resident_bytes(server.pid)
        bench.run("hold", server, sockets=count)
        bench.run("subscribe", server)
        grown = (resident_bytes(server.pid) - before) / 2**20
        bench.run("release", server)
        # Time for each socket to be answered at least once before, and while it counts.
        seconds = 1 + count / 1000
        load = {"action": "retrieve", "seconds": seconds, "warmup": seconds}
        requests = bench.run("request_reply", server, sockets=count, **load)
        fan = bench.run("fan_out", server, subscribers=count, events=20)
    values = (requests["per second"], fan["events per second"], fan["to last p50 ms"], grown)
    for unit, value in zip(SOCKETS.units, values, strict=True):
        bench.add(case(unit), peer, value)


def audiences(bench: Bench, peer: str, count: int, case: Callable[[str], Case]) -> None:
    """A thousand subscribers of so many users."""
    with bench.serving(peer) as (server,):
        some = bench.site.sessions[:count]
        arguments = {"subscribers": SUBSCRIBERS, "events": 10, "path": "notes/", "sessions": some}
        fan = bench.run("fan_out", server, **arguments)
    values = (fan["events per second"], fan["to last p50 ms"], fan["reads per event"])
    for unit, value in zip(AUDIENCES.units, values, strict=True):
        bench.add(case(unit), peer, value)


def listed(bench: Bench, peer: str, count: int, case: Callable[[str], Case]) -> None:
    """A list with so many rows on one page."""
    settings = json.dumps({"DEFAULT_PAGE_SIZE": count, "MAX_REPLY_BYTES": None})
    with bench.serving(peer, BENCH_CHANNELS_API=settings) as (server,):
        load = {"action": "list", "seconds": 1.0, "warmup": 0.3}
        result = bench.run("request_reply", server, sockets=1, **load)
    for unit, value in zip(LISTED.units, (result["p50 ms"], result["per second"]), strict=True):
        bench.add(case(unit), peer, value * (count if unit == ROWS_PER_SECOND else 1))


def visible(bench: Bench, peer: str, count: int, case: Callable[[str], Case]) -> None:
    """A hundred subscribers of one user, who sees so many rows and not those of others."""
    with make_site(bench.site.kind, rows=1, users=2, notes=count) as site:
        server = site.server(peer)
        with server:
            arguments = {"path": "notes/", "sessions": site.sessions[:1]}
            # The other user's first: what a server does once is not measured.
            for session in reversed(site.sessions):
                bench.run("hold", server, sockets=1, path="notes/", sessions=[session])
                subscribing = bench.run("subscribe", server)["seconds"]
                bench.run("release", server)
            fan = bench.run("fan_out", server, subscribers=100, events=20, **arguments)
    values = (1000 * subscribing, fan["events per second"])
    for unit, value in zip(VISIBLE.units, values, strict=True):
        bench.add(case(unit), peer, value)


ROWS_PER_SECOND = "rows/s"
MEBIBYTES = "MiB subscribed"
SOCKETS = Growth(
    "sockets",
    (10, 100, 1000, 5000),
    sockets,
    (targets.RPS, targets.EVENTS, targets.LAST_P50, MEBIBYTES),
    ("ours", "floor"),
)
AUDIENCES = Growth(
    f"audiences of {SUBSCRIBERS} subscribers",
    (1, 10, 100, MOST_USERS),
    audiences,
    (targets.EVENTS, targets.LAST_P50, targets.READS),
)
LISTED = Growth(
    "rows in a list",
    (1, 10, 100, 1000, MOST_ROWS),
    listed,
    (targets.P50, ROWS_PER_SECOND),
)
VISIBLE = Growth(
    "rows that a subscriber may see",
    (1, 10, 100, 1000, MOST_ROWS),
    visible,
    ("subscribe, ms", targets.EVENTS),
)
GROWTHS = (SOCKETS, AUDIENCES, LISTED, VISIBLE)


def measure(rounds: int) -> Figures:
    """Each step of each growth once in a round."""
    figures = Figures()
    with make_site(rows=MOST_ROWS, users=MOST_USERS) as site, LoadGenerator() as load:
        bench = Bench(site, load, figures)
        points = [(growth, step) for growth in GROWTHS for step in growth.steps]
        for bench.number in range(1, rounds + 1):
            for growth, step in random.Random(bench.number).sample(points, len(points)):  # noqa: S311 - no secret
                sys.stderr.write(f"round {bench.number}: {step} {growth.what}\n")
                _measure_point(bench, growth, step)
    return figures


def _measure_point(bench: Bench, growth: Growth, step: int) -> None:
    for peer in growth.peers:
        try:
            growth.measure(bench, peer, step, partial(growth.case, step))
        except LoadError as exc:
            bench.fault(exc)


def rows_of(growth: Growth, figures: Figures) -> list[Row]:
    """A row for each step."""
    columns = [(unit, peer) for unit in growth.units for peer in growth.peers]
    head = [
        unit if len(growth.peers) == 1 else f"{unit}, {PEERS[peer].title}" for unit, peer in columns
    ]
    rows: list[Row] = [(growth.what, *head)]
    for step in growth.steps:
        cells = (middle(figures.of(growth.case(step, unit), peer)) for unit, peer in columns)
        rows.append((str(step), *cells))
    return rows


def million_rows(figures: Figures) -> list[Row]:
    """What a million sockets take, worked out from what one process was seen to do."""

    def ours(count: int, unit: str) -> float:
        values = figures.of(SOCKETS.case(count, unit), "ours")
        return statistics.median(values) if values else math.nan

    most = SOCKETS.steps[-1]
    memory = ours(most, MEBIBYTES) / most * MILLION / 1024
    events, requests = ours(1000, targets.EVENTS), ours(1000, targets.RPS)
    return [
        ("a million sockets, from figures of one process", "need"),
        ("each with a subscription: memory", f"{short(memory)} GiB"),
        ("one change a second that all see", f"{short(MILLION / events)} processes"),
        ("one request a minute of each", f"{short(MILLION / 60 / requests)} processes"),
    ]


def curves_of(growth: Growth, figures: Figures) -> dict[str, dict[int, float]]:
    """The medians of each unit and peer at each step."""
    curves: dict[str, dict[int, float]] = {}
    for unit in growth.units:
        for peer in growth.peers:
            points = {
                step: statistics.median(values)
                for step in growth.steps
                if (values := figures.of(growth.case(step, unit), peer))
            }
            # A logarithm has no place for nothing.
            if any(points.values()):
                curves[f"{unit}, {PEERS[peer].title}"] = points
    return curves


def main() -> None:
    """Measure, print, write, draw."""
    parser = argparse.ArgumentParser(prog="make growth", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rst", type=Path, help=f"the document that has the block `{BLOCK}`")
    options = parser.parse_args()
    allow_sockets()
    figures = measure(options.rounds)
    tables = [*(rows_of(growth, figures) for growth in GROWTHS), million_rows(figures)]
    for table in tables:
        print_table(table)
        sys.stdout.write("\n")
    for fault in figures.faults:
        sys.stdout.write(f"failed: {fault}\n")
    JSON.write_text(json.dumps(figures.as_json(), indent=1) + "\n")
    draw({growth.what: curves_of(growth, figures) for growth in GROWTHS}, PICTURE)
    if options.rst:
        replace_block(options.rst, BLOCK, "\n".join(map(rst_table, tables)))


if __name__ == "__main__":
    main()
