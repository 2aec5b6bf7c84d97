"""Percentiles with their spread over the rounds, CPU time of processes, a table."""

import os
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """What these processes have used, in user and in kernel mode."""
    return sum(map(_cpu_of, pids))


def _cpu_of(pid: int) -> float:
    # The name of the program, in parentheses, may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is not exceeded by `percent` of them."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered), round(len(ordered) * percent / 100)) - 1)]


def spread(values: Sequence[float], unit: str) -> str:
    """The median of the rounds, and in brackets the least and the greatest."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.1f} {unit} [{low:.1f} .. {high:.1f}]"


def print_table(rows: Iterable[tuple[str, ...]]) -> None:
    """Columns as wide as their widest cell."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def resident_bytes(pid: int) -> int:
    """What a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
