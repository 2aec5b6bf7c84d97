"""The mark of our tasks in their messages, and the cancel mark in the result backend."""

from __future__ import annotations

from typing import Any

from celery import current_task

from ..background.submission import Mark, current_submission
from ..logs import log_sometimes

HEADER = "channels_api"
# The state that stands for "cancelled" under the key of a job.
CANCELLED = "CANCELLED"
CANCEL_SUFFIX = ".cancel"


def cancel_key(job: str) -> str:
    """The id, as of a task, under which the backend keeps that a job was cancelled."""
    return f"{job}{CANCEL_SUFFIX}"


def is_cancel_key(task_id: str) -> bool:
    """Whether what is stored under an id is a cancel mark, and no task's state."""
    return str(task_id).endswith(CANCEL_SUFFIX)


def mark_published(headers: Any = None, **kwargs: Any) -> None:
    """Mark a task that is being published, if a handler does it, or a task of a handler's."""
    if not isinstance(headers, dict) or "id" not in headers:  # an older protocol of Celery's
        return
    submission = current_submission()
    if submission is not None:
        if HEADER not in headers:
            headers[HEADER] = submission.mark(headers["id"])
        return
    # In a worker: the next step of a chain, a chord's body, a child, a replacement, a link. Celery
    # hands on nothing but its own headers.
    mark = mark_of(running_request())
    if mark is not None:
        headers.setdefault(HEADER, mark)


def publishing_ended() -> None:
    """The broker has taken a task, or the handler knows that it has not."""
    submission = current_submission()
    if submission is not None:
        submission.publishing_ended()


def mark_of(request: Any) -> Mark | None:
    """The mark of a task's request, if it is one of ours."""
    headers = getattr(request, "headers", None)
    mark: Mark | None = headers.get(HEADER) if isinstance(headers, dict) else None
    return mark


def running_request() -> Any:
    """The request of the task that runs in this thread; None outside of tasks."""
    return current_task.request if current_task else None


def is_cancelled(backend: Any, mark: Mark) -> bool:
    """Whether a task was cancelled; False where that can't be known: our look-up fails no task."""
    try:
        meta = backend.get_task_meta(cancel_key(mark["job"]), cache=False)
        return bool(meta["status"] == CANCELLED and mark["root"] not in meta["result"]["others"])
    except Exception:
        log_sometimes("Whether a task was cancelled can't be read")
        return False
