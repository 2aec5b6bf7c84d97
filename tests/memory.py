"""The memory of a server's process, in bytes; Linux only."""

import re
from pathlib import Path

MEGABYTE = 2**20


def peak_of_memory(pid: int, *, forget: bool = False) -> int:
    """The most that a process held since its start, or since this was told to forget it."""
    process = Path("/proc") / str(pid)
    if forget:
        (process / "clear_refs").write_text("5")
    return _kilobytes("VmHWM", process / "status")


def resident_memory(pid: int) -> int:
    """What a process holds at the moment."""
    return _kilobytes("Rss", Path(f"/proc/{pid}/smaps_rollup"))


def _kilobytes(name: str, path: Path) -> int:
    return int(re.search(rf"^{name}:\s+(\d+) kB", path.read_text(), re.MULTILINE)[1]) * 1024
