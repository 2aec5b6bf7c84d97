"""States of tasks, as clients see them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from ..protocol import byte_length, encode

PENDING, STARTED, RETRY = "PENDING", "STARTED", "RETRY"
SUCCESS, FAILURE, REVOKED = "SUCCESS", "FAILURE", "REVOKED"
# A task that raised Celery's Ignore and left no state: it will never have a result.
IGNORED = "IGNORED"

# As what all states of a project's own are counted: there is no end of names.
CUSTOM = "PROGRESS"

# What HTTP would answer. Every other state is under way.
FINAL: Mapping[str, int] = {SUCCESS: 200, FAILURE: 500, REVOKED: 410, IGNORED: 410}
UNDER_WAY = 202


class TaskState(NamedTuple):
    """What a task is at. `meta` and `result` are plain JSON values, and `errors` is an array.

    `since` is when the last news came, of a task that has been silent for long.
    """

    name: str = PENDING
    meta: Any = None
    result: Any = None
    errors: Sequence[Any] = ()
    since: datetime | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing comes after it."""
        return self.name in FINAL

    @property
    def status(self) -> int:
        """The HTTP status that a client is told."""
        return FINAL.get(self.name, UNDER_WAY)

    def data(self, signed: str) -> dict[str, Any]:
        """The `data` of a frame, for the id that the client knows."""
        data: dict[str, Any] = {"id": signed, "state": self.name}
        if self.name == SUCCESS:
            data["result"] = self.result
        elif self.meta is not None:
            data["meta"] = self.meta
        if self.since is not None:
            data["since"] = self.since
        return data

    def silent_since(self, moment: datetime) -> TaskState:
        """The same, with the moment of the last news."""
        return self._replace(since=moment)

    def cut(self, size: int) -> TaskState:
        """The same without what is too large: `size` bytes."""
        what = {"truncated": size}
        if self.name == FAILURE:
            return self._replace(errors=["Task failed", what])
        return self._replace(result=what) if self.name == SUCCESS else self._replace(meta=what)


def plain(value: Any, limit: float) -> Any:
    """A value of a task's as plain JSON types, by the encoder of all frames.

    What JSON can't hold becomes `{"unserializable": type}`, what takes more than `limit` bytes
    `{"truncated": bytes}`.
    """
    try:
        text = encode(value)
    except Exception:  # a pickled object of a task's runs code of its own here
        return {"unserializable": type(value).__name__}
    size = byte_length(text)
    return {"truncated": size} if size > limit else json.loads(text)
