"""Tasks as the server sees them: whose they are, what they are at, what they gave; and the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from celery import current_app
from celery.result import AsyncResult, EagerResult, GroupResult
from django.core.exceptions import ImproperlyConfigured
from rest_framework.exceptions import NotFound

from ..background import states
from ..background.bell import Ring, ring
from ..background.references import TaskReference
from ..background.states import TaskState, plain
from ..background.submission import Submission
from ..exceptions import TaskFinished
from ..logs import log_sometimes
from ..settings import settings
from .asking import asking, impatient
from .control import COMMAND, tell_workers
from .marks import CANCELLED, cancel_key
from .readers import GroupReader, backend, errors_of, group_of, make_reader

# Ids of other tasks that an id may hold, and what stands there instead of more.
MOST_OTHERS = 8
STORED = "*"
# States in which no worker has a task, so that nobody else would say that it is cancelled.
WAITING = frozenset({states.PENDING, states.RETRY, "RECEIVED"})


def find_fault() -> str | None:
    """Why the states of tasks can't be read from the project's result backend, if they can't."""
    try:
        kinds = {each.__name__ for each in type(backend()).__mro__}
    except Exception as exc:  # a driver that is not installed, for one
        return f"it can't be loaded ({exc})."
    if "DisabledBackend" in kinds:
        return "there is none."
    if "RPCBackend" in kinds:
        return "rpc:// gives each result to a single reader."
    if "FilesystemBackend" in kinds:
        return "file:// is read while it is written."
    if "CacheBackend" in kinds and backend().backend == "memory" and not settings.EMBEDDED_WORKER:
        return "cache+memory:// is seen by its own process only (see EMBEDDED_WORKER)."
    return None


def make_reference(
    result: AsyncResult | GroupResult, submission: Submission, *, owner: str, view: str
) -> TaskReference:
    """The reference for what a handler returned. Runs in a thread: a group is stored.

    `owner` is a digest.
    """
    fault = find_fault()
    if fault is not None and not is_eager(result):
        raise ImproperlyConfigured(f"Celery's result backend can't be used: {fault}")
    group = group_of(result)
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
        view=view,
        others=_keep_others(submission.job, sorted(ours - tree)),
    )


def _keep_others(job: str, others: list[str]) -> tuple[str, ...]:
    """What an id says of `others`: so many that it would not fit into an URL are stored."""
    if len(others) <= MOST_OTHERS:
        return tuple(others)
    with impatient():
        backend().store_result(_others_key(job), {"others": others}, CANCELLED)
    return (STORED,)


def _others_of(reference: TaskReference) -> list[str]:
    if reference.others != (STORED,):
        return list(reference.others)
    meta = backend().get_task_meta(_others_key(reference.job), cache=False)
    # Forgotten, as the tasks are by then.
    return list((meta["result"] or {}).get("others", ()))


def _others_key(job: str) -> str:
    return cancel_key(f"{job}.others")


def _save(group: GroupResult) -> None:
    try:
        with impatient():
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


def read_state(reference: TaskReference) -> TaskState:
    """What a task is at. Runs in a thread. NotFound for one that the backend has forgotten."""
    with asking():
        state = make_reader(reference).read(everything=True)
        check_known(reference, state)
    return state


def check_known(reference: TaskReference, state: TaskState) -> None:
    """Raise NotFound where a state is only the lack of one: the backend forgets in time."""
    expires = backend().expires
    if isinstance(expires, timedelta):  # SQLAlchemy's and MongoDB's
        expires = expires.total_seconds()
    if state.name == states.PENDING and expires and reference.age > expires:
        raise NotFound


def read_result(reference: TaskReference) -> Any:
    """What a task that has succeeded gave, as the backend holds it. Runs in a thread."""
    with asking():
        if reference.is_group:
            return GroupReader(reference.group, None).results()
        return backend().get_task_meta(reference.task_id, cache=False)["result"]


def final_state(result: Any) -> TaskState | None:
    """The state of what was run in place (nothing of it is stored); None for any other."""
    if not is_eager(result):
        return None
    if isinstance(result, GroupResult):
        return _final_state_of_group(result)
    if result.state == states.SUCCESS:
        return TaskState(states.SUCCESS, result=plain(result.result, settings.MAX_REPLY_BYTES))
    if result.state == states.FAILURE:
        return TaskState(states.FAILURE, errors=errors_of(result.result, str(result.id)))
    return TaskState(states.REVOKED)


def _final_state_of_group(group: GroupResult) -> TaskState:
    members = [final_state(each) or TaskState() for each in group.results]
    # In the order of what a group with workers is told to be.
    for name in (states.FAILURE, states.REVOKED):
        for member in members:
            if member.name == name:
                return member
    return TaskState(states.SUCCESS, result=[member.result for member in members])


def read_eager(result: Any) -> Any:
    """What a task that was run in place gave."""
    if isinstance(result, GroupResult):
        return [read_eager(each) for each in result.results]
    return result.result


def is_eager(result: Any) -> bool:
    """Whether all of it was run in place."""
    if isinstance(result, GroupResult):
        return bool(result.results) and all(is_eager(each) for each in result.results)
    return isinstance(result, EagerResult)


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
            others = {"others": _others_of(reference)}
            backend().store_result(cancel_key(reference.job), others, CANCELLED)
        _revoke_waiting(reference, members)
        # Last of all: it may take long.
        _tell_workers(reference, members, terminate)
    if _has_ended(reference):
        raise TaskFinished


def _has_ended(reference: TaskReference) -> bool:
    """Whether a task came to its own end while it was being cancelled.

    A group whose member failed before is told as failed, and the others were cancelled all the
    same.
    """
    state = read_state(reference)
    return state.name == states.SUCCESS or (state.name == states.FAILURE and not reference.is_group)


def _tell_workers(reference: TaskReference, task_ids: list[str], terminate: bool) -> None:
    control = current_app._get_current_object().control  # noqa: SLF001 - it is another thread
    if reference.job:
        arguments = {
            "job": reference.job,
            "others": _others_of(reference),
            "terminate": terminate,
        }
        tell_workers(partial(control.broadcast, COMMAND, arguments=arguments))
    else:
        tell_workers(partial(control.revoke, task_ids, terminate=terminate))


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
