"""Which states of tasks are counted, with Celery's own objects in this process."""

import uuid

import pytest
from celery import Celery
from celery.app.trace import build_tracer
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser

from channels_api.celery.marks import HEADER
from channels_api.handover import connect_celery
from tests.app.streams import Demultiplexer
from tests.client import PATIENCE


@pytest.fixture
def app():
    connect_celery()
    app = Celery("counted", set_as_current=False, broker="memory://", backend="cache+memory://")
    app.finalize()
    yield app
    app.close()


def run(task, *, is_ours: bool = True) -> None:
    """Run a task as a worker does."""
    task_id = uuid.uuid4().hex
    mark = {HEADER: {"job": uuid.uuid4().hex, "root": task_id}} if is_ours else {}
    build_tracer(task.name, task, app=task.app)(task_id, (), {}, {"id": task_id, **mark})


def test_a_worker_counts_the_states_of_our_tasks(app, counts):
    """A state that a task makes up is counted as PROGRESS; tasks of others are left alone."""

    @app.task(shared=False, bind=True)
    def works(self):
        self.update_state(state="row 17 of 4000")
        self.update_state(state="PROGRESS")

    @app.task(shared=False)
    def breaks():
        raise ValueError("wrong")

    run(works)
    run(breaks)
    run(works, is_ours=False)
    assert counts.of("tasks") == {
        ("STARTED",): 2,
        ("PROGRESS",): 2,
        ("SUCCESS",): 1,
        ("FAILURE",): 1,
    }


@pytest.mark.django_db(transaction=True)
async def test_a_server_counts_the_tasks_that_it_begins(counts):
    client = WebsocketCommunicator(Demultiplexer.as_asgi(), "/ws/")
    client.scope["user"] = AnonymousUser()
    assert (await client.connect(timeout=PATIENCE))[0]
    work = {"task": "double", "args": [2]}
    frame = {"stream": "work", "payload": {"action": "in_place", "data": work}}
    await client.send_json_to(frame)
    reply = (await client.receive_json_from(timeout=PATIENCE))["payload"]
    assert (reply["response_status"], reply["data"]["result"]) == (200, 4)
    await client.disconnect(timeout=PATIENCE)
    assert counts.of("tasks") == {("PENDING",): 1}
    assert counts.of("frames") == {("work", "in_place", "200"): 1}
