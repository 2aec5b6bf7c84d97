"""What reaches the log, for tests of where changes come from."""

from collections.abc import Iterator

from channels_api.live import log as log_module
from channels_api.live.changes import topic_of, watch
from channels_api.live.memory_log import MemoryLog
from channels_api.live.rows import watched

#: What stands in a log for "any row".
ANYTHING = (0, "reset")


class Recorder:
    """The log of a test, read back as (pk, operation)."""

    def __init__(self) -> None:
        self.log = MemoryLog()

    def of(self, model, alias: str = "default") -> list[tuple]:
        """All changes of a model's rows; `since` would tell none where there is a reset."""
        entries = self.log._entries.get(topic_of(model, alias), ())  # noqa: SLF001
        return [tuple(change) for _, _, change in entries]

    def clear(self) -> None:
        """Forget what was told so far."""
        self.log._entries.clear()  # noqa: SLF001


def record(monkeypatch, *models) -> Iterator[Recorder]:
    """A recorder, while these models are watched and no others."""
    before = set(watched)
    watched.clear()
    for model in models:
        watch(model)
    recorder = Recorder()
    monkeypatch.setattr(log_module, "_log", lambda name: recorder.log)
    yield recorder
    watched.clear()
    watched.update(before)
