"""What is counted in this process, for tests to look at."""

from collections import Counter


class Counts:
    """A receiver that adds up values, and notes what else it was called with."""

    def __init__(self) -> None:
        self.sums: Counter = Counter()
        self.lags: list[float] = []

    def __call__(self, sender, value, labels, **kwargs) -> None:
        assert tuple(labels) == sender.labels
        assert {type(label) for label in labels.values()} <= {str}
        if sender.name == "lag_seconds":
            self.lags.append(value)
        self.sums[(sender.name, *labels.values())] += value

    def of(self, name: str) -> dict[tuple, float]:
        """The sums of a metric by its labels."""
        return {key[1:]: value for key, value in self.sums.items() if key[0] == name}
