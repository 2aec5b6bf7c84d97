"""The result backend as a worker of ours has it: each state is stored, and then rung.

It is put in front of the project's own. A task that no handler has published is left alone.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.exceptions import Ignore, TaskRevokedError
from kombu.exceptions import OperationalError

from ..background import states
from ..background.bell import Ring, ring
from ..background.submission import Mark, count_hanging, current_submission
from ..logs import log_sometimes, logger
from ..metrics import TASKS, measure
from ..settings import settings
from .asking import client_waits
from .marks import is_cancel_key, is_cancelled, mark_of, running_request

# Seconds between two looks for the cancel mark by a task that calls `update_state` often.
CHECK_INTERVAL = 0.25


class TaskCancelled(Ignore):  # type: ignore[misc]
    """Raised by `update_state` in a task that was cancelled."""


class Run:
    """One execution of a task of ours, kept on its request."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.state = ""
        self.is_revoked = False
        self.checked_at = time.monotonic()

    @property
    def must_check(self) -> bool:
        """Whether it is time to look for the cancel mark again."""
        now = time.monotonic()
        if now - self.checked_at < CHECK_INTERVAL:
            return False
        self.checked_at = now
        return True


def run_of(request: Any) -> Run | None:
    """The execution that a request belongs to; None where it is not running here."""
    run: Run | None = getattr(request, "__dict__", {}).get("channels_api_run")
    return run


