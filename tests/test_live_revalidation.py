"""What may be seen changes and no row does: told within REVALIDATE, or at once with a user."""

import itertools
import logging

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import OperationalError, connection, transaction

from channels_api.live import changed
from tests.app.models import Note
from tests.privacy_world import CHANNELS_API, REVALIDATE, Site, Socket, queries, rest

MODEL_PERMISSION = "notes-model-permission"


@pytest.fixture(autouse=True)
def alone(settings, transactional_db) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.CHANNELS_API = CHANNELS_API


@pytest.fixture
def site(monkeypatch):
    site = Site(monkeypatch)
    yield site
    site.close()


@pytest.fixture
def people() -> dict[str, User]:
    """Ann and Bob, who may do everything, each in every way that is taken away below."""
    group = Group.objects.create(name="open team")
    group.permissions.add(Permission.objects.get(codename="view_note"))
    people = {name: User.objects.create_user(name, is_staff=True) for name in ("ann", "bob")}
    for user in people.values():
        user.groups.add(group)
    return people


@pytest.fixture
def team(people) -> Group:
    return Group.objects.get(name="open team")


@pytest.fixture
def notes(people, team) -> list[Note]:
    notes = [Note.objects.create(text=text, team=team) for text in ("a", "b")]
    for note in notes:
        note.readers.add(*people.values())
    return notes


class Subscriber:
    """A socket with one subscription; what it was told since."""

    def __init__(self, site: Site, user: User | None, stream: str, *, stateful: bool, pk=None):
        self.site, self.stream = site, stream
        self.socket = Socket(site, user)
        data = {"action": "*", "snapshot": True} if stateful else {"action": "*"}
        reply = self.socket.request(stream, "subscribe", data, pk)
        assert reply["response_status"] == 200, reply
        self.rows = reply["data"].get("snapshot")
        self.take()

    def take(self) -> list[tuple]:
        """Action and pk of each event, and what a reset tells."""
        return [
            (each["action"], each["reason"], each["snapshot"])
            if each["action"] == "reset"
            else (each["action"], each["pk"])
            for each in self.socket.take()
        ]

    def told(self) -> list[tuple]:
        """What comes at once: no time goes by."""
        self.site.drain()
        return sorted(self.take())


FORBIDDEN = [("reset", "forbidden", [])]
kinds = pytest.mark.parametrize("stateful", [False, True], ids=["classic", "stateful"])


def every(action: str, notes: list[Note]) -> list[tuple]:
    return [(action, note.pk) for note in notes]


@kinds
def test_a_field_of_another_model(site, people, team, notes, stateful):
    """Nobody is told that it has changed: it is found when it is looked at again."""
    Note.objects.update(owner=people["ann"])
    ann = Subscriber(site, people["ann"], "notes-open-teams", stateful=stateful)
    team.name = "closed"
    team.save()
    assert ann.told() == []
    site.pass_time(REVALIDATE)
    assert ann.told() == every("delete", notes)
    team.name = "open again"
    team.save()
    site.pass_time(REVALIDATE)
    assert ann.told() == every("create", notes)
    site.pass_time(REVALIDATE)
    assert ann.told() == []


@kinds
def test_a_row_by_a_field_of_another_model(site, people, team, notes, stateful):
    stream, note = "notes-open-teams", notes[0]
    ann = Subscriber(site, people["ann"], stream, stateful=stateful, pk=note.pk)
    for name, action in (("closed", "delete"), ("open again", "create")):
        team.name = name
        team.save()
        assert ann.told() == []
        site.pass_time(REVALIDATE)
        assert ann.told() == [(action, note.pk)]


@kinds
def test_a_row_that_its_permissions_refuse(site, people, notes, stateful):
    """Changed in silence: that they refuse it is no failure to find out."""
    stream, rows = "notes-permitted", Note.objects.filter(pk=notes[0].pk)
    ann = Subscriber(site, people["ann"], stream, stateful=stateful, pk=notes[0].pk)
    for published, action in ((False, "delete"), (True, "create")):
        rows.update(published=published)
        assert ann.told() == []
        site.pass_time(REVALIDATE)
        assert ann.told() == [(action, notes[0].pk)]


