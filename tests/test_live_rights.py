"""Rights that change while somebody is subscribed: what is told of it, and what is not."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from rest_framework import permissions, serializers
from rest_framework.exceptions import APIException

from channels_api.bindings import ResourceBinding
from channels_api.live.batches import collect
from channels_api.live.hub import get_hub
from channels_api.live.rows import all_rows
from channels_api.live.wish import State
from channels_api.permissions import IsAuthenticated
from tests.app.models import Question
from tests.app.serializers import QuestionSerializer
from tests.app.streams.privacy import OwnsTheKey
from tests.live_clients import Client, DatabaseReads, in_database
from tests.live_world import Reads, clockless, run_reads_in, settle

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def reads(monkeypatch, settings) -> Reads:
    """Reads happen one after another, so that a test need not wait for what may never come."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    # What is told by then was not found out by looking now and then.
    settings.CHANNELS_API = {"REVALIDATE": None}
    reads = DatabaseReads()
    run_reads_in(monkeypatch, reads)
    return reads


@pytest.fixture
def ann() -> User:
    return User.objects.create_user("ann")


@pytest.fixture
def bob() -> User:
    return User.objects.create_user("bob")


@pytest.fixture
def cid() -> User:
    return User.objects.create_user("cid")


@pytest.fixture
def row() -> Question:
    return Question.objects.create(question_text="a")


class ForUsers(ResourceBinding):
    """Looks the same to all who are logged in."""

    model = Question
    queryset = Question.objects.filter(published=True)
    serializer_class = QuestionSerializer
    permission_classes = [IsAuthenticated]


class DraftsForStaff(ForUsers):
    """What is seen depends on the user."""

    def get_queryset(self):
        return Question.objects.all() if self.user.is_staff else super().get_queryset()


class Greeted(QuestionSerializer):
    greeting = serializers.SerializerMethodField()

    class Meta:
        model = Question
        fields = ("id", "question_text", "greeting")

    def get_greeting(self, row: Question) -> str:
        return f"Hello {self.context['request'].user}"


class Greets(ForUsers):
    """No row is hidden, and each looks different to everybody."""

    queryset = Question.objects.all()
    serializer_class = Greeted


class Shared(ForUsers):
    """An audience of its own naming, whose rows are found with the user who reads for it."""

    def audience(self):
        return "all users"

    def get_queryset(self):
        return super().get_queryset() if self.user.is_authenticated else Question.objects.none()


class OfTeam(ForUsers):
    """A team is a user's first name, and with it the rows begin."""

    def audience(self):
        return self.user.first_name

    def get_queryset(self):
        return Question.objects.filter(question_text__startswith=self.user.first_name)


class HasProfile(permissions.BasePermission):
    """Fails for some users: a bug of the project."""

    def has_permission(self, request, view):
        if request.user.last_name == "without profile":
            raise RuntimeError("no profile")
        return request.user.is_authenticated


class ForProfiles(Shared):
    permission_classes = [HasProfile]


class OwnByKey(ForUsers):
    """One audience, and a permission that looks at the key."""

    permission_classes = [OwnsTheKey]

    def audience(self):
        return "all"


def change(instance: User | Question, **values: object) -> None:
    """Save values, as another request would: not in the object that the test holds."""

    def save() -> None:
        found = type(instance).objects.get(pk=instance.pk)
        for name, value in values.items():
            setattr(found, name, value)
        found.save()

    in_database(save)


def create(text: str, **values: object) -> Question:
    return in_database(lambda: Question.objects.create(question_text=text, **values))


def deactivate(user: User) -> None:
    change(user, is_active=False)


def is_anybody_subscribed() -> bool:
    return bool(get_hub()._topics)  # noqa: SLF001


# the user of an audience


@clockless
async def test_the_reader_of_a_closed_tab_reads_for_nobody(ann, row):
    """Its user is not loaded again, so it would see for ever what it saw when it was closed."""
    change(ann, is_staff=True)
    change(row, published=False)
    tab, closed = Client(ann), Client(ann)
    for client in (tab, closed):
        await client.subscribe(DraftsForStaff)
    closed.hang_up()
    change(ann, is_staff=False)
    await settle()
    assert tab.told() == [("delete", row.pk, None)]
    change(row, question_text="for staff")
    await settle()
    assert tab.told() == []


