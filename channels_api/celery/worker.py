"""Our part of a worker: what our tasks are at is stored and rung, and the cancelled ones end.

Tasks stay plain: all of it hangs on Celery's signals and on the result backend, which is
subclassed. A task that no handler has published is left alone.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import _state, signals
from celery.app import backends
from celery.app.trace import get_actual_ignore_result
from celery.exceptions import Ignore

from ..background import states
from ..background.bell import Ring
from ..background.hub import ring
from ..background.submission import Mark
from ..layers.sender import finish
from ..logs import log_sometimes
from .control import register_command
from .marks import CANCELLED, is_cancelled, mark_of, mark_published, running_request, task_published

UID = "channels_api"
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
            parent.store_result, task_id, result, state, traceback, request=request, **kwargs
        )
        mark = mark_of(request) or mark_of(running_request()) or _handed_on.mark
        if mark is None or state == CANCELLED:
            return store()
        run = run_of(request)
        if run is not None and run.task_id == task_id:
            if is_void(self, run, mark, request, state):
                return result
            run.state = state
        elif state == states.FAILURE and state_of(self, task_id) == states.REVOKED:
            # Told on a step, or a body, that has been cancelled before.
            return result
        stored = store()
        ring(Ring(mark["job"], task_id, state, getattr(request, "retries", None) or 0))
        return stored

    # Celery tells a failure on the steps that come after, and on a chord's body, without the
    # request that it comes from.

    def mark_as_failure(
        self, task_id: str, exc: Any, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        parent: Any = super()
        with _hand_on(mark_of(request)):
            return parent.mark_as_failure(
                task_id, exc, traceback=traceback, request=request, **kwargs
            )

    def on_chord_part_return(self, request: Any, state: Any, result: Any, **kwargs: Any) -> Any:
        parent: Any = super()
        with _hand_on(mark_of(request)):
            return parent.on_chord_part_return(request, state, result, **kwargs)


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


def state_of(backend: Any, task_id: str) -> str:
    """The stored state of a task."""
    state: str = backend.get_task_meta(task_id, cache=False)["status"]
    return state


def was_overtaken(backend: Any, run: Run, request: Any) -> bool:
    """Whether the next attempt has begun: Celery publishes it before it stores RETRY."""
    meta = backend.get_task_meta(run.task_id, cache=False)
    if meta["status"] != states.STARTED:
        is_over: bool = meta["status"] in states.FINAL
        return is_over
    begun: int = (meta["result"] or {}).get("retries", 0)
    return bool(begun > request.retries)


# All that Celery stores by itself; any other state is a task's own.
KNOWN = frozenset((*states.FINAL, states.STARTED, states.RETRY, states.PENDING))


class _HandedOn(threading.local):
    mark: Mark | None = None


_handed_on = _HandedOn()


@contextmanager
def _hand_on(mark: Mark | None) -> Iterator[None]:
    before, _handed_on.mark = _handed_on.mark, mark or _handed_on.mark
    try:
        yield
    finally:
        _handed_on.mark = before


def task_begins(task_id: str = "", task: Any = None, **kwargs: Any) -> None:
    """Store STARTED for a task of ours, whatever the project's settings, and look for the mark.

    In this order: who cancels stores the mark and then reads the state.
    """
    request = task.request
    mark = mark_of(request)
    if mark is None or request.is_eager:
        return
    run = request.__dict__["channels_api_run"] = Run(task_id)
    try:
        where = {"pid": os.getpid(), "hostname": request.hostname, "retries": request.retries}
        task.backend.store_result(task_id, where, states.STARTED, request=request)
        if is_cancelled(task.backend, mark):
            revoke(task.backend, run, request)
    except Exception:
        log_sometimes("The start of a task could not be stored")


def task_ended(
    task_id: str = "", task: Any = None, retval: Any = None, state: Any = None, **kwargs: Any
) -> None:
    """Store an end that Celery does not: with `ignore_result`, or of a task that raised Ignore."""
    request = task.request
    run = run_of(request)
    if run is None or run.is_revoked:
        return
    try:
        if state == states.IGNORED and run.state not in states.FINAL:
            task.backend.store_result(task_id, None, states.IGNORED, request=request)
        elif state in (states.SUCCESS, states.FAILURE) and get_actual_ignore_result(task, request):
            result = retval if state == states.FAILURE else None
            task.backend.store_result(task_id, result, state, request=request)
    except Exception:
        log_sometimes("The end of a task could not be stored")


def guard(app: Any) -> None:
    """Keep the tasks of an app from running when they were cancelled before they began.

    Celery's signals can't stop a task, and `before_start` may be the project's own. This wraps
    what Celery itself wraps for `autoretry_for`.
    """
    for task in app.tasks.values():
        if not hasattr(task.run, "channels_api_guard"):
            task.run = _guarded(task, task.run)


def _guarded(task: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        execution = run_of(task.request)
        if execution is not None and execution.is_revoked:
            raise TaskCancelled
        return run(*args, **kwargs)

    guarded.channels_api_guard = True  # type: ignore[attr-defined]
    return guarded


def track(app: Any) -> None:
    """Put our part in front of an app's result backend.

    By name, since Celery before 5.7 takes no class here: "module:Class+url".
    """
    try:
        cls, url = backends.by_url(app.backend_cls or app.conf.result_backend, app.loader)
    except Exception:
        log_sometimes("The result backend can't be loaded")
        return
    if issubclass(cls, Tracking):
        return
    name = f"Tracked{cls.__module__.replace('.', '_')}_{cls.__qualname__}"
    globals()[name] = type(cls.__name__, (Tracking, cls), {"__module__": __name__})
    app.backend_cls = f"{__name__}:{name}+{url}" if url else f"{__name__}:{name}"


def install() -> None:
    """Connect with Celery; again is nothing."""
    signals.before_task_publish.connect(mark_published, weak=False, dispatch_uid=UID)
    signals.after_task_publish.connect(task_published, weak=False, dispatch_uid=UID)
    signals.task_prerun.connect(task_begins, weak=False, dispatch_uid=UID)
    signals.task_postrun.connect(task_ended, weak=False, dispatch_uid=UID)
    signals.celeryd_after_setup.connect(_worker_is_set_up, weak=False, dispatch_uid=UID)
    # A pool's process ends without Python's own exit.
    signals.worker_process_shutdown.connect(_process_ends, weak=False, dispatch_uid=UID)
    _state.connect_on_app_finalize(track)
    for app in _state._get_active_apps():  # noqa: SLF001
        if app.finalized:
            track(app)


def _worker_is_set_up(instance: Any = None, **kwargs: Any) -> None:
    register_command()
    guard(instance.app)


def _process_ends(**kwargs: Any) -> None:
    finish()
