"""Tasks that outlive their worker."""

from pathlib import Path

from celery import shared_task

from tests.app.tasks import wait_for


@shared_task(acks_late=True, reject_on_worker_lost=True)
def survive(wait):
    """Begun again by another worker, if its own is killed."""
    wait_for(wait, seconds=60)
    return "survived"


@shared_task
def touch(path):
    Path(path).touch()
