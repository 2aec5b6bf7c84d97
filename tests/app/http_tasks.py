"""Plain tasks for the tests over HTTP."""

from celery import shared_task
from rest_framework.exceptions import PermissionDenied, ValidationError

from tests.app.tasks import wait_for


@shared_task
def echo(value, wait=None):
    """Gives what it was given, when `wait` is there."""
    if wait:
        wait_for(wait)
    return value


@shared_task
def refuse(kind, detail):
    """Fails with an exception that is meant for clients."""
    raise {"invalid": ValidationError, "denied": PermissionDenied}[kind](detail)
