"""Tasks as the server sees them: whose they are, what they are at, what they gave; and the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from celery import current_app
from celery.result import AsyncResult, EagerResult, GroupResult, ResultBase
from django.conf import settings as django_settings
from rest_framework.exceptions import APIException, NotFound

from ..background import states
from ..background.bell import Ring
from ..background.hub import ring
from ..background.references import TaskReference
from ..background.states import TaskState, plain
from ..background.submission import Submission
from ..exceptions import ResultsUnavailable, TaskFinished, format_errors
from ..logs import log_sometimes
from ..settings import settings
from .control import COMMAND
from .marks import CANCELLED, cancel_key

# States in which no worker has a task, so that nobody else would say that it is cancelled.
WAITING = frozenset({states.PENDING, states.RETRY, "RECEIVED"})


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """Where the result backend is asked for a client: what fails in there is told as 503."""
    try:
        yield
    except APIException:
        raise
    except Exception as exc:
        log_sometimes("The result backend can't be asked")
        raise ResultsUnavailable from exc


def backend() -> Any:
    """The project's result backend."""
    # Finalized first: the hooks are put into an app when that happens.
    current_app.finalize(auto=True)
    return current_app.backend


def make_reference(
    result: AsyncResult | GroupResult, submission: Submission, *, owner: str, door: str
) -> TaskReference:
    """The reference for what a handler returned. Runs in a thread: a group is stored.

    `owner` is a digest.
    """
    group = _group_of(result)
    if group is not None:
        _save(group)
    ours = set(submission.published)
    tree = set(_ids(result))
    return TaskReference(
        task_id=str(result.id),
        # Published elsewhere: there is nobody to ring.
        job=submission.job if ours & tree else "",
        group=str(group.id) if group is not None else "",
        owner=owner,
        door=door,
        others=tuple(sorted(ours - tree)),
    )


def _group_of(result: Any) -> GroupResult | None:
    """The group that a result is, or that its chord waits for."""
    while result is not None and not isinstance(result, GroupResult):
        result = result.parent
    return result


def _save(group: GroupResult) -> None:
    try:
        group.save()
    except Exception:
        # The client that began it hears of it all the same, from the group at hand.
        log_sometimes("A group of tasks can't be stored: its members can't be found again")


def _ids(result: Any) -> Iterator[str]:
    """All tasks that a result is made of."""
    while result is not None:
        yield str(result.id)
        if isinstance(result, GroupResult):
            for member in result.results:
                yield from _ids(member)
        result = result.parent


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
        return self._state(backend().get_task_meta(self._reference.task_id, cache=False))

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


# What Celery keeps with these is the worker's host and process, or an exception.
HIDDEN = frozenset({states.PENDING, states.STARTED, states.REVOKED, states.IGNORED, "RECEIVED"})


class GroupReader:
    """Counts the members of a group that are done; those that are known to be aren't read again."""

    def __init__(self, group_id: str, group: GroupResult | None) -> None:
        self._group_id = group_id
        self._members = None if group is None else _member_ids(group)
        self._heard: set[str] = set()
        self._waiting: dict[str, None] | None = None
        self._failed: list[str] = []
        self._revoked = False

    @property
    def members(self) -> list[str]:
        """The ids of the tasks that count. Raises NotFound for a group that is not stored."""
        if self._members is None:
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
        self._heard.add(message.task_id)
        return True

    def read(self, everything: bool) -> TaskState:
        if self._waiting is None:
            self._waiting = dict.fromkeys(self.members)
        heard, self._heard = self._heard, set()
        for task_id in list(self._waiting if everything else heard & self._waiting.keys()):
            self._look_at(task_id, self._waiting)
        return self._state(self._waiting)

    def _look_at(self, task_id: str, waiting: dict[str, None]) -> None:
        name = backend().get_task_meta(task_id, cache=False)["status"]
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
            task_id = self._failed[0]
            meta = backend().get_task_meta(task_id)
            return TaskState(states.FAILURE, errors=errors_of(meta["result"], task_id))
        if self._revoked:
            return TaskState(states.REVOKED)
        return TaskState(states.SUCCESS, result=plain(self.results(), settings.MAX_REPLY_BYTES))

    def results(self) -> list[Any]:
        """What the members gave, in their order."""
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
        if state.name != states.PENDING:
            return state
        header = self._header.read(everything)
        if not header.is_final:
            return header
        # All of it is done, and the body is yet to begin, or to be told that it can't.
        total = len(self._header.members)
        return TaskState("PROGRESS", meta={"completed": total, "total": total})