@kinds
def test_users_that_can_not_be_read(site, people, notes, stateful, caplog):
    """Nothing is told until they can be: nobody knows what is theirs to see."""
    ann = Subscriber(site, people["ann"], "notes-staff", stateful=stateful)
    bob = Subscriber(site, people["bob"], "notes-staff", stateful=stateful)
    be_no_staff(people["ann"])
    notes[0].save()

    def fail(*args):
        raise OperationalError("the database is away")

    with caplog.at_level(logging.ERROR), connection.execute_wrapper(fail):
        site.pass_time(20)
    site.pass_time(20)
    assert ann.told() == (FORBIDDEN if stateful else [])
    assert bob.told() == every("update", notes[:1])


def leave_group(user: User) -> None:
    user.groups.clear()


def lose_permission_of_group(user: User) -> None:
    Group.objects.get().permissions.clear()


def delete_group(user: User) -> None:
    Group.objects.get().delete()


def delete_permission(user: User) -> None:
    Permission.objects.get(codename="view_note").delete()


def be_deactivated(user: User) -> None:
    user.is_active = False
    user.save()


def be_no_staff(user: User) -> None:
    user.is_staff = False
    user.save()


def be_deleted(user: User) -> None:
    user.delete()


ENDS = {
    MODEL_PERMISSION: (
        *(leave_group, lose_permission_of_group, delete_group, delete_permission),
        *(be_deactivated, be_deleted),
    ),
    "notes-own": (be_deactivated, be_deleted),
    "notes-discreet": (be_deactivated, be_deleted),
    "notes-staff": (be_no_staff, be_deactivated, be_deleted),
    "notes-staff-by-name": (be_no_staff, be_deactivated, be_deleted),
    "notes-team": (be_deactivated, be_deleted),
}
CASES = [(stream, end) for stream, ends in ENDS.items() for end in ends]
#: Where everybody who may subscribe sees every row, nobody keeps a list of what was seen.
EVERY_ROW = ("notes-discreet", "notes-staff", "notes-staff-by-name")


@kinds
@pytest.mark.parametrize(("stream", "end"), CASES, ids=lambda each: getattr(each, "__name__", each))
def test_a_right_that_is_taken_away(site, people, notes, stream, end, stateful):
    """At once: rows are gone, those with state are told so, and nothing is told from then on."""
    ann = Subscriber(site, people["ann"], stream, stateful=stateful)
    end(people["ann"])
    if stateful:
        assert ann.told() == FORBIDDEN
    else:
        assert ann.told() == ([] if stream in EVERY_ROW else every("delete", notes))
    assert rest(stream, people["ann"]) == {}
    for note in Note.objects.all():
        note.save()
    site.settle()
    assert ann.told() == []
    reply = ann.socket.request(stream, "list")
    assert (reply["response_status"] in (401, 403), reply["data"]) in ((True, None), (False, []))
    reply = ann.socket.request(stream, "retrieve", pk=notes[0].pk)
    assert reply["response_status"] in (401, 403, 404)


@kinds
@pytest.mark.parametrize("stream", ["notes-staff", "notes-staff-by-name"])
def test_the_others_of_an_audience_go_on(site, people, notes, stream, stateful):
    """Whoever of them came last, and so speaks for all."""
    for gone, stays in itertools.permutations(people):
        subscribers = {
            name: Subscriber(site, people[name], stream, stateful=stateful) for name in people
        }
        be_no_staff(people[gone])
        assert subscribers[stays].told() == []
        notes[0].save()
        assert subscribers[stays].told() == every("update", notes[:1])
        assert subscribers[gone].told() == (FORBIDDEN if stateful else [])
        people[gone].is_staff = True
        people[gone].save()


