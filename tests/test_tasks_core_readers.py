"""Readers of a task, a group and a chord, on a result backend of Celery's own."""

import uuid
from dataclasses import replace

import pytest
from celery.result import AsyncResult, GroupResult
from rest_framework.exceptions import APIException, NotFound, ValidationError

from channels_api.background.bell import Ring
from channels_api.background.references import TaskReference
from channels_api.background.states import TaskState
from channels_api.background.watches import encode_state
from channels_api.celery.engine import check_known, make_reader, read_result, read_state
from channels_api.protocol import RequestFrame
from tests.app.celery_app import app
from tests.client import parse_strictly

PENDING, STARTED, REVOKED = TaskState(), TaskState("STARTED"), TaskState("REVOKED")


def new_id() -> str:
    return str(uuid.uuid4())


def store(task_id: str, state: str, value=None) -> str:
    app.backend.store_result(task_id, value, state)
    return task_id


def ring(task_id: str, state: str = "SUCCESS", retries: int = 0) -> Ring:
    return Ring("job", task_id, state, retries)


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The ids that the backend is asked for."""
    ids: list[str] = []
    real = app.backend.get_task_meta

    def get_task_meta(task_id, cache=True):
        ids.append(task_id)
        return real(task_id, cache=cache)

    monkeypatch.setattr(app.backend, "get_task_meta", get_task_meta)
    return ids


# One task


def test_a_task_is_read_in_each_of_its_states():
    task = new_id()
    reader = make_reader(TaskReference(task))
    assert reader.read(everything=True) == PENDING
    # Where the worker is and what it is called is nobody's business.
    for state in ("RECEIVED", "STARTED"):
        store(task, state, {"pid": 7, "hostname": "secret"})
        assert reader.read(everything=False) == TaskState(state)
    store(task, "PROGRESS", {"current": 1})
    assert reader.read(everything=False) == TaskState("PROGRESS", meta={"current": 1})
    store(task, "PAUSED")
    assert reader.read(everything=False) == TaskState("PAUSED")
    store(task, "SUCCESS", [1, None])
    assert reader.read(everything=False) == TaskState("SUCCESS", result=[1, None])


@pytest.mark.parametrize(
    ("state", "value"), [("REVOKED", ValueError("secret")), ("IGNORED", "secret")]
)
def test_an_end_without_a_result_shows_nothing(state, value):
    task = store(new_id(), state, value)
    assert make_reader(TaskReference(task)).read(everything=True) == TaskState(state)


def test_retries_are_counted_by_the_rings():
    task = store(new_id(), "RETRY", ValueError("secret"))
    reader = make_reader(TaskReference(task))
    assert reader.read(everything=True) == TaskState("RETRY")
    assert not reader.hear(ring(new_id(), "RETRY"))
    assert reader.hear(ring(task, "RETRY", 1))
    assert reader.read(everything=False) == TaskState("RETRY", meta={"retries": 2})
    assert reader.hear(ring(task, "STARTED", 2))
    assert reader.read(everything=False) == TaskState("RETRY", meta={"retries": 2})


class Teapot(APIException):
    status_code = 418


@pytest.mark.parametrize(
    ("exc", "errors"),
    [
        (ValidationError("no"), ["no"]),
        (ValidationError({"year": ["no"]}), [{"year": ["no"]}]),
        (APIException("gone"), ["gone"]),
        (Teapot({"tea": "cold"}), [{"tea": "cold"}]),
    ],
)
def test_the_detail_of_what_drf_raises_is_shown(exc, errors):
    task = store(new_id(), "FAILURE", exc)
    state = make_reader(TaskReference(task)).read(everything=True)
    assert state == TaskState("FAILURE", errors=errors)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("text", ["secret", "\udce9", "x" * 2_000_000], ids=["", "odd", "large"])
@pytest.mark.parametrize("error", [ValueError, ValidationError])
def test_every_failure_can_be_told(settings, error, text, debug):
    """Half of a surrogate pair is what Python makes of a file name that is no UTF-8."""
    settings.DEBUG = debug
    task = store(new_id(), "FAILURE", error(text))
    state = make_reader(TaskReference(task)).read(everything=True)
    frame = encode_state(state, "ID", RequestFrame("work", "start").reply)
    assert len(frame) <= 1_048_576
    payload = parse_strictly(frame)["payload"]
    assert (payload["response_status"], payload["data"]) == (500, {"id": "ID", "state": "FAILURE"})
    if error is ValueError and not debug:
        assert payload["errors"] == ["Task failed", {"error_id": task}]
    elif text == "secret":
        shown = ["Task failed", {"error_id": task, "exception": "ValueError: secret"}]
        assert payload["errors"] == (shown if error is ValueError else ["secret"])
    else:
        assert payload["errors"][0] == "Task failed"
        assert payload["errors"][1]


# A group


def make_group(size: int, *, save: bool = True) -> tuple[TaskReference, list[str]]:
    ids = [new_id() for _ in range(size)]
    group = GroupResult(new_id(), [AsyncResult(each, app=app) for each in ids], app=app)
    if save:
        group.save(backend=app.backend)
    return TaskReference(group.id, "job", group=group.id), ids


def progress(completed: int, total: int) -> TaskState:
    name = "PROGRESS" if completed else "PENDING"
    return TaskState(name, meta={"completed": completed, "total": total})


def test_the_members_of_a_group_are_counted():
    reference, ids = make_group(3)
    reader = make_reader(reference)
    for number, task in enumerate(ids):
        assert reader.read(everything=True) == progress(number, 3)
        store(task, "SUCCESS", number)
    assert reader.read(everything=True) == TaskState("SUCCESS", result=[0, 1, 2])
    assert read_result(reference) == [0, 1, 2]


def test_only_members_that_rang_are_read(asked):
    reference, ids = make_group(4)
    reader = make_reader(reference)
    reader.read(everything=True)
    assert asked == ids
    asked.clear()
    assert not reader.hear(ring(ids[1], "STARTED"))
    assert not reader.hear(ring(new_id()))
    assert reader.hear(ring(store(ids[1], "SUCCESS")))
    assert reader.read(everything=False) == progress(1, 4)
    assert asked == [ids[1]]
    asked.clear()
    # What is over is not read again, and what rang before it was stored is not lost.
    assert not reader.hear(ring(ids[1]))
    assert reader.hear(ring(ids[2]))
    assert reader.read(everything=False) == progress(1, 4)
    store(ids[2], "SUCCESS")
    assert reader.read(everything=True) == progress(2, 4)
    assert asked == [ids[2], ids[0], ids[2], ids[3]]


def test_a_ring_before_the_first_read_counts():
    reference, ids = make_group(2)
    reader = make_reader(reference)
    assert reader.hear(ring(store(ids[0], "SUCCESS")))
    assert reader.read(everything=False) == progress(1, 2)


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        (["SUCCESS", "FAILURE", "REVOKED"], "FAILURE"),
        (["REVOKED", "SUCCESS", "FAILURE"], "FAILURE"),
        (["SUCCESS", "REVOKED", "SUCCESS"], "REVOKED"),
        (["SUCCESS", "IGNORED", "SUCCESS"], "REVOKED"),
    ],
)
def test_a_group_ends_when_all_have_ended(ends, state):
    reference, ids = make_group(3)
    reader = make_reader(reference)
    for number, (task, end) in enumerate(zip(ids, ends, strict=True)):
        assert reader.read(everything=True) == progress(number, 3)
        store(task, end, ValueError("secret") if end == "FAILURE" else None)
    errors = ()
    if state == "FAILURE":
        errors = ["Task failed", {"error_id": ids[ends.index("FAILURE")]}]
    for _ in range(2):
        assert reader.read(everything=True) == TaskState(state, errors=errors)


def test_an_empty_group_is_done():
    reference, _ = make_group(0)
    assert make_reader(reference).read(everything=True) == TaskState("SUCCESS", result=[])


def test_the_members_of_groups_within_a_group_count_as_its_own():
    inner = GroupResult(new_id(), [AsyncResult(new_id(), app=app) for _ in range(2)], app=app)
    outer = GroupResult(new_id(), [AsyncResult(new_id(), app=app), inner], app=app)
    reader = make_reader(TaskReference(outer.id, group=outer.id), outer)
    assert reader.read(everything=True) == progress(0, 3)
    assert reader.hear(ring(store(inner.results[1].id, "SUCCESS", "b")))
    assert reader.read(everything=False) == progress(1, 3)


def test_a_group_that_is_not_stored_is_known_to_who_began_it_only():
    reference, _ = make_group(2, save=False)
    group = GroupResult(reference.task_id, [AsyncResult(new_id(), app=app)], app=app)
    assert make_reader(reference, group).read(everything=True) == progress(0, 1)
    with pytest.raises(NotFound):
        make_reader(reference).read(everything=True)
    with pytest.raises(NotFound):
        read_state(reference)


# A chord


def test_a_chord_is_its_header_and_then_its_body():
    group, ids = make_group(2)
    body = new_id()
    reference = replace(group, task_id=body)
    reader = make_reader(reference)
    for number, task in enumerate(ids):
        assert reader.read(everything=True) == progress(number, 2)
        assert reader.hear(ring(store(task, "SUCCESS")))
    # All of the header is done, and the body is yet to begin.
    assert reader.read(everything=False) == progress(2, 2)
    assert reader.hear(ring(store(body, "STARTED", {"pid": 7}), "STARTED"))
    assert reader.read(everything=False) == STARTED
    assert not reader.hear(ring(new_id()))
    store(body, "SUCCESS", 3)
    assert reader.read(everything=False) == TaskState("SUCCESS", result=3)
    assert read_result(reference) == 3


def test_a_chord_fails_when_its_body_says_so_and_as_its_member_did():
    group, ids = make_group(2)
    reference = replace(group, task_id=new_id())
    store(ids[0], "SUCCESS")
    store(ids[1], "FAILURE", ValidationError("no"))
    assert make_reader(reference).read(everything=True) == progress(2, 2)
    store(reference.task_id, "FAILURE", ValueError("secret"))
    state = make_reader(reference).read(everything=True)
    assert state == TaskState("FAILURE", errors=["no"])


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_body_that_fails_by_itself_is_told_also_without_its_header(is_stored):
    """The header is stored when the chord begins, and so forgotten before the body."""
    group, ids = make_group(2, save=is_stored)
    for task in ids:
        store(task, "SUCCESS")
    reference = replace(group, task_id=store(new_id(), "FAILURE", ValueError("secret")))
    state = make_reader(reference).read(everything=True)
    assert state == TaskState("FAILURE", errors=["Task failed", {"error_id": reference.task_id}])


# What the backend does not hold any more


@pytest.mark.parametrize("expires", [None, 100])
@pytest.mark.parametrize("age", [99, 101])
@pytest.mark.parametrize("kind", ["task", "group", "chord"])
def test_what_has_been_forgotten_is_not_found(monkeypatch, kind, age, expires):
    monkeypatch.setattr(app.backend, "expires", expires)
    reference = TaskReference(new_id())
    if kind != "task":
        group, _ = make_group(2)
        reference = group if kind == "group" else replace(group, task_id=new_id())
    reference = replace(reference, created=reference.created - age)
    if expires and age > expires:
        with pytest.raises(NotFound):
            read_state(reference)
    else:
        assert read_state(reference).name == "PENDING"
    # Who has a state is known, however old it is.
    check_known(reference, STARTED)
    check_known(reference, REVOKED)
