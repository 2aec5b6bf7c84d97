"""Tables of the figures and of the targets, for a terminal and as reStructuredText."""

import statistics
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks import targets
from tests.benchmarks.figures import Case, Figures, middle, short
from tests.benchmarks.peers import PEERS
from tests.benchmarks.targets import TARGETS, Target

Row = tuple[str, ...]
# What the README shows.
IN_SHORT = [
    *(targets.load_case(action, "50 sockets", targets.RPS) for action in targets.ACTIONS),
    targets.one_audience(1000, targets.EVENTS),
    targets.one_audience(1000, targets.LAST_P50),
    Case(targets.SOME_AUDIENCES, targets.EVENTS),
    Case(targets.CONNECTED, targets.OVER_RAW),
]
OTHERS = ("dcrf", "drf")
MET = {True: "yes", False: "no", None: "not measured"}


def figure_rows(figures: Figures) -> list[Row]:
    """The median of each case and peer, and its spread."""
    shown = [name for name in PEERS if any(name in peers for peers in figures.values.values())]
    head = ("case", "unit", *(PEERS[name].title for name in shown))
    return [
        head,
        *(
            (case.name, case.unit, *(middle(figures.of(case, name)) for name in shown))
            for case in figures.values
        ),
    ]


def target_rows(figures: Figures) -> list[Row]:
    """What was to be reached, and whether it is."""
    head = ("target", "against", "must be", "is", "met")
    measured = [target for target in TARGETS if target.met(figures) is not None]
    return [head, *(_target_row(target, figures) for target in measured)]


def _target_row(target: Target, figures: Figures) -> Row:
    sign = "at least" if target.at_least else "at most"
    against = PEERS[target.against].title if target.against else ""
    return (
        f"{target.case.name}: {target.case.unit}",
        against,
        f"{sign} {target.bound:g}" if target.bound else "0",
        middle(target.values(figures)),
        MET[target.met(figures)],
    )


def rows_in_short(figures: Figures) -> list[Row]:
    """A few cases, with the medians of ours and of other libraries and the ratios to these."""
    titles = [PEERS[name].title for name in OTHERS]
    head = ("", PEERS["ours"].title, *titles, *(f"times {title}" for title in titles))
    return [head, *(_row_in_short(case, figures) for case in IN_SHORT)]


def _row_in_short(case: Case, figures: Figures) -> Row:
    values = [figures.of(case, name) for name in ("ours", *OTHERS)]
    values += [figures.ratios(case, "ours", name) for name in OTHERS]
    return (
        f"{case.name}: {case.unit}",
        *(short(statistics.median(each)) if each else "" for each in values),
    )


def rst_table(rows: Iterable[Row]) -> str:
    """A simple table with a head."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule]) + "\n"


def replace_block(path: Path, name: str, text: str) -> None:
    """Put `text` between the comments `.. NAME: begin` and `.. NAME: end` of a document."""
    begin, end = f".. {name}: begin\n", f".. {name}: end\n"
    before, found, rest = path.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{path} has no block {name}")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")