@kinds
@pytest.mark.parametrize("first", ["ann", "bob"])
def test_who_leaves_a_named_audience(site, people, notes, first, stateful):
    """They are shown no more of it, and it is shown nothing with their eyes, whoever came last."""
    names = [first, *({*people} - {first})]
    subscribers = {
        name: Subscriber(site, people[name], "notes-team", stateful=stateful) for name in names
    }
    other = Group.objects.create(name="other")
    elsewhere = Note.objects.create(text="c", team=other)
    people["ann"].groups.set([other])
    for note in [*notes, elsewhere]:
        note.save()
    assert subscribers["bob"].told() == every("update", notes)
    assert subscribers["ann"].told() == (FORBIDDEN if stateful else every("delete", notes))
    # On the same socket: it is the other team's audience now.
    again = subscribers["ann"].socket.request(
        "notes-team", "subscribe", {"action": "*", "snapshot": True}
    )
    assert [row["id"] for row in again["data"]["snapshot"]] == [elsewhere.pk]


def test_a_named_audience_is_that_of_now_and_not_of_the_handshake(site, people, notes):
    socket = Socket(site, people["ann"])
    be_no_staff(people["ann"])
    Note.objects.filter(pk=notes[0].pk).update(published=False)
    subscribe = {"action": "*", "snapshot": True}
    reply = socket.request("notes-by-kind", "subscribe", subscribe)
    assert [row["id"] for row in reply["data"]["snapshot"]] == [notes[1].pk]


@pytest.mark.parametrize("stream", [MODEL_PERMISSION, "notes-own"])
def test_a_right_that_is_given(site, people, team, notes, stream):
    """Rows that can be seen now are created; here a user who could subscribe saw none of them."""
    ann = people["ann"]
    if stream == MODEL_PERMISSION:
        socket = Socket(site, ann)
        team.permissions.clear()
        subscribe = {"action": "*", "snapshot": True}
        # What the socket's user was allowed when it was opened is asked of them first.
        Subscriber(site, ann, "notes-own", stateful=True)
        socket.request("notes-own", "subscribe", subscribe)
        assert socket.request(stream, "subscribe", subscribe)["response_status"] == 403
        team.permissions.add(Permission.objects.get(codename="view_note"))
        site.drain()
        reply = socket.request(stream, "subscribe", subscribe)
        assert [row["id"] for row in reply["data"]["snapshot"]] == [note.pk for note in notes]
        return
    for note in notes:
        note.readers.clear()
    subscribers = [Subscriber(site, ann, stream, stateful=each) for each in (False, True)]
    ann.notes_to_read.set(notes)
    for each in subscribers:
        told = each.told()
        assert [one for one in told if one[0] == "create"] == every("create", notes)
        # Both the rows and the user have changed: a row may be told of twice.
        assert {*told} <= {*every("create", notes), *every("update", notes)}


@kinds
def test_rows_by_the_groups_of_a_user(site, people, team, notes, stateful):
    """At once, as a change of the user."""
    stream = "notes-by-groups"
    ann = Subscriber(site, people["ann"], stream, stateful=stateful)
    bob = Subscriber(site, people["bob"], stream, stateful=stateful)
    people["ann"].groups.remove(team)
    assert ann.told() == every("delete", notes)
    team.user_set.add(people["ann"])
    assert ann.told() == every("create", notes)
    assert bob.told() == []


@pytest.mark.parametrize("ends", list(itertools.permutations(range(3))), ids=str)
@pytest.mark.parametrize("first", ["user", "note"])
@pytest.mark.parametrize("stream", ["notes-staff", "notes-staff-by-name", "notes-team"])
def test_what_is_committed_with_the_loss_of_a_right_is_not_sent(
    site, people, notes, stream, first, ends
):
    """Also where the row is read before the user is, or told before anything is known of them."""
    ann = Subscriber(site, people["ann"], stream, stateful=True)
    with transaction.atomic():
        changes = [
            lambda: User.objects.get(username="ann").delete(),
            lambda: Note.objects.create(text="secret", team=Group.objects.get()),
        ]
        for change in changes if first == "user" else reversed(changes):
            change()
    site.tick()
    for which in ends:
        site.begin()
        site.begin()
        site.begin()
        site.end(which)
    assert ann.told() == FORBIDDEN


