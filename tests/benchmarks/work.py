"""The benchmarks' Celery app and its tasks, which note when each of their states was stored."""

import os
import time

from celery import shared_task
from celery.signals import task_prerun

from tests.app.celery_app import app

__all__ = ["app", "short", "steps"]


# This module is imported before Django is set up, so this runs before channels_api's own receiver,
# which stores STARTED.
@task_prerun.connect
def note_start(task=None, **kwargs):
    task.request.started_at = time.time()


@shared_task
def short(number):
    return number


@shared_task(bind=True)
def steps(self, pause):
    """Three states, `pause` seconds apart; when each was stored is in its meta or result."""
    started_at = self.request.started_at
    time.sleep(pause)
    self.update_state(state="PROGRESS", meta={"at": time.time()})
    time.sleep(pause)
    return {"STARTED": started_at, "at": time.time(), "pid": os.getpid()}
