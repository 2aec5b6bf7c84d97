"""Changes that Django sends no signals for: announced by hand, or by the queryset."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.exceptions import FieldDoesNotExist, SynchronousOnlyOperation, ValidationError
from django.core.management import call_command
from django.core.serializers import serialize
from django.db import connection, connections, models, transaction
from django.db.migrations.state import ProjectState
from django.db.models import Count, F, Q
from django.db.models.functions import Upper

from channels_api.live import LiveQuerySet, LiveQuerySetMixin, achanged, changed, watch
from tests.app.models import Document, Follow, Leaf, Node, PublishedQuestion, Question, Survey, Tag
from tests.live_recorder import ANYTHING, Recorder, record
from tests.servers import ROOT

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def recorder(monkeypatch) -> Iterator[Recorder]:
    """Nothing is watched here: perhaps it is by another process."""
    yield from record(monkeypatch)


def make_nodes(*names: str, using: str = "default") -> list[Node]:
    return [Node.objects.using(using).create(name=name, code=name) for name in names]


def of(operation: str, *rows) -> list[tuple]:
    return sorted((row.pk, operation) for row in rows)


# changed


def test_rows_are_announced_by_their_keys(recorder):
    changed(Question, [3, "1", 3])
    changed(Document, pks=(each for each in ["550E8400-E29B-41D4-A716-446655440000"]))
    changed(Document, {uuid.UUID(int=1)})
    changed(Tag, ["a/b"])
    assert recorder.of(Question) == [(3, "look"), (1, "look")]
    assert recorder.of(Document) == [
        ("550e8400-e29b-41d4-a716-446655440000", "look"),
        ("00000000-0000-0000-0000-000000000001", "look"),
    ]
    assert recorder.of(Tag) == [("a/b", "look")]


def test_rows_are_announced_as_instances_and_querysets(recorder):
    a, b, c = make_nodes("a", "b", "c")
    changed(Node, [c])
    changed(Node, Node.objects.exclude(pk=c.pk).order_by("name"))
    changed(Node, Node.objects.order_by("-name")[:1])
    changed(Node, Node.objects.filter(name="a").values_list("code", flat=True))
    Follow.objects.create(fan=a, idol=b)
    changed(Node, Follow.objects.values_list("idol_id", flat=True))
    found = [pk for pk, operation in recorder.of(Node) if operation == "look"]
    assert found == [c.pk, a.pk, b.pk, c.pk, a.pk, b.pk]


def test_a_queryset_that_was_read_names_the_rows_that_it_found(recorder):
    Question.objects.create(question_text="a")
    found = Question.objects.filter(votes=0)
    pks = [question.pk for question in found]
    Question.objects.update(votes=1)
    changed(Question, found)
    assert recorder.of(Question) == [(pk, "look") for pk in pks]


def test_an_announcement_waits_for_the_commit(recorder):
    with transaction.atomic():
        changed(Question, [1])
        assert recorder.of(Question) == []
    with transaction.atomic():
        changed(Question, [2])
        changed(Question)
        transaction.set_rollback(True)
    assert recorder.of(Question) == [(1, "look")]


def test_an_announcement_adds_up_with_signals(recorder):
    watch(Question)
    with transaction.atomic():
        question = Question.objects.create(question_text="a")
        Question.objects.filter(pk=question.pk).update(votes=1)
        changed(Question, [question.pk])
    # Made, and perhaps gone again.
    assert recorder.of(Question) == [(question.pk, "replace")]


def test_any_row(recorder):
    with transaction.atomic():
        changed(Question, [0, 1])
        changed(Question)
        changed(Question, [0, 2])
    assert recorder.of(Question) == [ANYTHING]


def test_more_rows_than_are_kept_are_any_row(recorder, settings):
    settings.CHANNELS_API = {"HISTORY_SIZE": 3}
    changed(Question, range(3))
    changed(Tag, map(str, range(4)))
    make_nodes("a", "b", "c", "d")
    changed(Node, Node.objects.all())
    assert recorder.of(Question) == [(0, "look"), (1, "look"), (2, "look")]
    assert recorder.of(Tag) == [ANYTHING]
    assert recorder.of(Node) == [ANYTHING]


def test_no_rows_are_no_change(recorder):
    with transaction.atomic():
        changed(Question, [])
        changed(Question, [None])
        changed(Question, Question.objects.none())
        assert connection.run_on_commit == []
    assert recorder.of(Question) == []


def test_parents_and_children_are_announced_as_well(recorder):
    changed(Survey, [1])
    changed(Question, [2])
    changed(Node, [3])
    changed(PublishedQuestion, [4])
    # A question that is not there need not have been a survey.
    assert recorder.of(Question) == [(1, "look"), (2, "look"), (4, "look")]
    assert recorder.of(Survey) == [(1, "look"), (2, "update"), (4, "update")]
    assert recorder.of(Leaf) == [ANYTHING]
    recorder.clear()
    changed(Survey)
    changed(Leaf, [5])
    assert recorder.of(Question) == [ANYTHING]
    assert recorder.of(Survey) == [ANYTHING]
    assert recorder.of(Leaf) == [(5, "look")]
    assert recorder.of(Node) == [ANYTHING]


def test_a_database_is_named_or_that_of_writes(recorder):
    changed(Question, [1], using="other")
    assert recorder.of(Question) == []
    assert recorder.of(Question, "other") == [(1, "look")]


def test_the_model_of_a_migration_stands_for_the_real_one(recorder):
    state = ProjectState.from_apps(Question._meta.apps)
    changed(state.apps.get_model("app", "Question"), [1])
    assert recorder.of(Question) == [(1, "look")]
    assert recorder.of(Survey) == [(1, "update")]


class Abstract(models.Model):
    class Meta:
        app_label = "app"
        abstract = True


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((None,), TypeError, "takes a model with a table, not None"),
        (("app.Question",), TypeError, "takes a model with a table, not 'app.Question'"),
        ((int,), TypeError, "takes a model with a table, not <class 'int'>"),
        ((Abstract,), TypeError, "takes a model with a table"),
        ((Tag, "abc"), TypeError, "pks are several keys, not 'abc'"),
        ((Question, 5), TypeError, "not iterable"),
        ((Question, [Tag("a")]), TypeError, r"<Tag: a> is no app\.Question"),
        ((Question, ["a"]), ValidationError, "must be an integer"),
    ],
)
def test_what_can_not_be_announced(recorder, arguments, error, message):
    with pytest.raises(error, match=message):
        changed(*arguments)


async def test_async_code_announces_with_its_twin(recorder):
    with pytest.raises(SynchronousOnlyOperation):
        changed(Question, [1])
    await achanged(Question, [2])
    await achanged(Question, [3], using="other")
    assert recorder.of(Question) == [(2, "look")]
    assert recorder.of(Question, "other") == [(3, "look")]


# update


def test_an_update_is_announced(recorder):
    a, b, _ = make_nodes("a", "b", "c")
    assert Node.objects.filter(name__lte="b").update(name=F("code")) == 2
    assert sorted(recorder.of(Node)) == of("update", a, b)


def test_an_update_of_no_rows_is_none(recorder):
    assert Node.objects.filter(name="x").update(name="y") == 0
    assert Node.objects.filter(name="x").update(id=1) == 0
    assert recorder.of(Node) == []


def test_an_update_that_its_own_condition_excludes(recorder):
    """What was found, not what is found afterwards."""
    [node] = make_nodes("a")
    found = Node.objects.filter(name="a")
    assert [each.name for each in found] == ["a"]
    assert found.update(name="b") == 1
    assert recorder.of(Node) == of("update", node)
    assert list(found) == []


def test_rows_that_come_in_between_are_left_for_the_next_update(recorder):
    """An update of rows that are not announced would be told to nobody."""
    make_nodes("a")

    def come_in_between(execute, sql, *args):
        if sql.startswith("UPDATE"):
            execute("INSERT INTO app_node (name, code) VALUES ('a', 'late')", None, False, {})
        return execute(sql, *args)

    with connections["default"].execute_wrapper(come_in_between):
        assert Node.objects.filter(name="a").update(name="b") == 1
    assert set(Node.objects.values_list("code", "name")) == {("a", "b"), ("late", "a")}


@pytest.mark.parametrize(
    "found",
    [
        Node.objects.all,
        lambda: Node.objects.order_by("name").distinct(),
        lambda: Node.objects.select_related("above").only("name"),
        Node.objects.select_for_update,
        lambda: Node.objects.filter(Q(fans__name="b") | Q(fans__name="c")),
        lambda: Node.objects.annotate(fame=Count("fans")).filter(fame=2),
        lambda: Node.objects.annotate(loud=Upper("name")).order_by("-loud").filter(loud="A"),
        lambda: Node.objects.filter(name="a").values("code"),
        lambda: Node.objects.filter(name="a") | Node.objects.filter(name="x"),
    ],
)
def test_an_update_does_what_django_does(recorder, found):
    """Of whatever is found, Django's count and Django's rows."""
    a, b, c = make_nodes("a", "b", "c")
    a.fans.set([b, c])
    recorder.clear()
    with transaction.atomic():
        expected = models.QuerySet.update(found(), name="z")
        rows = list(Node.objects.filter(name="z"))
        transaction.set_rollback(True)
    assert expected
    assert found().update(name="z") == expected
    assert list(Node.objects.filter(name="z")) == rows
    assert sorted(recorder.of(Node)) == of("update", *rows)


def test_an_update_with_a_limit_is_refused(recorder):
    make_nodes("a")
    with pytest.raises(TypeError, match="Cannot update a query once a slice has been taken"):
        Node.objects.all()[:1].update(name="b")
    with pytest.raises(FieldDoesNotExist):
        Node.objects.update(nonsense=1)
    assert recorder.of(Node) == []


def test_an_update_of_more_than_are_kept_is_any_row(recorder, settings):
    settings.CHANNELS_API = {"HISTORY_SIZE": 2}
    make_nodes("a", "b", "c")
    assert Node.objects.update(name="x") == 3
    assert recorder.of(Node) == [ANYTHING]
    recorder.clear()
    assert Node.objects.exclude(code="a").update(name="y") == 2
    assert len(recorder.of(Node)) == 2


def test_a_row_that_is_found_twice_is_one(recorder, settings):
    settings.CHANNELS_API = {"HISTORY_SIZE": 1}
    a, b, c = make_nodes("a", "b", "c")
    a.fans.set([b, c])
    assert Node.objects.filter(fans__name__in=["b", "c"]).update(name="x") == 1
    assert recorder.of(Node) == of("update", a)


class ReadsElsewhere:
    """As where reads go to a replica."""

    def db_for_read(self, model, **hints):
        return "other"

    def db_for_write(self, model, **hints):
        return "default"


def test_an_update_looks_where_it_writes(recorder, settings):
    [node] = make_nodes("a")
    settings.DATABASE_ROUTERS = [ReadsElsewhere()]
    assert Node.objects.update(name="b") == 1
    assert recorder.of(Node) == of("update", node)


def test_an_update_of_keys_is_any_row(recorder):
    [node] = make_nodes("a")
    assert Node.objects.update(id=node.pk + 100) == 1
    assert recorder.of(Node) == [ANYTHING]


def test_an_update_waits_for_the_commit(recorder):
    [node] = make_nodes("a")
    with transaction.atomic():
        Node.objects.update(name="b")
        assert recorder.of(Node) == []
    with transaction.atomic():
        Node.objects.update(name="c")
        transaction.set_rollback(True)
    assert recorder.of(Node) == of("update", node)


def test_an_update_on_another_database(recorder):
    [node] = make_nodes("a", using="other")
    assert Node.objects.using("other").update(name="b") == 1
    assert recorder.of(Node) == []
    assert recorder.of(Node, "other") == of("update", node)


# bulk_create and bulk_update


def test_created_rows_are_announced(recorder):
    made = Node.objects.bulk_create(Node(name=name, code=name) for name in "ab")
    assert [node.name for node in made] == ["a", "b"]
    assert recorder.of(Node) == of("create", *made)
    assert recorder.of(Leaf) == []


def test_no_created_rows_are_no_change(recorder):
    assert Node.objects.bulk_create([]) == []
    upsert = {"update_conflicts": True, "update_fields": ["title"], "unique_fields": ["title"]}
    assert LiveQuerySet(Document).bulk_create([], **upsert) == []
    assert recorder.of(Node) == recorder.of(Document) == []


def test_rows_that_were_perhaps_created_are_looked_at(recorder):
    [node] = make_nodes("a")
    rows = [Node(pk=pk, name="b", code=str(pk)) for pk in (node.pk, node.pk + 1)]
    Node.objects.bulk_create(rows, ignore_conflicts=True)
    assert recorder.of(Node) == of("look", *rows)


def test_rows_whose_keys_are_not_known_are_any_row(recorder):
    make_nodes("a")
    Node.objects.bulk_create([Node(name="b", code="a")], ignore_conflicts=True)
    assert recorder.of(Node) == [ANYTHING]


@pytest.mark.parametrize(
    ("key", "unique", "told"),
    [(None, "code", "row"), (0, "code", "any"), (0, "id", "row"), (0, "pk", "row")],
)
def test_an_upsert_is_announced(recorder, key, unique, told):
    """With `code` the row keeps its key, whatever key was given."""
    [node] = make_nodes("a")
    given = node.pk if unique in ("id", "pk") else (None if key is None else node.pk + 100)
    Node.objects.bulk_create(
        [Node(pk=given, name="b", code="a")],
        update_conflicts=True,
        update_fields=["name"],
        unique_fields=[unique],
    )
    assert list(Node.objects.values_list("pk", "name")) == [(node.pk, "b")]
    assert recorder.of(Node) == ([ANYTHING] if told == "any" else of("look", node))


def test_rows_updated_in_bulk_are_announced_once(recorder):
    nodes = make_nodes("a", "b")
    for node in nodes:
        node.name = "x"
    assert Node.objects.bulk_update(nodes, ["name"], batch_size=1) == 2
    assert sorted(recorder.of(Node)) == of("update", *nodes)


def test_a_transaction_tells_each_row_once(recorder):
    watch(Node)
    with transaction.atomic():
        [a, b] = Node.objects.bulk_create(Node(name=name, code=name) for name in "ab")
        Node.objects.update(name="c")
        Node.objects.filter(pk=b.pk).delete()
    assert sorted(recorder.of(Node)) == [(a.pk, "create"), (b.pk, "delete")]


async def test_the_async_twins_are_announced(recorder):
    [node] = await Node.objects.abulk_create([Node(name="a", code="a")])
    await Node.objects.aupdate(name="b")
    await Node.objects.abulk_update([node], ["name"])
    assert recorder.of(Node) == [*of("create", node), *of("update", node), *of("update", node)]


class Own(models.QuerySet):
    def update(self, **kwargs):
        return super().update(**kwargs) + 1000


class OwnLive(LiveQuerySetMixin, Own):
    pass


def test_the_mixin_is_for_querysets_of_a_project(recorder):
    """Here one that is for a multi-table child."""
    survey = Survey.objects.create(question_text="a", audience="all")
    assert OwnLive(Survey).update(audience="few", votes=1) == 1001
    assert recorder.of(Survey) == recorder.of(Question) == of("update", survey)


@pytest.mark.parametrize("method", ["update", "bulk_create", "bulk_update", "aupdate"])
def test_templates_do_not_call_it(method):
    assert getattr(LiveQuerySet, method).alters_data is True
    assert getattr(OwnLive, method).alters_data is True


# what Django does by itself


def test_a_deleted_queryset_needs_no_announcement(recorder):
    watch(Node)
    nodes = make_nodes("a", "b")
    recorder.clear()
    Node.objects.all().delete()
    assert sorted(recorder.of(Node)) == of("delete", *nodes)


def test_related_managers_announce_what_the_default_manager_does(recorder):
    """All but `add`, which uses the model's base manager."""
    top, child = make_nodes("top", "child")
    top.below.add(child)
    assert recorder.of(Node) == []
    top.below.add(child, bulk=False)  # which saves it, but nobody watches
    top.below.remove(child)
    top.below.add(child)
    top.below.clear()
    top.below.add(child)
    top.below.set([])
    assert recorder.of(Node) == 3 * of("update", child)


