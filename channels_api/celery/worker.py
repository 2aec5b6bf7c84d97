"""Our part of a worker: what our tasks are at is stored and rung, and the cancelled ones end.

Tasks stay plain: all of it hangs on Celery's signals and on the result backend, which is
subclassed. A task that no handler has published is left alone.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from celery import _state, signals
from celery.app import backends
from kombu.utils.imports import symbol_by_name

from ..background import states
from ..layers.sender import finish
from ..logs import log_sometimes
from .control import register_command
from .marks import is_cancelled, mark_of, mark_published, publishing_ended
from .tracking import Run, TaskCancelled, Tracking, revoke, run_of, tell_rest

UID = "channels_api"


def task_begins(task_id: str = "", task: Any = None, **kwargs: Any) -> None:
    """Store STARTED for a task of ours, whatever the project's settings, and look for the mark.

    In this order: who cancels stores the mark and then reads the state. And before: what was
    cancelled while it waited has shown its end, and nothing is to be seen after that.
    """
    request = task.request
    mark = mark_of(request)
    if mark is None or request.is_eager:
        return
    run = request.__dict__["channels_api_run"] = Run(task_id)
    try:
        cancelled = is_cancelled(task.backend, mark)
        if not cancelled:
            where = {"pid": os.getpid(), "hostname": request.hostname, "retries": request.retries}
            task.backend.store_result(task_id, where, states.STARTED, request=request)
            cancelled = is_cancelled(task.backend, mark)
        if cancelled:
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
        if state == states.IGNORED and run.state not in states.FINAL and not _is_replaced(retval):
            task.backend.store_result(task_id, None, states.IGNORED, request=request)
            tell_rest(task.backend, request, None, states.IGNORED)
        elif state == states.SUCCESS and run.state not in states.FINAL:
            task.backend.store_result(task_id, None, state, request=request)
    except Exception:
        log_sometimes("The end of a task could not be stored")


def _is_replaced(exc: Any) -> bool:
    """Whether a task ended because another one goes on under its id: `Task.replace`."""
    return str(exc) == "Replaced by new task"


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


class Timed:
    """The part of an app's AMQP that says when a task was published, or was not."""

    def _create_task_sender(self) -> Callable[..., Any]:
        parent: Any = super()
        send = parent._create_task_sender()  # noqa: SLF001 - Celery's signals tell successes only

        def timed(*args: Any, **kwargs: Any) -> Any:
            try:
                return send(*args, **kwargs)
            finally:
                publishing_ended()

        return timed


def track(app: Any) -> None:
    """Put our parts in front of an app's result backend and AMQP.

    By name, since Celery before 5.7 takes no class for a backend ("module:Class+url"), and since
    an app is pickled with these.
    """
    try:
        cls, url = backends.by_url(app.backend_cls or app.conf.result_backend, app.loader)
    except Exception:
        log_sometimes("The result backend can't be loaded")
        return
    if issubclass(cls, Tracking):
        return
    name = _named(Tracking, cls)
    app.backend_cls = f"{name}+{url}" if url else name
    amqp: Any = symbol_by_name(app.amqp_cls)  # type: ignore[no-untyped-call]
    app.amqp_cls = _named(Timed, amqp)


def _named(part: type, cls: type) -> str:
    name = f"{part.__name__}_{cls.__module__.replace('.', '_')}_{cls.__qualname__}"
    globals()[name] = type(cls.__name__, (part, cls), {"__module__": __name__})
    return f"{__name__}:{name}"


def _track_late(app: Any) -> None:
    """The same for an app that was in use before: what each thread has made of it goes."""
    track(app)
    app._backend_cache, app._local = None, threading.local()  # noqa: SLF001
    vars(app).pop("amqp", None)


def name_failure(record: logging.LogRecord) -> bool:
    """Put the error id that clients are told, which is the task's, on Celery's record of a failure.

    A filter, and not a record of our own: it would be a second report of the same error.
    """
    about = getattr(record, "data", None)
    if isinstance(about, dict) and "traceback" in about:  # that of a success has none
        record.error_id, record.task = about.get("id"), about.get("name")
    return True


def install() -> None:
    """Connect with Celery; again is nothing."""
    logging.getLogger("celery.app.trace").addFilter(name_failure)
    signals.before_task_publish.connect(mark_published, weak=False, dispatch_uid=UID)
    signals.task_prerun.connect(task_begins, weak=False, dispatch_uid=UID)
    signals.task_postrun.connect(task_ended, weak=False, dispatch_uid=UID)
    signals.celeryd_after_setup.connect(_worker_is_set_up, weak=False, dispatch_uid=UID)
    # A pool's process ends without Python's own exit.
    signals.worker_process_shutdown.connect(_process_ends, weak=False, dispatch_uid=UID)
    _state.connect_on_app_finalize(track)
    for app in _state._get_active_apps():  # noqa: SLF001
        if app.finalized:
            _track_late(app)


def _worker_is_set_up(instance: Any = None, **kwargs: Any) -> None:
    register_command()
    guard(instance.app)


def _process_ends(**kwargs: Any) -> None:
    finish()