def touch(note: Note) -> None:
    note.save()


def announce_any(note: Note) -> None:
    changed(Note)


@pytest.mark.parametrize("begin", [touch, announce_any])
@pytest.mark.parametrize("stream", ["notes-staff", "notes-staff-by-name", "notes-team"])
def test_a_read_that_began_before_a_right_was_lost(site, people, notes, stream, begin):
    """It found what was committed with the loss, and that is heard of before its result."""
    ann = Subscriber(site, people["ann"], stream, stateful=True)
    begin(notes[0])
    site.tick()
    with transaction.atomic():
        Note.objects.update(text="secret")
        User.objects.get(username="ann").delete()
    site.begin()
    site.end()
    assert ann.told() == FORBIDDEN


@pytest.mark.parametrize("stream", ["notes-staff", "notes-staff-by-name", "notes-team"])
def test_a_snapshot_that_began_before_a_right_was_lost(site, people, notes, stream):
    """However far the subscribe has come when it is lost."""
    for calls in itertools.count():
        ann = User.objects.create_user(f"ann {calls}", is_staff=True)
        ann.groups.add(Group.objects.get())
        Note.objects.update(text="known")
        socket = Socket(site, ann)
        number = socket.send(stream, "subscribe", {"action": "*", "snapshot": True})
        for _ in range(calls):
            site.begin()
            site.end()
        if socket.frames:
            break
        with transaction.atomic():
            Note.objects.update(text="secret")
            ann.delete()
        site.begin()
        site.drain()
        assert "secret" not in str(socket.frames), calls
        assert socket.frames[0]["payload"]["request_id"] == number
        assert socket.frames[0]["payload"]["response_status"] in (401, 403), calls
    assert calls > 3


def test_a_look_at_what_may_be_seen_costs_no_rows(site, people, team):
    """Keys only, once for each audience however many rows and subscribers there are."""
    for number in range(50):
        note = Note.objects.create(text=str(number), secret="s", owner=people["ann"], team=team)
    for _ in range(5):
        Subscriber(site, people["ann"], "notes-open-teams", stateful=True)
    with queries() as seen:
        site.pass_time(REVALIDATE)
    of_notes = [sql for sql in seen if 'FROM "app_note"' in sql]
    assert len(of_notes) == 1, of_notes
    assert '"text"' not in of_notes[0]
    # Each socket's user is loaded again.
    assert len(seen) <= 6, seen
    assert note.pk


def test_never(site, people, team, notes, settings):
    settings.CHANNELS_API = {**CHANNELS_API, "REVALIDATE": None}
    Note.objects.update(owner=people["ann"])
    ann = Subscriber(site, people["ann"], "notes-open-teams", stateful=True)
    team.name = "closed"
    team.save()
    site.pass_time(10 * REVALIDATE)
    assert ann.told() == []


@kinds
def test_a_look_that_fails_is_taken_again(site, people, team, notes, stateful, caplog):
    """It is logged, and the next one finds what has changed."""
    Note.objects.update(owner=people["ann"])
    ann = Subscriber(site, people["ann"], "notes-open-teams", stateful=stateful)
    team.name = "closed"
    team.save()

    def fail(*args):
        raise OperationalError("the database is away")

    with caplog.at_level(logging.ERROR), connection.execute_wrapper(fail):
        site.pass_time(REVALIDATE)
        assert ann.told() == []
    site.pass_time(REVALIDATE)
    assert ann.told() == every("delete", notes)