def test_related_managers_announce_all_with_a_live_base_manager(recorder, monkeypatch):
    # Which is made when it is first asked for: only then is it put back for the other tests.
    assert Node._meta.base_manager
    monkeypatch.setattr(Node._meta, "base_manager_name", "objects")
    monkeypatch.delitem(Node._meta.__dict__, "base_manager")
    top, child = make_nodes("top", "child")
    top.below.add(child)
    assert recorder.of(Node) == of("update", child)
    recorder.clear()
    top.delete()
    assert recorder.of(Node) == of("update", child)


def test_saving_related_rows_one_by_one_needs_no_announcement(recorder):
    watch(Node)
    top, child = make_nodes("top", "child")
    recorder.clear()
    top.below.add(child, bulk=False)
    top.below.remove(child, bulk=False)
    top.below.set([child], bulk=False)
    top.below.clear(bulk=False)
    assert recorder.of(Node) == 4 * of("update", child)


def test_ways_to_save_that_need_no_announcement(recorder):
    """With plain querysets: `create`, `get_or_create`, `update_or_create` and F() all save."""
    watch(Question)
    question, _ = Question.objects.get_or_create(question_text="a")
    Question.objects.update_or_create(pk=question.pk, defaults={"votes": 1})
    question.votes = F("votes") + 1
    question.save(update_fields=["votes"])
    question.refresh_from_db()
    assert question.votes == 2
    assert recorder.of(Question) == [*of("create", question), *2 * of("update", question)]


