"""Rows that change with others: many-to-many relations, and deletes of what they refer to."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import OperationalError, connections, transaction
from django.db.models import QuerySet
from django.db.models.signals import pre_delete
from django.test.utils import CaptureQueriesContext

from channels_api.live import watch
from channels_api.live.users import watch_users
from tests.app.models import Follow, Leaf, Node, Question
from tests.live_recorder import ANYTHING, Recorder, record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def recorder(monkeypatch) -> Iterator[Recorder]:
    yield from record(monkeypatch)


def updates(*rows) -> list[tuple]:
    """That each of these rows was updated, in the order of their keys."""
    return sorted((row.pk, "update") for row in rows)


def make_nodes(*names: str) -> list[Node]:
    return [Node.objects.create(name=name, code=name) for name in names]


# many-to-many with a table of Django's: users and their groups


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann")


@pytest.fixture
def bob(db) -> User:
    return User.objects.create_user("bob")


@pytest.fixture
def staff(db) -> Group:
    return Group.objects.create(name="staff")


@pytest.mark.parametrize("watched", [(User,), (Group,), (User, Group)])
@pytest.mark.parametrize(
    "change",
    [
        lambda ann, staff: ann.groups.add(staff),
        lambda ann, staff: ann.groups.add(str(staff.pk)),
        lambda ann, staff: ann.groups.set([staff]),
        lambda ann, staff: staff.user_set.add(ann),
        lambda ann, staff: staff.user_set.set([ann], clear=True),
    ],
    ids=["add", "add-text", "set", "reverse-add", "reverse-set"],
)
def test_both_ends_change_as_far_as_they_are_watched(recorder, ann, staff, watched, change):
    for model in watched:
        watch(model)
    change(ann, staff)
    assert recorder.of(User) == (updates(ann) if User in watched else [])
    assert recorder.of(Group) == (updates(staff) if Group in watched else [])


@pytest.mark.parametrize(
    "change",
    [
        lambda ann, staff: ann.groups.remove(staff),
        lambda ann, staff: ann.groups.remove(str(staff.pk)),
        lambda ann, staff: ann.groups.set([]),
        lambda ann, staff: ann.groups.clear(),
        lambda ann, staff: staff.user_set.remove(ann),
        lambda ann, staff: staff.user_set.set([]),
        lambda ann, staff: staff.user_set.clear(),
    ],
    ids=["remove", "remove-text", "set", "clear", "reverse-remove", "reverse-set", "reverse-clear"],
)
def test_both_ends_change_when_they_part(recorder, ann, bob, staff, change):
    watch(User)
    watch(Group)
    Group.objects.create(name="others").user_set.add(bob)
    ann.groups.add(staff)
    recorder.clear()
    change(ann, staff)
    assert recorder.of(User) == updates(ann)
    assert recorder.of(Group) == updates(staff)


def test_what_was_related_before_does_not_change(recorder, ann, staff):
    watch(User)
    ann.groups.add(staff)
    recorder.clear()
    ann.groups.add(staff)
    ann.groups.set([staff])
    assert recorder.of(User) == []


def test_relations_are_told_with_their_transaction(recorder, ann, staff):
    watch(User)
    with transaction.atomic():
        ann.groups.add(staff)
        with transaction.atomic():
            ann.groups.clear()
            transaction.set_rollback(True)
        assert recorder.of(User) == []
    with transaction.atomic():
        ann.groups.clear()
        transaction.set_rollback(True)
    assert recorder.of(User) == updates(ann)


def test_a_row_that_is_created_with_relations_is_created_once(recorder, staff):
    watch(User)
    with transaction.atomic():
        carl = User.objects.create_user("carl")
        carl.groups.add(staff)
    assert recorder.of(User) == [(carl.pk, "create")]


def test_relations_on_another_database(recorder):
    watch(User)
    watch(Group)
    carl = User.objects.using("other").create(username="carl")
    others = Group.objects.using("other").create(name="others")
    recorder.clear()
    others.user_set.add(carl)
    others.user_set.clear()
    assert recorder.of(User, "other") == [*updates(carl), *updates(carl)]
    assert recorder.of(Group, "other") == [*updates(others), *updates(others)]
    assert recorder.of(User) == recorder.of(Group) == []


async def test_relations_from_async_code(recorder, ann, staff):
    watch(User)
    await ann.groups.aadd(staff)
    await ann.groups.aclear()
    assert recorder.of(User) == [*updates(ann), *updates(ann)]


def test_a_clear_with_too_many_to_name(recorder, settings, ann, bob, staff):
    settings.CHANNELS_API = {"HISTORY_SIZE": 1}
    staff.user_set.set([ann, bob])
    watch(User)
    staff.user_set.clear()
    assert recorder.of(User) == [ANYTHING]


def test_a_clear_is_not_failed_by_what_looks_on(recorder, monkeypatch, caplog, ann, staff):
    ann.groups.add(staff)
    watch(User)

    def fail_reads(execute, sql, *args):
        if sql.startswith("SELECT"):
            raise OperationalError("no reads today")
        return execute(sql, *args)

    monkeypatch.setattr("channels_api.logs._last", {})
    with connections["default"].execute_wrapper(fail_reads):
        staff.user_set.clear()
    assert not ann.groups.exists()
    assert recorder.of(User) == [ANYTHING]
    assert "Rows of auth.User that changed could not be read" in caplog.text


# many-to-many with itself


def test_friends_are_friends_of_each_other(recorder):
    watch(Node)
    a, b, c = make_nodes("a", "b", "c")
    a.friends.add(b)
    recorder.clear()
    a.friends.add(c)
    assert sorted(recorder.of(Node)) == updates(a, c)
    recorder.clear()
    b.friends.clear()
    assert sorted(recorder.of(Node)) == updates(a, b)


def test_a_child_of_the_model_is_a_row_of_it(recorder):
    """The child has a key of its own, so that what it is to others is not known."""
    watch(Node)
    watch(Leaf)
    node, _ = make_nodes("a", "b")
    leaf = Leaf.objects.create(name="leaf", code="leaf")
    recorder.clear()
    leaf.friends.add(node)
    assert sorted(recorder.of(Node)) == sorted([(leaf.node_id, "update"), (node.pk, "update")])
    assert recorder.of(Leaf) == [ANYTHING]
    recorder.clear()
    node.friends.remove(leaf.node)
    assert sorted(recorder.of(Node)) == sorted([(leaf.node_id, "update"), (node.pk, "update")])


# many-to-many with a table of the project's own, one column of which is no key


@pytest.mark.parametrize(
    "change",
    [
        lambda fan, idol: fan.idols.add(idol),
        lambda fan, idol: idol.fans.add(fan),
        lambda fan, idol: Follow.objects.create(fan=fan, idol=idol),
        lambda fan, idol: Follow(fan_id=fan.code, idol_id=str(idol.pk)).save(),
    ],
    ids=["add", "reverse-add", "row", "row-by-key"],
)
def test_a_follower_follows(recorder, change):
    watch(Node)
    make_nodes("x")
    fan, idol = make_nodes("fan", "idol")
    recorder.clear()
    change(fan, idol)
    assert sorted(recorder.of(Node)) == updates(fan, idol)


@pytest.mark.parametrize(
    "change",
    [
        lambda fan, idol: fan.idols.remove(idol),
        lambda fan, idol: fan.idols.clear(),
        lambda fan, idol: idol.fans.remove(fan),
        lambda fan, idol: idol.fans.clear(),
        lambda fan, idol: Follow.objects.get().save(),
        lambda fan, idol: Follow.objects.get().delete(),
        lambda fan, idol: Follow.objects.all().delete(),
    ],
    ids=["remove", "clear", "reverse-remove", "reverse-clear", "save", "delete", "delete-rows"],
)
def test_a_follower_no_longer_follows(recorder, change):
    make_nodes("x")
    fan, idol = make_nodes("fan", "idol")
    fan.idols.add(idol)
    watch(Node)
    with transaction.atomic():  # a clear deletes the rows, each of which is told as well
        change(fan, idol)
    assert sorted(recorder.of(Node)) == updates(fan, idol)


def test_the_rows_between_are_rows_like_others(recorder):
    watch(Follow)
    fan, idol = make_nodes("fan", "idol")
    fan.idols.add(idol)
    follow = Follow.objects.get()
    fan.idols.clear()
    assert recorder.of(Follow) == [(follow.pk, "create"), (follow.pk, "delete")]
    assert recorder.of(Node) == []


# deletes of what rows refer to


def test_a_group_that_is_deleted_changes_its_members(recorder, ann, bob, staff):
    watch(User)
    ann.groups.add(staff)
    bob.groups.add(Group.objects.create(name="others"))
    recorder.clear()
    Group.objects.filter(pk=staff.pk).delete()
    assert recorder.of(User) == updates(ann)


def test_a_user_who_is_deleted_changes_their_groups(recorder, ann, bob, staff):
    watch(Group)
    ann.groups.add(staff)
    bob.groups.add(Group.objects.create(name="others"))
    recorder.clear()
    ann.delete()
    assert recorder.of(Group) == updates(staff)


def test_a_row_that_is_deleted_changes_its_friends_and_followers(recorder):
    watch(Node)
    a, friend, fan, idol, _ = make_nodes("a", "friend", "fan", "idol", "x")
    a.friends.add(friend)
    fan.idols.add(a)
    a.idols.add(idol)
    recorder.clear()
    pk = a.pk
    a.delete()
    assert sorted(recorder.of(Node)) == sorted([(pk, "delete"), *updates(friend, fan, idol)])


def test_set_null_changes_the_rows_that_referred(recorder):
    watch(Node)
    top, child, grandchild = make_nodes("top", "child", "grandchild")
    grandchild.above = child
    grandchild.save()
    child.above = top
    child.save()
    recorder.clear()
    pk = top.pk
    top.delete()
    assert sorted(recorder.of(Node)) == [(pk, "delete"), *updates(child)]
    child.refresh_from_db()
    assert child.above is None


def test_a_row_of_two_that_are_deleted_together_is_deleted(recorder):
    """Whatever comes first: that it lost what it referred to, or that it is gone."""
    watch(Node)
    top, child = make_nodes("top", "child")
    child.above = top
    child.save()
    top.friends.add(child)
    child.idols.add(top)
    recorder.clear()
    pks = [top.pk, child.pk]
    Node.objects.all().delete()
    # As good as a delete: the row is looked for.
    assert {pk for pk, operation in recorder.of(Node) if operation in ("delete", "look")} == {*pks}
    assert len(recorder.of(Node)) == 2


def test_what_takes_the_rows_along_is_left_alone(recorder):
    """They are deleted with signals of their own."""
    watch(Permission)
    assert not pre_delete.has_listeners(ContentType)


def test_deletes_between_users_and_groups_are_no_slower(recorder, ann):
    """The rows between are not read one by one."""

    def queries(members: int) -> int:
        group = Group.objects.create(name="many")
        group.user_set.set(User.objects.order_by("pk")[:members])
        with CaptureQueriesContext(connections["default"]) as captured:
            group.delete()
        return len(captured)

    User.objects.bulk_create(User(username=str(number)) for number in range(30))
    watch(User)
    assert queries(1) == queries(30)


# who may do what


@pytest.fixture
def permission(db) -> Permission:
    content_type = ContentType.objects.get_for_model(Question)
    return Permission.objects.create(name="Can sing", codename="sing", content_type=content_type)


@pytest.mark.parametrize(
    "change",
    [
        lambda staff, permission: staff.permissions.add(permission),
        lambda staff, permission: permission.group_set.add(staff),
        lambda staff, permission: permission.delete(),
        lambda staff, permission: QuerySet(Permission).filter(pk=permission.pk).delete(),
    ],
    ids=["add", "reverse-add", "delete", "delete-rows"],
)
def test_what_a_group_may_do_concerns_any_user(recorder, staff, permission, change):
    watch_users()
    change(staff, permission)
    assert recorder.of(User) == [ANYTHING]


def test_what_a_user_may_do_concerns_that_user(recorder, ann, bob, permission):
    watch_users()
    ann.user_permissions.add(permission)
    permission.user_set.add(bob)
    ann.user_permissions.clear()
    assert recorder.of(User) == [*updates(ann), *updates(bob), *updates(ann)]


def test_users_of_a_project_need_have_no_groups(recorder, settings, staff, permission):
    settings.AUTH_USER_MODEL = "app.Node"
    watch_users()
    [node] = make_nodes("a")
    assert recorder.of(Node) == [(node.pk, "create")]
    recorder.clear()
    staff.permissions.add(permission)
    assert recorder.of(Node) == [ANYTHING]
