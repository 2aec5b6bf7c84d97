"""The worker's part of cancelling, with Celery's own objects in this process."""

import time
import uuid
from contextlib import contextmanager, nullcontext

import pytest
from celery import Celery, current_app
from celery.app.trace import build_tracer
from celery.worker import state as worker_state
from celery.worker.request import Request

from channels_api.background.references import TaskReference
from channels_api.background.submission import Submission, submitting
from channels_api.celery import engine, tracking
from channels_api.celery.control import cancel_job
from channels_api.celery.marks import CANCELLED, HEADER, cancel_key, is_cancelled
from channels_api.celery.worker import guard
from channels_api.exceptions import TaskFinished
from channels_api.handover import connect_celery
from tests.servers import free_port


@pytest.fixture
def app():
    connect_celery()
    app = Celery("units", set_as_current=False, broker="memory://", backend="cache+memory://")
    app.finalize()
    yield app
    app.close()


def nothing():
    pass


def new_mark(root=""):
    return {"job": uuid.uuid4().hex, "root": root or uuid.uuid4().hex}


@contextmanager
def is_current(app):
    """The server's own part uses the current app."""
    before = current_app._get_current_object()  # noqa: SLF001 - the app, and not its proxy
    app.set_current()
    try:
        yield
    finally:
        before.set_current()


def cancel(app, mark, others=()):
    app.backend.store_result(cancel_key(mark["job"]), {"others": list(others)}, CANCELLED)


def run(app, task, mark=None, **request):
    """Run a task as a worker does; its id."""
    task_id = mark["root"] if mark else uuid.uuid4().hex
    headers = {"id": task_id, **({HEADER: mark} if mark else {}), **request}
    build_tracer(task.name, task, app=app)(task_id, (), {}, headers)
    return task_id


class Commands:
    """What a result backend asks its store for: the keys, without their prefix."""

    def __init__(self, backend):
        self.gets, self.sets, self._then = [], [], {}
        client = backend.client
        get, put = client.get, client.set

        def counted_get(key, *args):
            self.gets.append(short(key))
            return get(key, *args)

        def counted_set(key, *args):
            self.sets.append(short(key))
            put(key, *args)
            self._then.pop(short(key), lambda: None)()

        client.get, client.set = counted_get, counted_set

    def when_set(self, key, call):
        """Call a function as soon as a key is first set."""
        self._then[key] = call


def short(key):
    return (key.decode() if isinstance(key, bytes) else key).removeprefix("celery-task-meta-")


def test_a_mark_holds_for_its_job_but_for_the_others(app):
    mark = new_mark()
    assert is_cancelled(app.backend, mark) is False
    cancel(app, mark, others=["another"])
    assert is_cancelled(app.backend, mark) is True
    assert is_cancelled(app.backend, {**mark, "root": "another"}) is False
    assert is_cancelled(app.backend, new_mark()) is False


def test_a_store_that_is_away_cancels_nothing():
    address = f"redis://127.0.0.1:{free_port()}/0"
    app = Celery("away", set_as_current=False, broker="memory://", backend=address)
    assert is_cancelled(app.backend, new_mark()) is False


def test_a_cancelled_task_does_not_begin(app):
    ran = []

    @app.task(shared=False)
    def task():
        ran.append(1)

    guard(app)
    mark = new_mark()
    cancel(app, mark)
    commands = Commands(app.backend)
    task_id = run(app, task, mark)
    assert app.backend.get_state(task_id) == "REVOKED"
    assert ran == []
    # One state and no other: whoever cancelled it has been told REVOKED before.
    assert commands.sets == [task_id]
    assert app.backend.get_state(run(app, task, new_mark())) == "SUCCESS"
    assert ran == [1]


def test_a_cancel_that_comes_as_the_task_begins_is_seen(app):
    """After the first look for the mark; who cancels reads the state, and may find PENDING."""
    ran = []

    @app.task(shared=False)
    def task():
        ran.append(1)

    guard(app)
    mark = new_mark()
    Commands(app.backend).when_set(mark["root"], lambda: cancel(app, mark))
    assert app.backend.get_state(run(app, task, mark)) == "REVOKED"
    assert ran == []


def test_what_ends_while_it_is_cancelled_has_finished(app):
    mark = new_mark()
    task_id = mark["root"]
    app.backend.store_result(task_id, None, "STARTED")
    commands = Commands(app.backend)
    commands.when_set(
        cancel_key(mark["job"]), lambda: app.backend.store_result(task_id, "done", "SUCCESS")
    )
    with is_current(app), pytest.raises(TaskFinished):
        engine.cancel(TaskReference(task_id, mark["job"]), terminate=True)


def test_guarding_twice_is_guarding_once(app):
    task = app.task(nothing, shared=False)
    guard(app)
    guarded = task.run
    guard(app)
    assert task.run is guarded


