"""What a handler publishes while it runs, and the mark that its tasks carry."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TypedDict


class Mark(TypedDict):
    """What a task's message says of where it came from; all that it spawns carries it on.

    `job` is what one handler published together, `root` the id of the task that it published.
    """

    job: str
    root: str


class Submission:
    """The tasks of one call of a handler.

    `on_publish` is called in the handler's thread whenever it begins to publish one.
    """

    def __init__(self) -> None:
        self.job = ""
        self.published: list[str] = []
        self.publishing_since: float | None = None
        # Whether the client was told that the broker does not answer.
        self.is_given_up = False
        self.on_publish: Callable[[], None] = lambda: None

    def mark(self, task_id: str) -> Mark:
        """The mark for a task that is being published."""
        self.job = self.job or uuid.uuid4().hex
        self.published.append(task_id)
        self.publishing_since = time.monotonic()
        self.on_publish()
        return {"job": self.job, "root": task_id}

    def publishing_ended(self) -> None:
        """The broker has taken the task, or the handler knows that it has not."""
        self.publishing_since = None
        _hanging.discard(self)

    def give_up(self) -> None:
        """The client is told that the broker does not answer; the handler's thread waits on."""
        self.is_given_up = True
        _hanging.add(self)
        if self.publishing_since is None:  # it ended just now, in its thread: before the `add`
            _hanging.discard(self)


# Those whose handlers' threads wait for a broker. A set's own methods are safe in threads.
_hanging: set[Submission] = set()


def count_hanging() -> int:
    """How many threads of this process a broker holds that does not answer."""
    return len(_hanging)


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
