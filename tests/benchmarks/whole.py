"""The parts of a run that are measured once, in rounds of their own: tasks, and imports."""

from tests.benchmarks import imports, targets, tasks
from tests.benchmarks.figures import Case, Figures
from tests.benchmarks.measures import percentile

TASK_SECONDS = 40.0


def measure_tasks(figures: Figures, layer: str) -> None:
    """From the state of a task to its frame, and what its worker spends beside the task.

    Through `redis` or `pubsub`: the in-memory layer does not lead to another process.
    """
    measured = tasks.measure(TASK_SECONDS, layer)
    for number, states in enumerate(measured.delays, 1):
        delays = [delay for some in states.values() for delay in some]
        figures.add(number, Case(targets.STATES, targets.P50), "ours", percentile(delays, 50))
        figures.add(number, Case(targets.STATES, targets.P99), "ours", percentile(delays, 99))
    for number, (own, bare) in enumerate(zip(measured.steps, measured.bare_steps, strict=True), 1):
        more = own.worker_ms - bare.worker_ms
        figures.add(number, Case(targets.TASK_CPU, "ms"), "ours", more)


def measure_imports(figures: Figures, layer: str) -> None:
    """What an import costs beyond DRF's."""
    found = imports.measure()
    figures.add(1, Case(targets.IMPORTS, "ms"), "ours", found.milliseconds)
    figures.add(1, Case(targets.UNWANTED, "modules"), "ours", len(found.own.unwanted))


ONCE = {"tasks": measure_tasks, "imports": measure_imports}
