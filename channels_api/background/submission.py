"""What a handler publishes while it runs, and the mark that its tasks carry."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TypedDict


class Mark(TypedDict):
    """What a task's message says of where it came from; all that it spawns carries it on.

    `job` is what one handler published together, `root` the id of the task that it published.
    """

    job: str
    root: str


class Submission:
    """The tasks of one call of a handler."""

    def __init__(self) -> None:
        self.job = ""
        self.published: list[str] = []

    def mark(self, task_id: str) -> Mark:
        """The mark for a task that is being published."""
        self.job = self.job or uuid.uuid4().hex
        self.published.append(task_id)
        return {"job": self.job, "root": task_id}


# A context variable: a handler may publish in the thread that it runs in, or in one that asgiref
# or the pool gave it.
_current: ContextVar[Submission | None] = ContextVar("channels_api_submission", default=None)


@contextlib.contextmanager
def submitting(submission: Submission) -> Iterator[None]:
    """What is published inside belongs to a submission."""
    token = _current.set(submission)
    try:
        yield
    finally:
        _current.reset(token)


def current_submission() -> Submission | None:
    """That of the handler that runs in this context."""
    return _current.get()