def test_an_update_in_a_cancelled_task_ends_it(app, monkeypatch):
    monkeypatch.setattr(tracking, "CHECK_INTERVAL", 3600)
    reached = []

    @app.task(bind=True, shared=False)
    def task(self):
        cancel(app, mark)
        # The mark was looked for as the task began, and is not looked for again that soon.
        self.update_state(state="PROGRESS", meta={})
        reached.append("at once")
        monkeypatch.setattr(tracking, "CHECK_INTERVAL", 0)
        self.update_state(state="PROGRESS", meta={})
        reached.append("never")

    mark = new_mark()
    task_id = run(app, task, mark)
    assert app.backend.get_state(task_id) == "REVOKED"
    assert reached == ["at once"]


@pytest.mark.parametrize(("seconds", "end"), [(3600, "SUCCESS"), (0, "REVOKED")])
def test_what_ends_before_the_next_look_comes_to_its_true_end(app, monkeypatch, seconds, end):
    """Whoever cancels it can't know that, and is told that it is cancelled."""
    monkeypatch.setattr(tracking, "CHECK_INTERVAL", seconds)

    @app.task(bind=True, shared=False)
    def task(self):
        engine.cancel(TaskReference(mark["root"], mark["job"]), terminate=True)
        self.update_state(state="PROGRESS", meta={})

    mark = new_mark()
    with is_current(app):
        task_id = run(app, task, mark)
    assert app.backend.get_state(task_id) == end


def test_the_mark_is_looked_for_four_times_a_second(app):
    @app.task(bind=True, shared=False)
    def task(self):
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            self.update_state(state="PROGRESS", meta={})

    mark = new_mark()
    commands, began = Commands(app.backend), time.monotonic()
    task_id = run(app, task, mark)
    seconds = time.monotonic() - began
    assert len(commands.sets) > 20
    # Twice at the start, after 0.25 s, after 0.5 s; other ones on a machine that stood still.
    looks = commands.gets.count(cancel_key(mark["job"]))
    assert 3 <= looks <= 2 + seconds / tracking.CHECK_INTERVAL
    assert set(commands.sets) == {task_id}


def test_a_task_of_nobody_s_costs_what_celery_alone_costs(app):
    @app.task(bind=True, shared=False)
    def task(self):
        self.update_state(state="PROGRESS", meta={})
        time.sleep(0.26)
        self.update_state(state="PROGRESS", meta={})

    commands = Commands(app.backend)
    task_id = run(app, task)
    # Two updates and the end; Celery reads before it writes.
    assert commands.sets == commands.gets == [task_id] * 3


def test_nothing_counts_any_more_in_a_task_that_goes_on(app):
    raised = []

    @app.task(bind=True, shared=False)
    def task(self):
        cancel(app, mark)
        time.sleep(0.26)
        for _ in range(3):
            try:
                self.update_state(state="PROGRESS", meta={})
            except Exception as exc:
                raised.append(type(exc).__name__)
        return "finished"

    mark = new_mark()
    task_id = run(app, task, mark)
    assert raised == ["TaskCancelled"] * 3
    assert app.backend.get_state(task_id) == "REVOKED"


@pytest.mark.parametrize("is_cancelled_meanwhile", [False, True])
def test_a_step_of_what_is_cancelled_is_revoked_and_not_failed(app, is_cancelled_meanwhile):
    """Who cancels stores the mark first, and the end of the last step a moment later."""

    @app.task(shared=False)
    def task():
        if is_cancelled_meanwhile:
            cancel(app, mark)
        raise RuntimeError

    mark = new_mark()
    last = task.s().set(task_id=uuid.uuid4().hex)
    run(app, task, mark, chain=[last])
    expected = "REVOKED" if is_cancelled_meanwhile else "FAILURE"
    assert app.backend.get_state(last.id) == expected


def publish(app, task, submission):
    """What a worker has of a task: the request that comes of its message."""
    with submitting(submission) if submission else nullcontext():
        task.apply_async(queue="units")
    with app.connection_for_read() as connection:
        return Request(connection.SimpleQueue("units").get(timeout=20), app=app, task=task)


def test_a_worker_revokes_the_tasks_of_a_job_that_it_has(app):
    task = app.task(nothing, shared=False)
    job, another = Submission(), Submission()
    requests = [publish(app, task, each) for each in (job, job, another, None)]
    mine, beside, *_ = requests
    try:
        for request in requests:
            worker_state.task_reserved(request)
        answer = cancel_job(None, job.job, others=[beside.id], terminate=True)
        assert answer == {"ok": "1 tasks revoked"}
        revoked = [request.id in worker_state.revoked for request in requests]
        assert revoked == [True, False, False, False]
        assert mine.revoked()
        assert app.backend.get_state(mine.id) == "REVOKED"
    finally:
        for request in requests:
            worker_state.task_ready(request)
            worker_state.revoked.discard(request.id)
