"""Readers of tasks' states, from where the project's result backend keeps them."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from typing import Any

from celery import current_app
from celery.result import GroupResult, ResultBase
from django.conf import settings as django_settings
from rest_framework.exceptions import APIException, NotFound

from ..background import states
from ..background.bell import Ring
from ..background.references import TaskReference
from ..background.states import TaskState, plain
from ..exceptions import format_errors
from ..settings import settings
from .asking import impatient

# What Celery keeps with these is the worker's host and process, or an exception.
HIDDEN = frozenset({states.PENDING, states.STARTED, states.REVOKED, states.IGNORED, "RECEIVED"})


def backend() -> Any:
    """The project's result backend."""
    # Finalized first: the hooks are put into an app when that happens.
    current_app.finalize(auto=True)
    return current_app.backend


def read_meta(task_id: str) -> dict[str, Any]:
    """What the result backend holds for a task."""
    try:
        with impatient():
            meta: dict[str, Any] = backend().get_task_meta(task_id, cache=False)
    except (ValueError, TypeError) as exc:
        # The task itself has stored FAILURE, with a meta that Celery can't read as an exception.
        return {"task_id": task_id, "status": states.FAILURE, "result": exc}
    return meta


class TaskReader:
    """Reads the state of a single task; of a chord, its body's."""

    def __init__(self, reference: TaskReference) -> None:
        self._reference = reference
        self._retries: int | None = None

    def hear(self, message: Ring) -> bool:
        if message.task_id != self._reference.task_id:
            return False
        if message.state == states.RETRY:
            self._retries = message.retries + 1
        return True

    def read(self, everything: bool) -> TaskState:
        return self._state(read_meta(self._reference.task_id))

    def _state(self, meta: dict[str, Any]) -> TaskState:
        name, value = meta["status"], meta["result"]
        if name == states.SUCCESS:
            return TaskState(name, result=plain(value, settings.MAX_REPLY_BYTES))
        if name == states.FAILURE:
            return TaskState(name, errors=errors_of(value, meta["task_id"]))
        if name == states.RETRY:
            retries = None if self._retries is None else {"retries": self._retries}
            return TaskState(name, meta=retries)
        if name in HIDDEN or value is None:
            return TaskState(name)
        return TaskState(name, meta=plain(value, settings.MAX_REPLY_BYTES))


class GroupReader:
    """Counts the members of a group that are done; those that are known to be aren't read again."""

    def __init__(self, group_id: str, group: GroupResult | None) -> None:
        self._group_id = group_id
        self._members = None if group is None else _member_ids(group)
        # Filled by the event loop, emptied by the thread that reads.
        self._heard: deque[str] = deque()
        self._waiting: dict[str, None] | None = None
        self._failed: list[str] = []
        self._revoked = False

    @property
    def members(self) -> list[str]:
        """The ids of the tasks that count. Raises NotFound for a group that is not stored."""
        if self._members is None:
            with impatient():
                group = GroupResult.restore(self._group_id, backend=backend())
            if group is None:
                raise NotFound
            self._members = _member_ids(group)
        return self._members

    def hear(self, message: Ring) -> bool:
        waiting = self._waiting
        if message.state not in states.FINAL or (
            waiting is not None and message.task_id not in waiting
        ):
            return False
        self._heard.append(message.task_id)
        return True

    def read(self, everything: bool) -> TaskState:
        if self._waiting is None:
            self._waiting = dict.fromkeys(self.members)
        heard = [self._heard.popleft() for _ in range(len(self._heard))]
        for task_id in list(self._waiting) if everything else heard:
            if task_id in self._waiting:
                self._look_at(task_id, self._waiting)
        return self._state(self._waiting)

    def _look_at(self, task_id: str, waiting: dict[str, None]) -> None:
        name = read_meta(task_id)["status"]
        if name not in states.FINAL:
            return
        waiting.pop(task_id, None)
        if name == states.FAILURE:
            self._failed.append(task_id)
        self._revoked |= name in (states.REVOKED, states.IGNORED)

    def _state(self, waiting: dict[str, None]) -> TaskState:
        total = len(self.members)
        if not waiting:
            return self._final()
        progress = {"completed": total - len(waiting), "total": total}
        name = "PROGRESS" if progress["completed"] else states.PENDING
        return TaskState(name, meta=progress)

    def _final(self) -> TaskState:
        if self._failed:
            return self.failure()
        if self._revoked:
            return TaskState(states.REVOKED)
        return TaskState(states.SUCCESS, result=plain(self.results(), settings.MAX_REPLY_BYTES))

    @property
    def has_failed(self) -> bool:
        """Whether a member is known to have failed."""
        return bool(self._failed)

    def failure(self) -> TaskState:
        """The failure of the first member that is known to have failed."""
        task_id = self._failed[0]
        return TaskState(states.FAILURE, errors=errors_of(read_meta(task_id)["result"], task_id))

    def results(self) -> list[Any]:
        """What the members gave, in their order."""
        with impatient():
            return [backend().get_task_meta(task_id)["result"] for task_id in self.members]


class ChordReader:
    """The state of a chord: its header's progress, then its body's own state."""

    def __init__(self, reference: TaskReference, group: GroupResult | None) -> None:
        self._body = TaskReader(reference)
        self._header = GroupReader(reference.group, group)

    def hear(self, message: Ring) -> bool:
        return self._body.hear(message) or self._header.hear(message)

    def read(self, everything: bool) -> TaskState:
        state = self._body.read(everything)
        if state.name == states.FAILURE:
            return self._failure(state)
        if state.name != states.PENDING:
            return state
        header = self._header.read(everything)
        if not header.is_final:
            return header
        # All of it is done, and the body is yet to begin, or to be told that it can't.
        total = len(self._header.members)
        return TaskState("PROGRESS", meta={"completed": total, "total": total})

    def _failure(self, state: TaskState) -> TaskState:
        # A member's failure is stored for the body as Celery's ChordError, which says little.
        # NotFound: the header was stored before the body, and may be forgotten by now.
        with contextlib.suppress(NotFound):
            self._header.read(everything=True)
        return self._header.failure() if self._header.has_failed else state


def _member_ids(group: GroupResult) -> list[str]:
    ids: list[str] = []
    for member in group.results:
        ids += _member_ids(member) if isinstance(member, GroupResult) else [str(member.id)]
    return ids


Reader = TaskReader | GroupReader | ChordReader


def make_reader(reference: TaskReference, result: ResultBase | None = None) -> Reader:
    """What reads a task's state; `result` saves looking for the members of a group."""
    group = group_of(result)
    if reference.is_group:
        return GroupReader(reference.group, group)
    if reference.group:
        return ChordReader(reference, group)
    return TaskReader(reference)


def group_of(result: Any) -> GroupResult | None:
    """The group that a result is, or that its chord waits for."""
    while result is not None and not isinstance(result, GroupResult):
        result = result.parent
    return result


def errors_of(exc: Any, task_id: str) -> list[Any]:
    """The `errors` of a task that failed: the detail of what DRF raises, no other text.

    The error id is the task's own, which is in the worker's log beside the traceback.
    """
    reference = {"error_id": task_id}
    if isinstance(exc, APIException):
        # As every other value of a task's: an error's text can be what JSON can't hold.
        errors = plain(format_errors(exc.detail), math.inf)
        return errors if isinstance(errors, list) else ["Task failed", reference | errors]
    if django_settings.DEBUG:
        reference["exception"] = plain(f"{type(exc).__name__}: {exc}", math.inf)
    return ["Task failed", reference]
