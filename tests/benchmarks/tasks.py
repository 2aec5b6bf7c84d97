"""Tasks through channels_api: from a state to its frame, CPU of the worker, tasks per second.

`python -m tests.benchmarks.tasks [seconds]` starts Redis, a worker with two processes and uvicorn,
and prints a table after about a minute: no round begins after so many seconds. Machines differ,
and days: what counts are the ratios to the same tasks published by a plain script, with no handler
and so without any mark of ours, in the same rounds.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.benchmarks.clients import Heard, by_script, over_sockets
from tests.benchmarks.measures import cpu_seconds, percentile, print_table, spread
from tests.benchmarks.parts import Parts, embedded, prefork

SECONDS = 40.0
# Tasks of a round. Those of three states are slow on purpose: each state is told alone.
STEPS, PAUSE = 100, 0.03
SHORT = 1000
STATES = ("STARTED", "PROGRESS", "SUCCESS")


@dataclass
class Cost:
    """What a number of tasks took: seconds, and milliseconds of CPU for each."""

    count: int
    seconds: float
    worker_ms: float
    server_ms: float

    @property
    def rate(self) -> float:
        """Tasks per second."""
        return self.count / self.seconds


@dataclass
class Measured:
    """All rounds; the delays are in milliseconds, a dict of states for each round."""

    delays: list[dict[str, list[float]]] = field(default_factory=list)
    embedded: list[dict[str, list[float]]] = field(default_factory=list)
    steps: list[Cost] = field(default_factory=list)
    bare_steps: list[Cost] = field(default_factory=list)
    short: list[Cost] = field(default_factory=list)
    bare_short: list[Cost] = field(default_factory=list)


def cost(parts: Parts, count: int, run: Callable[[], None]) -> Cost:
    """Run it, and see what it takes."""
    server, worker = cpu_seconds([parts.server.pid]), cpu_seconds(parts.worker_pids)
    began = time.monotonic()
    run()
    seconds = time.monotonic() - began
    per_task = 1000 / count
    worker = (cpu_seconds(parts.worker_pids) - worker) * per_task
    return Cost(count, seconds, worker, (cpu_seconds([parts.server.pid]) - server) * per_task)


def delays_of(tasks: list[Heard]) -> dict[str, list[float]]:
    """Milliseconds from state to frame."""
    each = [heard.delays() for heard in tasks]
    return {state: [1000 * one[state] for one in each if state in one] for state in STATES}


def hear_steps(parts: Parts, delays: list[dict[str, list[float]]]) -> None:
    """Slow tasks, as many at a time as the pool has processes."""
    heard = asyncio.run(over_sockets(parts.url, "steps", PAUSE, STEPS, window=2))
    delays.append(delays_of(heard))


def hear_short(parts: Parts) -> None:
    """As many at a time as ten sockets may have."""
    asyncio.run(over_sockets(parts.url, "short", 1, SHORT, sockets=10, window=16))


def measure_round(parts: Parts, alone: Parts, measured: Measured) -> None:
    """Everything once, ours and bare in turns."""
    from tests.benchmarks import work  # noqa: PLC0415 - its broker is known only now

    steps, short = work.steps, work.short
    measured.steps.append(cost(parts, STEPS, lambda: hear_steps(parts, measured.delays)))
    measured.bare_steps.append(cost(parts, STEPS, lambda: by_script(steps, PAUSE, STEPS, window=2)))
    measured.short.append(cost(parts, SHORT, lambda: hear_short(parts)))
    measured.bare_short.append(cost(parts, SHORT, lambda: by_script(short, 1, SHORT, window=SHORT)))
    hear_steps(alone, measured.embedded)


def delay_rows(title: str, rounds: list[dict[str, list[float]]], tasks: int) -> list[tuple]:
    """p50 and p99 of each state, and of all of them."""
    rows = []
    groups = [(state, [state]) for state in STATES] + [("all", list(STATES))]
    for name, states in groups:
        values = [[value for state in states for value in one[state]] for one in rounds]
        count, wanted = sum(map(len, values)), tasks * len(states)
        p50, p99 = (spread([percentile(one, p) for one in values], "ms") for p in (50, 99))
        everything = [value for one in values for value in one]
        pooled = f"{percentile(everything, 50):.1f} / {percentile(everything, 99):.1f} ms"
        rows.append((f"{title}: {name}", pooled, p50, p99, f"{count} of {wanted} states"))
    return rows


def cost_rows(title: str, ours: list[Cost], bare: list[Cost]) -> list[tuple]:
    """Ours, bare, and the difference."""
    more = [one.worker_ms - other.worker_ms for one, other in zip(ours, bare, strict=True)]
    times = [one.worker_ms / other.worker_ms for one, other in zip(ours, bare, strict=True)]
    return [
        (
            f"{title}: CPU of the worker per task",
            spread([one.worker_ms for one in ours], "ms"),
            spread([one.worker_ms for one in bare], "ms"),
            spread(more, "ms"),
            spread(times, "times"),
        ),
        (f"{title}: CPU of the server per task", *_only([c.server_ms for c in ours], "ms")),
    ]


def rate_rows(ours: list[Cost], bare: list[Cost]) -> list[tuple]:
    """Tasks per second, and the time to the last."""
    ratios = [one.rate / other.rate for one, other in zip(ours, bare, strict=True)]
    return [
        (
            f"{SHORT} short tasks: tasks per second",
            spread([one.rate for one in ours], "/s"),
            spread([one.rate for one in bare], "/s"),
            "",
            spread(ratios, "times"),
        ),
        (
            f"{SHORT} short tasks: to the last SUCCESS",
            spread([one.seconds for one in ours], "s"),
            spread([one.seconds for one in bare], "s"),
            "",
            "",
        ),
    ]


def _only(values: list[float], unit: str) -> tuple[str, str, str, str]:
    return spread(values, unit), "", "", ""


def print_report(measured: Measured) -> None:
    """Medians of the rounds, with the least and the greatest of them."""
    tasks = STEPS * len(measured.delays)
    head = [("from state to frame", "p50 / p99 of all", "p50 of a round", "p99 of a round", "")]
    print_table(
        head
        + delay_rows("prefork", measured.delays, tasks)
        + delay_rows("embedded", measured.embedded, tasks)
    )
    sys.stdout.write("\n")
    print_table(
        [
            ("costs", "over sockets", "bare", "more", "ratio"),
            *cost_rows("three states", measured.steps, measured.bare_steps),
            *cost_rows("short", measured.short, measured.bare_short),
            *rate_rows(measured.short, measured.bare_short),
        ]
    )


def measure(seconds: float, layer: str = "redis") -> Measured:
    """Warm up, and measure; no round begins after so many seconds."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    measured = Measured()
    with prefork(layer) as parts, embedded() as alone:
        asyncio.run(over_sockets(parts.url, "short", 1, 50, window=8))
        asyncio.run(over_sockets(alone.url, "short", 1, 50, window=8))
        end = time.monotonic() + seconds
        while not measured.delays or time.monotonic() < end:
            measure_round(parts, alone, measured)
    return measured


if __name__ == "__main__":
    print_report(measure(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS))
