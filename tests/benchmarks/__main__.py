"""This project against its peers: `make bench`, or `python -m tests.benchmarks`.

Everything is measured in interleaved rounds, as many as fit into the time. What counts are the
ratios of one round; shown are the medians of the rounds, with the least and the greatest.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import Figures
from tests.benchmarks.generator import LoadError, LoadGenerator
from tests.benchmarks.measures import print_table
from tests.benchmarks.measuring import PARTS, Bench
from tests.benchmarks.peers import allow_sockets
from tests.benchmarks.report import (
    Row,
    figure_rows,
    replace_block,
    rows_in_short,
    rst_table,
    target_rows,
)
from tests.benchmarks.sites import make_site
from tests.benchmarks.whole import ONCE
from tests.servers import ServerError

BLOCK = "make bench"
USUAL = ("uvicorn", "sqlite", "memory")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=10, help="no round begins that would end later"
    )
    parser.add_argument("--server", choices=["uvicorn", "daphne"], default="uvicorn")
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--layer", choices=["memory", "redis", "pubsub"], default="memory")
    parser.add_argument("--only", choices=[*PARTS, *ONCE], action="append", help="may be repeated")
    parser.add_argument("--json", type=Path, help="write all values there")
    parser.add_argument(
        "--rst",
        type=Path,
        help=f"put the tables into the block `{BLOCK}` of this document; those of other servers "
        f"than {', '.join(USUAL)} into one of theirs, the targets alone",
    )
    parser.add_argument("--readme", type=Path, help="put some of it into this one's block")
    return parser.parse_args()


def parts_in_time(names: list[str], end: float) -> Iterator[tuple[int, str]]:
    """Number of the round and part, until the time is up; each part once in any case."""
    took: dict[str, float] = {}
    number = 0
    while number == 0 or time.monotonic() + sum(took.values()) < end:
        number += 1
        for name in names:
            began = time.monotonic()
            yield number, name
            took[name] = time.monotonic() - began


def measure(options: argparse.Namespace) -> Figures:
    """All parts that were asked for."""
    end = time.monotonic() + 60 * options.minutes
    wanted = options.only or [*PARTS, *ONCE]
    figures = Figures()
    for name in filter(wanted.__contains__, ONCE):
        _say(name)
        ONCE[name](figures, options.layer)
    names = [name for name in PARTS if name in wanted]
    if names:
        with make_site(options.server, options.db, options.layer) as site, LoadGenerator() as load:
            bench = Bench(site, load, figures)
            for bench.number, name in parts_in_time(names, end):
                _say(f"round {bench.number}: {name}")
                _measure_part(bench, name)
    return figures


def _measure_part(bench: Bench, name: str) -> None:
    try:
        PARTS[name](bench)
    except (LoadError, ServerError) as exc:
        bench.fault(exc)


def _write(document: Path, combination: tuple[str, ...], tables: list[list[Row]]) -> None:
    usual = combination == USUAL
    block = BLOCK if usual else f"{BLOCK} {' '.join(combination)}"
    replace_block(document, block, "\n".join(map(rst_table, tables if usual else tables[1:])))


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    allow_sockets()
    figures = measure(options)
    tables = [figure_rows(figures), target_rows(figures)]
    for table in tables:
        print_table(table)
        sys.stdout.write("\n")
    for fault in figures.faults:
        sys.stdout.write(f"failed: {fault}\n")
    if options.json:
        options.json.write_text(json.dumps(figures.as_json(), indent=1))
    if options.rst:
        _write(options.rst, (options.server, options.db, options.layer), tables)
    if options.readme:
        replace_block(options.readme, BLOCK, rst_table(rows_in_short(figures)))
    sys.exit(bool(figures.faults))


if __name__ == "__main__":
    main()
