"""What was measured: of each case and peer one value a round, so that ratios are of one round."""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Case:
    """What was done, and the unit of what came of it."""

    name: str
    unit: str


@dataclass
class Figures:
    """All values; the rounds are numbered from 1 on."""

    values: dict[Case, dict[str, dict[int, float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )
    faults: list[str] = field(default_factory=list)

    def add(self, number: int, case: Case, peer: str, value: float) -> None:
        """One value of a round."""
        if math.isfinite(value):
            self.values[case][peer][number] = value

    def of(self, case: Case, peer: str) -> list[float]:
        """One value for each round that has it."""
        return list(self.values[case][peer].values()) if case in self.values else []

    def ratios(self, case: Case, peer: str, other: str) -> list[float]:
        """Of each round in which both were measured."""
        if case not in self.values:
            return []
        mine, theirs = self.values[case][peer], self.values[case][other]
        return [mine[number] / theirs[number] for number in mine if theirs.get(number)]

    def as_json(self) -> list[dict]:
        """One object for each case and peer."""
        return [
            {"case": case.name, "unit": case.unit, "peer": peer, "rounds": list(rounds.values())}
            for case, peers in self.values.items()
            for peer, rounds in peers.items()
        ]


def short(value: float) -> str:
    """As many digits as mean anything: 12 300, 123, 12.3, 1.23."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        digits = 3 - math.ceil(math.log10(abs(value)))
        return f"{round(value, digits):,.0f}".replace(",", " ")
    return f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def middle(values: Sequence[float]) -> str:
    """The median, and in brackets the least and the greatest; nothing where there is none."""
    if not values:
        return ""
    text = short(statistics.median(values))
    if len(values) == 1:
        return text
    return f"{text} ({short(min(values))}..{short(max(values))})"
