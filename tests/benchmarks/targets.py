"""What the project has to reach, in one run against the same peers."""

import statistics
from dataclasses import dataclass

from tests.benchmarks.figures import Case, Figures

LOADS = {
    "1 socket, 1 in flight": (1, 1),
    "1 socket, 32 in flight": (1, 32),
    "50 sockets": (50, 1),
}
ACTIONS = ("retrieve", "list", "create")
RPS, P50, P99, CPU = "requests/s", "p50 ms", "p99 ms", "server CPU, us each"
EVENTS, LAST_P50, LAST_P99 = "events/s", "to last, p50 ms", "to last, p99 ms"
LOST, READS = "events lost", "reads per event"
SUBSCRIBERS = (100, 1000)
SOME_AUDIENCES = "1000 subscribers, 100 audiences"
NAPS = "ten sockets, actions of 0.2 s, 8 threads"
CONNECTED, SUBSCRIBED = "idle socket", "idle socket with a subscription"
MEMORY, OVER_RAW = "KiB", "KiB over raw"
STATES, TASK_CPU = "task state to frame", "worker CPU over a bare task"
IMPORTS, UNWANTED = "import channels_api after DRF", "celery or redis imported with it"
FIRST = "process start to first answer"


def load_case(action: str, load: str, unit: str) -> Case:
    return Case(f"{action}, {load}", unit)


def one_audience(subscribers: int, unit: str) -> Case:
    return Case(f"{subscribers} subscribers, one audience", unit)


@dataclass(frozen=True)
class Target:
    """A bound on a figure of ours, or on its ratio to a peer's."""

    case: Case
    bound: float
    at_least: bool = True
    against: str | None = None

    def values(self, figures: Figures) -> list[float]:
        """What is compared with the bound, of each round."""
        if self.against is None:
            return figures.of(self.case, "ours")
        return figures.ratios(self.case, "ours", self.against)

    def met(self, figures: Figures) -> bool | None:
        """Whether the median of the rounds reaches it; None where it was not measured.

        Where nothing may be lost, every round counts.
        """
        if not (values := self.values(figures)):
            return None
        if self.bound == 0:
            return max(values) == 0
        median = statistics.median(values)
        return median >= self.bound if self.at_least else median <= self.bound


def _requests() -> list[Target]:
    found = []
    for action in ACTIONS:
        for load in LOADS:
            rps = load_case(action, load, RPS)
            alone = load == "1 socket, 1 in flight"
            found += [
                Target(rps, 1.3 if alone else 1.7, against="dcrf"),
                Target(load_case(action, load, P99), 1.0, at_least=False, against="dcrf"),
                Target(rps, 0.85, against="floor"),
                Target(rps, 0.6, against="fields"),
            ]
    return [*found, Target(load_case("retrieve", "50 sockets", RPS), 5, against="drf")]


def _fan_out() -> list[Target]:
    large = SUBSCRIBERS[-1]
    return [
        Target(one_audience(large, EVENTS), 12, against="dcrf"),
        Target(one_audience(large, LAST_P50), 0.1, at_least=False, against="dcrf"),
        Target(one_audience(large, EVENTS), 0.7, against="floor"),
        *(Target(one_audience(count, LOST), 0, at_least=False) for count in SUBSCRIBERS),
        Target(Case(SOME_AUDIENCES, EVENTS), 3, against="dcrf"),
        Target(Case(SOME_AUDIENCES, READS), 100, at_least=False),
        Target(Case(SOME_AUDIENCES, LOST), 0, at_least=False),
    ]


TARGETS = [
    *_requests(),
    *_fan_out(),
    Target(Case(NAPS, "s"), 0.5, at_least=False),
    Target(Case(CONNECTED, OVER_RAW), 1.0, at_least=False, against="dcrf"),
    Target(Case(SUBSCRIBED, OVER_RAW), 1.0, at_least=False, against="dcrf"),
    Target(Case(STATES, P50), 4, at_least=False),
    Target(Case(STATES, P99), 12, at_least=False),
    Target(Case(TASK_CPU, "ms"), 4, at_least=False),
    Target(Case(IMPORTS, "ms"), 10, at_least=False),
    Target(Case(UNWANTED, "modules"), 0, at_least=False),
]
