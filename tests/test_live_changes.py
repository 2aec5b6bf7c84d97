"""What reaches the log when models change: after the commit, once per transaction, per database."""

import asyncio
import contextlib
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from django.contrib.sessions.models import Session
from django.core import serializers
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels_api.live import changes, hub
from channels_api.live.log import Change, Position
from tests.app.models import Document, Leaf, Node, PublishedQuestion, Question, Survey, Tag
from tests.live_recorder import Recorder, record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def recorder(monkeypatch) -> Iterator[Recorder]:
    yield from record(monkeypatch, Question, Survey, Document, Tag)


@contextlib.contextmanager
def undone():
    """An atomic block, or a savepoint inside one, that is rolled back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_each_save_and_delete_is_a_change(recorder):
    question = Question.objects.create(question_text="a")
    pk = question.pk
    question.save()
    question.delete()
    assert recorder.of(Question) == [(pk, "create"), (pk, "update"), (pk, "delete")]


def test_a_transaction_tells_each_row_once_and_after_the_commit(recorder):
    with transaction.atomic():
        first = Question.objects.create(question_text="a")
        second = Question.objects.create(question_text="b")
        first.save()
        assert recorder.of(Question) == []
    assert recorder.of(Question) == [(first.pk, "create"), (second.pk, "create")]


def test_a_row_that_a_transaction_makes_and_deletes_is_a_delete(recorder):
    with transaction.atomic():
        question = Question.objects.create(question_text="a")
        pk = question.pk
        question.delete()
    assert recorder.of(Question) == [(pk, "delete")]


def test_what_is_rolled_back_is_no_change(recorder):
    with undone():
        Question.objects.create(question_text="a")
    kept = Question.objects.create(question_text="b")
    assert recorder.of(Question) == [(kept.pk, "create")]


def test_a_savepoint_that_is_rolled_back_takes_its_changes_along(recorder):
    with transaction.atomic():
        before = Question.objects.create(question_text="before")
        with undone():
            Question.objects.create(question_text="lost")
            before.save()
        after = Question.objects.create(question_text="after")
    assert recorder.of(Question) == [(before.pk, "create"), (after.pk, "create")]


def test_a_released_savepoint_inside_one_that_is_rolled_back_is_lost(recorder):
    with transaction.atomic():
        kept = Question.objects.create(question_text="kept")
        with undone(), transaction.atomic():
            Question.objects.create(question_text="lost")
    assert recorder.of(Question) == [(kept.pk, "create")]


def test_a_rolled_back_savepoint_inside_a_released_one(recorder):
    with transaction.atomic(), transaction.atomic():
        kept = Question.objects.create(question_text="kept")
        with undone():
            Question.objects.create(question_text="lost")
        kept.save()
    assert recorder.of(Question) == [(kept.pk, "create")]


def test_released_savepoints_are_told_with_their_transaction(recorder):
    with transaction.atomic():
        with transaction.atomic():
            inner = Question.objects.create(question_text="inner")
        assert recorder.of(Question) == []
        outer = Question.objects.create(question_text="outer")
    assert recorder.of(Question) == [(inner.pk, "create"), (outer.pk, "create")]


def test_changes_take_their_place_among_the_callbacks_of_a_transaction(recorder):
    """What a callback sees in the log is what was changed before it was registered."""
    seen = []

    def look() -> None:
        seen.append(len(recorder.of(Question)))

    with transaction.atomic():
        transaction.on_commit(look)
        question = Question.objects.create(question_text="a")
        transaction.on_commit(look)
        question.save()
    assert seen == [0, 1]
    assert recorder.of(Question) == [(question.pk, "create"), (question.pk, "update")]


def test_databases_are_told_apart(recorder):
    here = Question.objects.create(question_text="a")
    there = Question(question_text="b")
    there.save(using="other")
    there.save(using="other")
    assert recorder.of(Question) == [(here.pk, "create")]
    assert recorder.of(Question, "other") == [(there.pk, "create"), (there.pk, "update")]


def test_a_transaction_on_one_database_does_not_hold_back_the_other(recorder):
    with transaction.atomic():
        Question.objects.create(question_text="a")
        there = Question.objects.using("other").create(question_text="b")
        assert recorder.of(Question, "other") == [(there.pk, "create")]
        assert recorder.of(Question) == []


def test_a_proxy_changes_the_rows_of_its_model(recorder):
    proxy = PublishedQuestion.objects.create(question_text="a")
    pk = proxy.pk
    proxy.save()
    PublishedQuestion.objects.filter(pk=pk).delete()
    assert recorder.of(Question) == [(pk, "create"), (pk, "update"), (pk, "delete")]
    assert recorder.of(PublishedQuestion) == recorder.of(Question)


@pytest.mark.parametrize("model", [Survey, Question])
def test_a_child_is_a_row_of_its_parent_as_well(recorder, model):
    survey = Survey.objects.create(question_text="a", audience="all")
    pk = survey.pk
    survey.save()
    survey.delete()
    assert recorder.of(model) == [(pk, "create"), (pk, "update"), (pk, "delete")]


def test_a_parent_that_is_saved_is_a_change_of_its_child(recorder):
    """Half of the child's row is in the parent's table."""
    survey = Survey.objects.create(question_text="a", audience="all")
    Question.objects.get(pk=survey.pk).save()
    assert recorder.of(Survey) == [(survey.pk, "create"), (survey.pk, "update")]


def test_a_parent_that_is_deleted_takes_its_child_along(recorder):
    survey = Survey.objects.create(question_text="a", audience="all")
    Question.objects.get(pk=survey.pk).delete()
    assert recorder.of(Survey) == [(survey.pk, "create"), (survey.pk, "delete")]


def test_a_cascade_tells_every_row(recorder, django_user_model):
    owner = django_user_model.objects.create_user("ann")
    pks = [Question.objects.create(question_text=text, owner=owner).pk for text in "ab"]
    owner.delete()
    deleted = [pk for pk, operation in recorder.of(Question) if operation == "delete"]
    assert sorted(deleted) == pks


def test_a_parent_finds_a_child_that_has_a_key_of_its_own(recorder):
    changes.watch(Leaf)
    Node.objects.create(name="other", code="other")  # so that the keys differ
    leaf = Leaf.objects.create(name="a", code="a")
    Node.objects.get(code="a").save()
    assert recorder.of(Leaf) == [(leaf.pk, "create"), (leaf.pk, "update")]


@pytest.mark.parametrize("model", [Survey, Question])
def test_fixtures_are_changes(recorder, model):
    survey = Survey.objects.create(question_text="a", audience="all")
    pk = survey.pk
    fixture = serializers.serialize("json", [survey.question_ptr, survey])
    survey.delete()
    before = len(recorder.of(model))
    for row in serializers.deserialize("json", fixture):
        row.save()
    loaded = recorder.of(model)[before:]
    assert loaded[0] == (pk, "create")
    # No row without a key, which no read could ask for.
    assert {key for key, _ in loaded} == {pk}


@pytest.mark.parametrize(
    ("model", "saved", "named"),
    [
        (Question, "5", 5),
        (Document, "550E8400-E29B-41D4-A716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        (Document, "550e8400e29b41d4a716446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        (Tag, 5, "5"),
    ],
)
def test_a_key_is_named_as_the_row_has_it_when_it_is_read(recorder, model, saved, named):
    model.objects.create(pk=saved)
    assert recorder.of(model) == [(named, "create")]


def test_deletes_of_other_models_stay_fast():
    """A listener to all models would have Django fetch each row before it is deleted."""

    def queries(rows: int) -> list[str]:
        Session.objects.bulk_create(
            Session(session_key=str(number), expire_date=timezone.now()) for number in range(rows)
        )
        with CaptureQueriesContext(connections["default"]) as captured:
            Session.objects.all().delete()
        return [query["sql"] for query in captured]

    changes.watch(Question)
    assert len(queries(1)) == len(queries(30))


def test_a_log_that_fails_fails_no_save(recorder, monkeypatch, caplog):
    def fail(topic, changes, ring):
        raise OSError("the log is away")

    monkeypatch.setattr(recorder.log, "publish", fail)
    monkeypatch.setattr("channels_api.logs._last", {})
    for text in "abc":
        Question.objects.create(question_text=text)
    assert Question.objects.count() == 3
    told = [record for record in caplog.records if "could not be published" in record.message]
    assert len(told) == 1


def test_a_hub_whose_loop_is_gone_fails_no_save(recorder):
    loop = asyncio.new_event_loop()

    async def make_hub():
        return hub.get_hub()

    loop.run_until_complete(make_hub())
    loop.close()
    question = Question.objects.create(question_text="a")
    assert recorder.of(Question) == [(question.pk, "create")]


def test_the_log_has_what_hubs_are_rung_for(recorder):
    """From any thread: each ring carries its change and its number."""

    async def listen() -> list:
        heard = []
        mine = hub.get_hub()
        reader = SimpleNamespace(topic=changes.topic_of(Question, "default"), user_topic=None)
        await mine.hold(reader)
        mine.hear = heard.extend
        await asyncio.to_thread(create)
        return heard

    def create() -> None:
        Question.objects.create(question_text="a")
        connections.close_all()

    [hint] = asyncio.run(listen())
    pk = Question.objects.get().pk
    assert hint.change == Change(pk, "create")
    assert hint.position == Position(recorder.log.epoch, 1)
