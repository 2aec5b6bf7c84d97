# So that tasks are published by this app, whatever is imported first.
from .celery import app as celery_app

__all__ = ["celery_app"]