def _member_ids(group: GroupResult) -> list[str]:
    ids: list[str] = []
    for member in group.results:
        ids += _member_ids(member) if isinstance(member, GroupResult) else [str(member.id)]
    return ids


Reader = TaskReader | GroupReader | ChordReader


def make_reader(reference: TaskReference, result: ResultBase | None = None) -> Reader:
    """What reads a task's state; `result` saves looking for the members of a group."""
    group = _group_of(result)
    if reference.is_group:
        return GroupReader(reference.group, group)
    if reference.group:
        return ChordReader(reference, group)
    return TaskReader(reference)


def read_state(reference: TaskReference) -> TaskState:
    """What a task is at. Runs in a thread. NotFound for one that the backend has forgotten."""
    with asking():
        state = make_reader(reference).read(everything=True)
        check_known(reference, state)
    return state


def check_known(reference: TaskReference, state: TaskState) -> None:
    """Raise NotFound where a state is only the lack of one: the backend forgets in time."""
    expires = backend().expires
    if state.name == states.PENDING and expires and reference.age > expires:
        raise NotFound


def read_result(reference: TaskReference) -> Any:
    """What a task that has succeeded gave, as the backend holds it. Runs in a thread."""
    with asking():
        if reference.is_group:
            return GroupReader(reference.group, None).results()
        return backend().get_task_meta(reference.task_id, cache=False)["result"]


def final_state(result: Any) -> TaskState | None:
    """The state of a task that was run in place (nothing of it is stored); None for any other."""
    if not isinstance(result, EagerResult):
        return None
    if result.state == states.SUCCESS:
        return TaskState(states.SUCCESS, result=plain(result.result, settings.MAX_REPLY_BYTES))
    if result.state == states.FAILURE:
        return TaskState(states.FAILURE, errors=errors_of(result.result, str(result.id)))
    return TaskState(states.REVOKED)


def errors_of(exc: Any, task_id: str) -> list[Any]:
    """The `errors` of a task that failed: the detail of what DRF raises, no other text.

    The error id is the task's own, which is in the worker's log beside the traceback.
    """
    if isinstance(exc, APIException):
        return format_errors(exc.detail)
    reference = {"error_id": task_id}
    if django_settings.DEBUG:
        reference["exception"] = f"{type(exc).__name__}: {exc}"
    return ["Task failed", reference]


def cancel(reference: TaskReference, *, terminate: bool) -> None:
    """End a task, wherever it is. Runs in a thread. Raises TaskFinished where nothing is left.

    First of all the mark is stored, which holds without any worker: whoever begins the task
    stores STARTED and then looks for the mark; here it is the other way round, so that one of the
    two sees the other.
    """
    if read_state(reference).is_final:
        raise TaskFinished
    with asking():
        members = [reference.task_id]
        if reference.is_group:
            members = GroupReader(reference.group, None).members
        if reference.job:
            others = {"others": list(reference.others)}
            backend().store_result(cancel_key(reference.job), others, CANCELLED)
        _tell_workers(reference, members, terminate)
        _revoke_waiting(reference, members)


def _tell_workers(reference: TaskReference, task_ids: list[str], terminate: bool) -> None:
    try:
        if reference.job:
            arguments = {
                "job": reference.job,
                "others": list(reference.others),
                "terminate": terminate,
            }
            current_app.control.broadcast(COMMAND, arguments=arguments)
        else:
            current_app.control.revoke(task_ids, terminate=terminate)
    except Exception:
        log_sometimes("The workers can't be told of a cancelled task; they will look themselves")


def _revoke_waiting(reference: TaskReference, task_ids: Iterable[str]) -> None:
    for task_id in task_ids:
        if backend().get_task_meta(task_id, cache=False)["status"] not in WAITING:
            continue
        try:
            backend().mark_as_revoked(task_id, "revoked")
        except Exception:
            # A worker has stored a row for it at the same moment, and will look for the mark.
            log_sometimes("A cancelled task could not be marked as revoked")
        ring(Ring(reference.job, task_id, states.REVOKED, 0))
