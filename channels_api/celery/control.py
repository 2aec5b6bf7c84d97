"""A command for workers: end the tasks of a job that are here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..logs import log_sometimes, logger
from .marks import HEADER

COMMAND = "channels_api_cancel"
# Seconds that a cancel waits until the broker has taken the command, and cancels that may wait at
# a time: a broker that hangs holds a thread for each.
TELL_TIMEOUT = 2.0
TELLING = 4

UNTOLD = "The workers can't be told of a cancelled task; they will look themselves"

_places = threading.BoundedSemaphore(TELLING)


def tell_workers(send: Callable[[], Any]) -> None:
    """Send a command by a function that may fail or hang: the caller does neither.

    Celery itself tries for 6 s where the broker is down, and for ever where it does not answer.
    """
    deadline = time.monotonic() + TELL_TIMEOUT
    done = threading.Event()

    def run() -> None:
        try:
            send()
        except Exception:
            log_sometimes(UNTOLD)
        finally:
            done.set()
            _places.release()

    if _places.acquire(timeout=TELL_TIMEOUT):
        thread = threading.Thread(target=run, name="channels_api-control", daemon=True)
        thread.start()
        thread.join(max(0, deadline - time.monotonic()))
    if not done.is_set():
        log_sometimes(UNTOLD)


def register_command() -> None:
    """Let this process's worker take the command. Imported late: it takes a worker's modules."""
    from celery.worker.control import control_command  # noqa: PLC0415

    control_command(name=COMMAND)(cancel_job)


def cancel_job(
    state: Any, job: str, others: Sequence[str] = (), terminate: bool = False, **kwargs: Any
) -> dict[str, Any]:
    """Revoke the tasks of a job that this worker has; those that run are terminated if asked.

    By job, and not by the id that clients know: which step of a chain runs now, only the worker
    knows.
    """
    from celery.worker import state as worker_state  # noqa: PLC0415

    mine = [each for each in list(worker_state.requests.values()) if _is_of(each, job, others)]
    worker_state.revoked.update(request.id for request in mine)
    for request in mine:
        if terminate and request in worker_state.active_requests:
            _terminate(request, state.consumer.pool)
    return {"ok": f"{len(mine)} tasks revoked"}


def _is_of(request: Any, job: str, others: Sequence[str]) -> bool:
    mark = request.request_dict.get(HEADER)
    return bool(mark) and mark["job"] == job and mark["root"] not in others


def _terminate(request: Any, pool: Any) -> None:
    try:
        request.terminate(pool, signal="SIGTERM")
    except NotImplementedError:
        # Threads can't be ended: the task looks for the mark itself, at its next `update_state`.
        logger.info("Task %s can't be terminated by this pool", request.id)