@clockless
@pytest.mark.parametrize("pks", ["all rows", "a row"])
async def test_all_tabs_of_a_user_end_with_the_user(ann, row, pks):
    tabs = [Client(ann), Client(ann)]
    for tab in tabs:
        await tab.subscribe(DraftsForStaff, row.pk if pks == "a row" else None)
    deactivate(ann)
    await settle()
    assert [tab.told() for tab in tabs] == [[("delete", row.pk, None)]] * 2
    assert not is_anybody_subscribed()
    change(row, question_text="b")
    await settle()
    assert [tab.told() for tab in tabs] == [[]] * 2


@clockless
async def test_a_personal_audience_without_hidden_rows_ends_with_its_user(ann, row):
    """Deletes are told there to all: not to those who may not use the stream any more."""
    classic, stateful = Client(ann), Client(ann)
    await classic.subscribe(Greets)
    await stateful.keep(Greets, State())
    change(row, question_text="b")
    await settle()
    assert classic.told() == stateful.told() == [("update", row.pk, "b")]
    deactivate(ann)
    await settle()
    assert classic.told() == []
    assert stateful.told() == [("reset", "forbidden", [])]
    in_database(Question.objects.filter(pk=row.pk).delete)
    await settle()
    assert classic.told() == stateful.told() == []
    assert not is_anybody_subscribed()


@clockless
@pytest.mark.parametrize("binding", [ForUsers, Shared])
async def test_others_go_on_when_the_newest_member_is_deactivated(ann, bob, row, binding):
    """It was the one that had read for them."""
    first, newest = Client(ann), Client(bob)
    for client in (first, newest):
        await client.subscribe(binding)
    deactivate(bob)
    await settle()
    assert (first.told(), newest.told()) == ([], [("delete", row.pk, None)])
    change(row, question_text="b")
    await settle()
    assert (first.told(), newest.told()) == ([("update", row.pk, "b")], [])


@clockless
async def test_a_user_who_moves_to_another_team_sees_nothing_of_the_old_one(ann, bob):
    """And the old team nothing of the new one, whoever reads for it."""
    for user in (ann, bob):
        change(user, first_name="red")
    red = create("red 1")
    stays, moves = Client(ann), Client(bob)
    for client in (stays, moves):
        await client.subscribe(OfTeam)
    change(bob, first_name="blue")
    await settle()
    assert (stays.told(), moves.told()) == ([], [("delete", red.pk, None)])
    create("blue 1")
    new = create("red 2")
    await settle()
    assert (stays.told(), moves.told()) == ([("create", new.pk, "red 2")], [])


@clockless
async def test_what_is_read_with_the_eyes_of_who_moves_is_not_known_to_the_others(reads, ann, bob):
    """It would be told as deleted: the keys of another team's rows."""
    for user in (ann, bob):
        change(user, first_name="red")
    red, _ = create("red 1"), create("blue 1")
    stays, moves = Client(ann), Client(bob)
    await stays.keep(OfTeam, State())
    await moves.subscribe(OfTeam)
    reads.parking = True
    in_database(lose_changes)
    await settle()
    change(bob, first_name="blue")
    await settle()
    hand_over(reads, 0)  # ann
    await settle()
    future, renew = reads.parked.pop()  # bob
    may_stay = renew()
    hand_over(reads)  # the snapshot, with the eyes of bob
    await settle()
    reads.parking = False
    future.set_result(may_stay)
    await settle()
    [(action, _, snapshot), *more] = stays.told()
    assert (action, [each["id"] for each in snapshot], more) == ("reset", [red.pk], [])
    assert moves.told() == [("delete", red.pk, None)]


@clockless
@pytest.mark.parametrize("pks", ["all rows", "a row"])
async def test_a_look_with_the_eyes_of_who_moves_is_not_known_to_the_others(reads, ann, bob, pks):
    """Another audience that the socket is in has found out first."""
    for user in (ann, bob):
        change(user, first_name="red")
    red, _ = create("red 1"), create("blue 1")
    row = red.pk if pks == "a row" else None
    stays, moves = Client(ann), Client(bob)
    await stays.subscribe(OfTeam, row)
    await moves.subscribe(OfTeam, row)
    await moves.keep(Greets, State())
    reads.parking = True
    in_database(change_rules)
    await settle()
    while "visible" not in str(reads.parked[0]):
        hand_over(reads)  # the users
        await settle()
    change(bob, first_name="blue")
    await settle()
    hand_over(reads)  # bob, for the other audience
    await settle()
    reads.parking = False
    hand_over(reads)  # what can be seen, with the eyes of bob
    await settle()
    assert (stays.told(), moves.told()) == ([], [("delete", red.pk, None)])


