"""Tables of the figures and of the targets, for a terminal and as reStructuredText."""

from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.figures import Figures, middle
from tests.benchmarks.peers import PEERS
from tests.benchmarks.targets import TARGETS, Target

Row = tuple[str, ...]
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