def test_loaddata_needs_no_announcement(recorder, tmp_path):
    watch(Question)
    question = Question.objects.create(question_text="a")
    fixture = tmp_path / "questions.json"
    fixture.write_text(serialize("json", [question]))
    recorder.clear()
    call_command("loaddata", str(fixture), stdout=StringIO())
    assert recorder.of(Question) == of("update", question)


def test_what_has_no_signals_is_not_told(recorder):
    """The ways that the documentation says need an announcement."""
    watch(Question)
    question = Question.objects.create(question_text="a")
    recorder.clear()
    Question.objects.update(votes=1)
    Question.objects.bulk_create([Question(question_text="b")])
    Question.objects.bulk_update([question], ["votes"])
    old = ProjectState.from_apps(Question._meta.apps).apps.get_model("app", "Question")
    old.objects.get(pk=question.pk).save()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE app_question SET votes = 3")
    Question.objects.filter(pk=question.pk)._raw_delete("default")  # noqa: SLF001
    assert recorder.of(Question) == []


def test_the_public_names_need_neither_models_nor_servers():
    """A models.py imports them, before there is any model."""
    code = """
import sys
from django.conf import settings
settings.configure()
from channels_api.live import LiveQuerySet, LiveQuerySetMixin, achanged, changed, watch
found = {"celery", "redis", "channels_redis", "django.contrib.auth.models"} & sys.modules.keys()
assert not found, found
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=30)
