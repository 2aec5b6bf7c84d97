"""The Celery app of the tests, as a project of its users would have it."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

app = Celery("tests")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["tests.app"])
app.autodiscover_tasks(["tests.app"], related_name="cancel_tasks")
app.autodiscover_tasks(["tests.app"], related_name="wire_tasks")
app.autodiscover_tasks(["tests.app"], related_name="faults_tasks")
app.autodiscover_tasks(["tests.app"], related_name="http_tasks")
app.autodiscover_tasks(["tests.app"], related_name="nodes_tasks")
