"""What happens in this process, in numbers: see docs/observability.rst."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from asgiref.sync import iscoroutinefunction
from django.dispatch import Signal

# Kinds, by what a receiver does with a value: adds what is never negative, adds what may be, or
# takes it as one observation.
COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


class Metric(NamedTuple):
    """Something that is measured. `unit` is as OpenTelemetry writes units.

    Labels have few values, all of which stand in the project's code: never a key, a user or what a
    client made up, for which the label is empty.
    """

    name: str
    kind: str
    unit: str
    description: str
    labels: tuple[str, ...] = ()


SOCKETS = Metric("sockets", GAUGE, "{socket}", "Sockets that are open.")
FRAMES = Metric(
    "frames",
    COUNTER,
    "{frame}",
    "Frames that were answered, by the status of the (first) reply.",
    ("stream", "action", "status"),
)
ERRORS = Metric("errors", COUNTER, "{error}", "Errors, whether or not each of them is logged.")
EVENTS = Metric(
    "events", COUNTER, "{event}", "Changes told, times the subscriptions told of each.", ("stream",)
)
LAG = Metric(
    "lag_seconds",
    HISTOGRAM,
    "s",
    "From when this process heard of a change until its subscribers were told.",
    ("stream",),
)
RESETS = Metric(
    "resets",
    COUNTER,
    "{reset}",
    "Snapshots sent to those who lost track.",
    ("stream", "reason"),
)
TASKS = Metric(
    "tasks",
    COUNTER,
    "{task}",
    "States that tasks have come to; those of the project's own are PROGRESS.",
    ("state",),
)

METRICS = (SOCKETS, FRAMES, ERRORS, EVENTS, LAG, RESETS, TASKS)


class Measured(Signal):
    """Django's, for receivers that are plain functions."""

    def connect(self, receiver: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Have a receiver called. Raises TypeError for one that is async."""
        # In the thread of an event loop Django could not wait for it.
        if iscoroutinefunction(receiver):
            raise TypeError(f"{receiver!r} must be a plain function: it is called where it counts.")
        super().connect(receiver, *args, **kwargs)

    @property
    def is_heard(self) -> bool:
        """Whether there is a receiver. `has_listeners` takes twenty times as long."""
        return bool(self.receivers)


# Receivers are called with `sender` (the Metric), `value` and `labels` (strings by name), in the
# thread in which it happens, which mostly is that of the event loop: they must not wait. What they
# raise is logged by Django.
measured = Measured()


def measure(metric: Metric, value: float = 1, **labels: str) -> None:
    """Tell whoever counts."""
    if measured.is_heard:
        measured.send_robust(metric, value=value, labels=labels)


def count_frame(
    streams: Mapping[str, Any], stream: str | None, action: str | None, status: int
) -> None:
    """Count the reply to a frame; `streams` are the bindings that there are."""
    if not measured.is_heard:
        return
    binding_class = streams.get(stream or "")
    actions = () if binding_class is None else binding_class.available_actions
    measure(
        FRAMES,
        stream="" if stream is None or binding_class is None else stream,
        action="" if action is None or action not in actions else action,
        status=str(status),
    )
