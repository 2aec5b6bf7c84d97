"""A Celery worker inside the server process, for development: one process is all there is."""

from __future__ import annotations

import contextvars
import os
import queue
import threading
from typing import Any

from celery import current_app
from celery.concurrency.base import BasePool, apply_target
from celery.worker import WorkController
from django.conf import settings as django_settings

from ..locks import new_lock
from ..logs import log_error
from ..settings import settings
from .control import register_command
from .worker import guard

# Tasks that run at a time.
CONCURRENCY = 2

_lock = new_lock()
_started_in: int | None = None


class DaemonThreadPool(BasePool):  # type: ignore[misc]
    """Threads that end with the process.

    Celery's own pool of threads waits for its tasks, and so holds up exit and autoreload.
    """

    limit: int
    body_can_be_buffer = True
    signal_safe = False

    def on_start(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        for number in range(self.limit):
            threading.Thread(target=self._run, name=f"celery-{number}", daemon=True).start()

    def on_stop(self) -> None:
        for _ in range(self.limit):
            self._calls.put(None)

    on_terminate = on_stop

    def on_apply(
        self,
        target: Any,
        args: Any = None,
        kwargs: Any = None,
        callback: Any = None,
        accept_callback: Any = None,
        **options: Any,
    ) -> None:
        self._calls.put((target, args, kwargs, callback, accept_callback))

    def _run(self) -> None:
        while True:
            call = self._calls.get()
            if call is None:
                return
            try:
                apply_target(*call)
            except Exception:
                log_error("The embedded worker could not run a task")


def ensure_worker() -> None:
    """Start the worker if the settings ask for one and this process has none yet.

    Called when the process serves, never while Django is being set up: the worker imports the
    tasks' modules, and these the models.
    """
    global _started_in
    if _started_in == os.getpid() or not settings.EMBEDDED_WORKER or not django_settings.DEBUG:
        return
    with _lock:
        if _started_in == os.getpid():
            return
        _started_in = os.getpid()
        # A context of its own: the tasks belong to no request and no handler.
        run = contextvars.Context().run
        threading.Thread(target=run, args=(_run,), name="celery-embedded", daemon=True).start()


def _run() -> None:
    app = current_app._get_current_object()  # noqa: SLF001
    # The memory transport looks for messages once a second by itself.
    options = app.conf.broker_transport_options or {}
    app.conf.broker_transport_options = {"polling_interval": 0.01, **options}
    app.loader.import_default_modules()
    app.finalize()
    register_command()
    guard(app)
    worker = WorkController(
        app=app,
        hostname=f"embedded@{os.getpid()}",
        pool_cls=DaemonThreadPool,
        concurrency=CONCURRENCY,
        prefetch_multiplier=1,
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
        task_events=False,
    )
    worker.start()