@clockless
async def test_a_permission_that_fails_for_one_member_is_a_refusal_of_that_one(ann, bob, cid, row):
    """The others are judged all the same: one loses the right, one keeps it."""
    without, leaves, stays = (Client(each) for each in (ann, bob, cid))
    for client in (without, leaves, stays):
        await client.subscribe(ForProfiles)
    change(ann, last_name="without profile")
    deactivate(bob)  # before anybody was looked at
    await settle()
    gone = [("delete", row.pk, None)]
    assert (without.told(), leaves.told(), stays.told()) == (gone, gone, [])
    change(row, question_text="b")
    await settle()
    told = [("update", row.pk, "b")]
    assert (without.told(), leaves.told(), stays.told()) == ([], [], told)


@clockless
@pytest.mark.parametrize("lost", [0, 1])
async def test_a_row_that_is_refused_does_not_cost_the_socket_its_others(ann, bob, lost):
    """The rows share an audience and a socket, and each is judged on its own."""
    rows = [create("a", owner=ann) for _ in range(2)]
    client = Client(ann)
    for each in rows:
        await client.subscribe(OwnByKey, each.pk)
    kept = rows[1 - lost]
    # Which is not told of.
    in_database(lambda: Question.objects.filter(pk=rows[lost].pk).update(owner=bob))
    change(ann, last_name="b")
    await settle()
    assert client.told() == [("delete", rows[lost].pk, None)]
    for each in rows:
        change(each, question_text="c")
    await settle()
    assert client.told() == [("update", kept.pk, "c")]


@clockless
async def test_a_view_that_can_not_be_read_costs_nobody_the_look_at_a_lost_right(reads, ann, row):
    """Which was lost while the view was being read."""
    tab = Client(ann)
    await tab.subscribe(DraftsForStaff)
    reads.parking = True
    change(ann, last_name="b")
    await settle()
    future, renew = reads.parked.pop()
    future.set_result(renew())
    await settle()
    future, _ = reads.parked.pop()  # of the view
    deactivate(ann)
    reads.parking = False
    future.set_exception(OSError("the database is away"))
    await settle()
    assert tab.told() == [("delete", row.pk, None)]
    assert not is_anybody_subscribed()


def change_rules() -> None:
    """It is in doubt what any user may see."""
    group, permission = Group.objects.create(name="a"), Permission.objects.first()
    group.permissions.add(permission)


def lose_changes() -> None:
    """What has happened to the rows can't be told."""
    collect(all_rows(Question, "default"), "default")


def hand_over(reads: Reads, which: int = -1) -> None:
    """Let one of the reads that wait be made."""
    future, read = reads.parked.pop(which)
    future.set_result(read())


@clockless
@pytest.mark.parametrize("happens", [change_rules, lose_changes])
async def test_a_look_goes_on_where_the_audience_is_split_meanwhile(reads, ann, bob, row, happens):
    class GreetsForUsers(ForUsers):
        serializer_class = Greeted  # of which it is not known yet that it is personal

    hidden = create("hidden")
    clients = [Client(ann), Client(bob)]
    for client in clients:
        await client.subscribe(GreetsForUsers)
    reads.parking = True
    change(row, question_text="b")
    await settle()
    # Which is not told of.
    in_database(lambda: Question.objects.filter(pk=hidden.pk).update(published=False))
    in_database(happens)
    await settle()
    hand_over(reads, 0)  # the changed row
    await settle()
    while len(reads.parked) > 1:
        hand_over(reads)  # the row once more
        await settle()
    reads.parking = False
    hand_over(reads)  # the first of the users
    await settle()
    for client in clients:
        assert sorted(client.told()) == [("delete", hidden.pk, None), ("update", row.pk, "b")]


# the user of a subscribe


@clockless
async def test_a_user_who_was_deactivated_before_can_not_subscribe(ann, row):
    """The socket was opened long ago."""
    client = Client(ann)
    deactivate(ann)
    await settle()
    for subscribe in (
        lambda: client.subscribe(ForUsers),
        lambda: client.subscribe(DraftsForStaff, row.pk),
        lambda: client.keep(ForUsers, State()),
    ):
        with pytest.raises(APIException):
            await subscribe()
    assert client.told() == []
    assert not is_anybody_subscribed()


# The reads of a subscribe: of the user, then of the row or of what is visible; then a snapshot.
OF_USER, OF_ROWS, OF_SNAPSHOT = range(3)


