"""Where an action hands its work to Celery, which is imported no earlier than that."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from .background.references import TaskReference, owner_digest
from .background.states import PENDING, TaskState
from .background.submission import Submission
from .exceptions import CeleryMissing
from .locks import new_lock
from .metrics import TASKS, measure
from .settings import settings

if TYPE_CHECKING:
    from .background.hub import StateReader

_installed = False
_installing = new_lock()


class Begun(NamedTuple):
    """A task that a handler has begun. `state` is set where it was run in place, and is over."""

    reference: TaskReference
    reader: StateReader
    state: TaskState | None = None


def task_in(result: Any) -> Any:
    """The Celery result that a handler returned, by itself or with a status; else None."""
    module = sys.modules.get("celery.result")
    # Another thread may be just importing it: then nobody can have a result yet.
    if module is None or not hasattr(module, "GroupResult"):
        return None
    if isinstance(result, tuple) and len(result) == 2:
        result = result[0]
    return result if isinstance(result, (module.AsyncResult, module.GroupResult)) else None


def hand_over(result: Any, submission: Submission, *, owner: str, view: str = "") -> Begun:
    """The task behind a Celery result, as its owner's. Runs in a thread."""
    engine = get_engine()
    digest = owner_digest(owner)
    reference = engine.make_reference(result, submission, owner=digest, view=view)
    if submission.is_given_up:
        # The broker has taken it after all, and the client was told that it did not.
        engine.cancel(reference, terminate=True)
    measure(TASKS, state=PENDING)
    return Begun(reference, engine.make_reader(reference, result), engine.final_state(result))


def get_engine() -> Any:
    """The Celery side. Raises CeleryMissing, which says what to install."""
    try:
        from .celery import engine
    except ModuleNotFoundError as exc:
        raise CeleryMissing from exc
    connect_celery()
    return engine


def has_celery_app() -> bool:
    """Whether the project has made its Celery app.

    To ask for it earlier would make another one in its place.
    """
    module = sys.modules.get("celery._state")
    # Another thread may be just importing it.
    if module is None or not hasattr(module, "get_current_app"):
        return False
    # Its own name for it: `current_app` is what makes one.
    return (module.default_app or module._tls.current_app) is not None  # noqa: SLF001


def connect_celery() -> None:
    """Mark what handlers publish, from now on, if the project uses Celery at all.

    Asked when the apps are ready, and again before handlers run: a project may import its Celery
    app later.
    """
    global _installed
    if _installed or "celery" not in sys.modules:
        return
    from .celery.worker import install

    with _installing:
        if not _installed:
            install()
            # Not before: what another thread publishes meanwhile waits for it.
            _installed = True


def start_embedded_worker() -> None:
    """Start the worker of this process, where the settings ask for one."""
    if settings.EMBEDDED_WORKER:
        from .celery.embedded import ensure_worker

        ensure_worker()


async def wait_until_final(reference: TaskReference, seconds: float) -> None:
    """Wait for a task's end, without a thread; at most so long."""
    from .background.hub import get_hub

    hub, over = get_hub(), asyncio.Event()

    def listen(state: TaskState) -> None:
        if state.is_final:
            over.set()

    task = await hub.hold(reference, get_engine().make_reader(reference))
    task.listeners.add(listen)
    listen(task.state)  # somebody else may have been told of the end already
    try:
        hub.look(task, everything=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(over.wait(), seconds)
    finally:
        task.listeners.discard(listen)
        hub.release(task)
        # Under WSGI the event loop ends with the request, and the membership would stay behind.
        await hub.settle()