class Tracking:
    """The part of a result backend that knows our tasks. In front of the project's own class."""

    def store_result(
        self,
        task_id: str,
        result: Any,
        state: str,
        traceback: Any = None,
        request: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Store a state, and then ring; raises TaskCancelled in a task that was cancelled."""
        parent: Any = super()
        store = functools.partial(
            parent.store_result, task_id, traceback=traceback, request=request, **kwargs
        )
        origin = _handed_on.request
        mark = mark_of(request) or mark_of(running_request()) or mark_of(origin)
        if mark is None or is_cancel_key(task_id):
            return store(result, state)
        run = run_of(request)
        if run is not None and run.task_id == task_id:
            if is_void(self, run, mark, request, state):
                return result
            run.state = state
        elif state == states.FAILURE and state_of(self, task_id) == states.REVOKED:
            # Told on a step, or a body, that has been cancelled before.
            return result
        elif state == states.FAILURE and is_cancelled(self, mark):
            # The same, just before who cancels comes to it: both are to store the same.
            result, state = TaskRevokedError("revoked"), states.REVOKED
        if state == states.FAILURE and origin is not None and origin.id != task_id:
            # The client is told this id, and the traceback is logged with the other one.
            logger.error(
                "Task %s fails because of task %s", task_id, origin.id, extra={"error_id": task_id}
            )
        told = store(result, state)
        measure(TASKS, state=state if state in KNOWN else states.CUSTOM)
        ring(Ring(mark["job"], task_id, state, getattr(request, "retries", None) or 0))
        return told

    def on_task_call(self, producer: Any, task_id: str) -> Any:
        """Celery would listen for the result here, for a `get()` that handlers never call.

        It would be a subscription of Redis for each task, and a publish that fails, or hangs, with
        the results. A `get()` that is called after all begins to listen by itself.
        """
        parent: Any = super()
        if current_submission() is None:
            return parent.on_task_call(producer, task_id)
        if count_hanging() >= max(1, settings.THREADS // 2):
            # Each more would hold one more thread, until no action could run at all.
            raise OperationalError("The broker does not answer.")
        return {}

    def exception_safe_to_retry(self, exc: Any) -> bool:
        """`result_backend_always_retry` is for workers: a client that waits is told at once."""
        parent: Any = super()
        return not client_waits.get() and bool(parent.exception_safe_to_retry(exc))

    def __reduce__(self, args: Any = (), kwargs: Any = None) -> Any:
        """As the project's own class: what is pickled, such as a result, must not need us."""
        parent: Any = super()
        rebuild, (cls, *rest) = parent.__reduce__(args, kwargs or {})
        return rebuild, (cls.__mro__[cls.__mro__.index(Tracking) + 1], *rest)

    # Celery tells an end on the steps that come after, and on a chord's body, without the request
    # that it comes from. A task whose result is ignored is watched all the same.

    def mark_as_failure(
        self,
        task_id: str,
        exc: Any,
        traceback: Any = None,
        request: Any = None,
        store_result: bool = True,
        **kwargs: Any,
    ) -> Any:
        parent: Any = super()
        is_ours = mark_of(request) is not None
        with _hand_on(request):
            told = parent.mark_as_failure(
                task_id,
                exc,
                traceback=traceback,
                request=request,
                store_result=store_result or is_ours,
                **kwargs,
            )
            if is_ours:
                tell_rest(self, request, exc, states.FAILURE)
        return told

    def mark_as_revoked(
        self,
        task_id: str,
        reason: Any = "",
        request: Any = None,
        store_result: bool = True,
        **kwargs: Any,
    ) -> Any:
        parent: Any = super()
        is_ours = mark_of(request) is not None
        with _hand_on(request):
            told = parent.mark_as_revoked(
                task_id, reason, request=request, store_result=store_result or is_ours, **kwargs
            )
            if is_ours:
                tell_rest(self, request, TaskRevokedError(reason), states.REVOKED)
        return told

    def on_chord_part_return(self, request: Any, state: Any, result: Any, **kwargs: Any) -> Any:
        parent: Any = super()
        with _hand_on(request):
            return parent.on_chord_part_return(request, state, result, **kwargs)


def tell_rest(backend: Any, request: Any, result: Any, state: str) -> None:
    """Store an end for the steps of a chain that will not run now, where Celery does not.

    It tells them failures only, and not the members of a group. Nothing is raised.
    """
    try:
        for step in request.chain or ():
            if state != states.FAILURE or step["task"] == "celery.group":
                for task_id in _ends(step):
                    # Who is terminated may have published them already.
                    if state_of(backend, task_id) == states.PENDING:
                        backend.store_result(task_id, result, state)
    except Exception:
        log_sometimes("The steps of a chain could not be told of its end")


def _ends(step: Any) -> Iterator[str]:
    """The ids of the tasks that say how a step ended."""
    arguments = step["kwargs"]
    if step["task"] == "celery.group":
        for member in arguments["tasks"]:
            yield from _ends(member)
    elif step["task"] == "celery.chord":
        yield from _ends(arguments["body"])
    elif step["task"] == "celery.chain":
        yield from _ends(arguments["tasks"][-1])
    elif "task_id" in step["options"]:
        yield step["options"]["task_id"]


def is_void(backend: Any, run: Run, mark: Mark, request: Any, state: str) -> bool:
    """Whether the running task's new state does not count. TaskCancelled where it is to end."""
    is_custom = state not in KNOWN
    if run.is_revoked and state != states.REVOKED:
        if is_custom:
            raise TaskCancelled  # it went on after the first one
        return True
    if is_custom and run.must_check and is_cancelled(backend, mark):
        revoke(backend, run, request)
        raise TaskCancelled
    if state == states.STARTED:
        return run.state == states.STARTED  # Celery's own, where the project tracks it as well
    return state == states.RETRY and was_overtaken(backend, run, request)


def revoke(backend: Any, run: Run, request: Any) -> None:
    """Store that the running task was cancelled: nothing that it does from now on counts."""
    run.is_revoked = True
    backend.mark_as_revoked(run.task_id, "revoked", request=request, store_result=True)


def stored(backend: Any, task_id: str) -> dict[str, Any]:
    """What is stored for a task; as for a new one where it can't be read.

    Our look-up fails no task, also where the project has no result backend at all.
    """
    try:
        meta: dict[str, Any] = backend.get_task_meta(task_id, cache=False)
    except Exception:
        log_sometimes("The stored state of a task can't be read")
        return {"status": states.PENDING, "result": None}
    return meta


def state_of(backend: Any, task_id: str) -> str:
    """The stored state of a task."""
    state: str = stored(backend, task_id)["status"]
    return state


def was_overtaken(backend: Any, run: Run, request: Any) -> bool:
    """Whether the next attempt has begun: Celery publishes it before it stores RETRY."""
    meta = stored(backend, run.task_id)
    if meta["status"] != states.STARTED:
        return meta["status"] in states.FINAL
    begun: int = (meta["result"] or {}).get("retries", 0)
    return bool(begun > request.retries)


# All that Celery stores by itself; any other state is a task's own.
KNOWN = frozenset((*states.FINAL, states.STARTED, states.RETRY, states.PENDING))


class _HandedOn(threading.local):
    request: Any = None


_handed_on = _HandedOn()


@contextmanager
def _hand_on(request: Any) -> Iterator[None]:
    before = _handed_on.request
    if mark_of(request) is not None:
        _handed_on.request = request
    try:
        yield
    finally:
        _handed_on.request = before