async def subscribe_while(
    reads: Reads, nth: int, subscribing: Awaitable, happens: Callable[[], None]
) -> BaseException | None:
    """Let something happen before a read of a subscribe is answered; what the subscribe raises."""
    reads.parking = True
    task = asyncio.ensure_future(subscribing)
    for each in range(nth + 1):
        await settle()
        future, read = reads.parked.pop()
        found = read()
        if each == nth:
            reads.parking = False
            happens()
            await settle()
        future.set_result(found)
    await asyncio.wait([task])
    await settle()
    return task.exception()


@clockless
@pytest.mark.parametrize("binding", [ForUsers, DraftsForStaff, Shared])
async def test_a_user_who_is_deactivated_while_subscribing_is_refused(reads, ann, row, binding):
    client = Client(ann)
    subscribing = client.subscribe(binding)
    error = await subscribe_while(reads, OF_ROWS, subscribing, lambda: deactivate(ann))
    assert isinstance(error, APIException)
    assert client.told() == []
    assert not is_anybody_subscribed()


@clockless
async def test_a_user_who_is_deactivated_while_a_snapshot_is_read_is_refused(reads, ann, row):
    """The reply must not say 200, and nothing may come before it."""
    client = Client(ann)
    subscribing = client.keep(DraftsForStaff, State())
    error = await subscribe_while(reads, OF_SNAPSHOT, subscribing, lambda: deactivate(ann))
    assert isinstance(error, APIException)
    assert client.told() == []
    assert not is_anybody_subscribed()


@clockless
@pytest.mark.parametrize("binding", [ForUsers, DraftsForStaff, Shared])
@pytest.mark.parametrize("nth", [OF_USER, OF_ROWS])
async def test_a_user_who_is_deactivated_while_a_row_is_looked_up_is_told_of_its_end(
    reads, ann, row, binding, nth
):
    """The subscription is no part of the audience yet, whose members are looked at."""
    client = Client(ann)
    subscribing = client.subscribe(binding, row.pk)
    await subscribe_while(reads, nth, subscribing, lambda: deactivate(ann))
    change(row, question_text="b")
    await settle()
    assert client.told() == [("delete", row.pk, None)]
    assert not is_anybody_subscribed()


@clockless
async def test_a_user_who_is_deactivated_before_the_topics_are_held_is_refused(ann, row):
    """Nobody hears of it: what was read of the user before is too old."""
    client = Client(ann)
    reader = client.reader(DraftsForStaff)
    deactivate(ann)
    with pytest.raises(APIException):
        await client.subscriptions.add(reader, "*", None)
    assert not is_anybody_subscribed()


class SecretsForStaff(QuestionSerializer):
    def to_representation(self, row: Question) -> dict:
        shown = super().to_representation(row)
        return shown if self.context["request"].user.is_staff else {**shown, "question_text": ""}


@clockless
async def test_what_was_read_before_a_right_was_lost_is_not_shown_after_a_split(
    reads, ann, bob, row
):
    class Secrets(ForUsers):
        serializer_class = SecretsForStaff  # of which it is not known yet that it is personal

    change(ann, is_staff=True)
    await Client(bob).subscribe(Secrets)
    keeping = asyncio.ensure_future(Client(ann).keep(Secrets, State()))
    # Of the user, of what all are shown, and of what ann is shown.
    await subscribe_while(reads, 2, keeping, lambda: change(ann, is_staff=False))
    assert [each["question_text"] for each in keeping.result()["snapshot"]] == [""]


# what it costs


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    """The first words of the SQL that is run meanwhile."""
    seen: list[str] = []

    def see(execute, sql, params, many, context):
        seen.append(sql.split()[0])
        return execute(sql, params, many, context)

    in_database(lambda: connection.execute_wrappers.append(see))
    yield seen
    in_database(lambda: connection.execute_wrappers.remove(see))


@clockless
async def test_users_whom_nobody_subscribes_as_cost_no_reads(ann, bob, row):
    for binding in (ForUsers, DraftsForStaff, Shared):
        await Client(ann).subscribe(binding)
    with statements() as seen:
        in_database(bob.save)
        in_database(User(username="new").save)
        await settle()
    assert seen == ["UPDATE", "INSERT"]
    with statements() as seen:
        in_database(ann.save)
        await settle()
    assert len(seen) > 1  # else reads are not seen here


@clockless
async def test_a_user_who_is_saved_often_at_once_is_looked_at_twice_at_most(ann, row):
    """Once, and once more for what came while that was done."""
    await Client(ann).subscribe(ForUsers)
    with statements() as seen:
        for _ in range(20):
            in_database(ann.save)
        await settle()
    assert 1 <= seen.count("SELECT") <= 2
