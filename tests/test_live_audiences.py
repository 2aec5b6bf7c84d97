"""What subscribers cost: those who see the same are read for once."""

import json
from weakref import WeakSet

import pytest
from django.contrib.auth.models import Group, User

from channels_api import readers
from channels_api.live.snapshot import read_all
from tests.app.models import Note
from tests.privacy_world import CHANNELS_API, Site, Socket, queries, rest

MANY = 1000


@pytest.fixture(autouse=True)
def alone(settings, transactional_db) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.CHANNELS_API = {**CHANNELS_API, "REVALIDATE": None}


@pytest.fixture
def site(monkeypatch):
    site = Site(monkeypatch)
    yield site
    site.close()


def classic(socket: Socket, stream: str, **frame) -> None:
    reply = socket.request(stream, "subscribe", {"action": "*"}, **frame)
    assert reply["response_status"] == 200, reply


def stateful(socket: Socket, stream: str, **data) -> dict:
    reply = socket.request(stream, "subscribe", {"action": "*", "snapshot": True, **data})
    assert reply["response_status"] == 200, reply
    return reply["data"]


def change(note: Note, text: str) -> None:
    note.text = text
    note.save()


def told(socket: Socket) -> list[tuple]:
    return [
        (each["action"], each["pk"], each["data"] and each["data"]["text"])
        for each in socket.take()
        if "snapshot" not in each
    ]


def test_a_thousand_subscribers_cost_one_query(site):
    """With state and without: one audience, one read, and each of them is told."""
    note = Note.objects.create(text="a")
    sockets = [Socket(site, None) for _ in range(MANY)]
    for number, socket in enumerate(sockets):
        data = {"action": "*", "snapshot": True} if number % 2 else {"action": "*"}
        socket.send("notes-published", "subscribe", data)
    site.drain()
    change(note, "b")
    with queries() as seen:
        site.drain()
    assert len(seen) == 1, seen
    assert all(told(socket) == [("update", note.pk, "b")] for socket in sockets)


def test_equal_subscriptions_of_a_socket_cost_one_query(site):
    note = Note.objects.create(text="a")
    socket = Socket(site, None)
    classic(socket, "notes-published")
    names = [stateful(socket, "notes-published")["subscription"] for _ in range(3)]
    change(note, "b")
    with queries() as seen:
        site.drain()
    assert len(seen) == 1, seen
    frames = socket.take()
    assert [each.get("subscription") for each in frames] == [None, *names]
    assert {json.dumps(each["data"]) for each in frames} == {
        json.dumps(rest("notes-published", None)[note.pk])
    }


def test_a_thousand_snapshots_cost_a_handful_of_reads(site):
    """All clients come back at once. A subscribe itself reads no rows either."""
    rows = [Note.objects.create(text=str(number)) for number in range(3)]
    sockets = [Socket(site, None) for _ in range(MANY)]
    with queries() as seen:
        for socket in sockets:
            socket.send("notes-published", "subscribe", {"action": "*", "snapshot": True})
        site.drain()
    # One look at which rows there are, and the snapshots.
    assert len(seen) <= 5, len(seen)
    wanted = list(rest("notes-published", None).values())
    assert len(wanted) == len(rows)
    assert all(each.frames[-1]["payload"]["data"]["snapshot"] == wanted for each in sockets)


@pytest.mark.parametrize("stream", ["notes-own", "notes-discreet"])
def test_eight_snapshots_are_read_at_a_time(site, stream, monkeypatch):
    """Of different users, so that none can be shared; a ninth waits for its turn.

    That those of the second stream can't be shared is found out by the first read.
    """
    monkeypatch.setattr(readers, "_personal", WeakSet())
    note = Note.objects.create(text="a")
    users = [User.objects.create_user(f"user {number}") for number in range(12)]
    note.readers.add(*users)
    sockets = [Socket(site, user) for user in users]
    for socket in sockets:
        socket.send(stream, "subscribe", {"action": "*", "snapshot": True})
    most = 0
    while not site.pool.is_idle:
        waiting = site.pool.next_calls()
        # Everything else first, so that all who may begin to read have their call there.
        owner = next((each for each, call in waiting.items() if not is_snapshot(call)), None)
        if owner is None:
            most = max(most, len(waiting))
            owner = next(iter(waiting))
        site.pool.begin_for(owner)
        site.end()
    assert most == 8
    shown = [each.frames[-1]["payload"]["data"]["snapshot"] for each in sockets]
    assert [[row["id"] for row in rows] for rows in shown] == [[note.pk]] * 12


def is_snapshot(call) -> bool:
    return getattr(call, "function", None) is read_all


def test_the_sockets_of_a_hundred_users_cost_a_hundred_queries(site):
    note = Note.objects.create(text="a")
    users = [User.objects.create_user(f"user {number}") for number in range(100)]
    note.readers.add(*users)
    sockets = [Socket(site, user) for _ in range(3) for user in users]
    for number, socket in enumerate(sockets):
        state = number < len(users)
        socket.send("notes-own", "subscribe", {"action": "*", "snapshot": state})
    site.drain()
    for text in "bc":
        change(note, text)
        with queries() as seen:
            site.drain()
        assert len(seen) == len(users), len(seen)
        assert all(told(socket) == [("update", note.pk, text)] for socket in sockets)


def test_a_user_who_changes_costs_the_others_nothing(site):
    """Each login saves a user: it must not have the rows of everybody read."""
    users = [User.objects.create_user(f"user {number}") for number in range(20)]
    for user in users:
        stateful(Socket(site, user), "notes-own")
    users[0].save()
    with queries() as seen:
        site.drain()
    # The user, and which rows they may see.
    assert len(seen) <= 4, seen


@pytest.mark.parametrize("shared", [True, False])
def test_the_order_of_the_keys_of_a_filter_is_no_difference(site, shared):
    note = Note.objects.create(text="a", published=True)
    socket = Socket(site, None)
    stateful(socket, "notes-published", filter={"published": True, "search": "x"})
    order = {"search": "x", "published": True} if shared else {"search": "y", "published": True}
    stateful(socket, "notes-published", filter=order)
    change(note, "b")
    with queries() as seen:
        site.drain()
    assert len(seen) == (1 if shared else 2)
    assert told(socket) == [("update", note.pk, "b")] * 2


def test_a_named_audience_is_read_once(site):
    """Two teams of three users each: two reads, and each is told of its own."""
    teams = [Group.objects.create(name=name) for name in ("one", "two")]
    notes = [Note.objects.create(text="a", team=team) for team in teams]
    sockets: list[list[Socket]] = [[], []]
    for number in range(6):
        user = User.objects.create_user(f"user {number}")
        user.groups.add(teams[number % 2])
        sockets[number % 2].append(Socket(site, user))
        stateful(sockets[number % 2][-1], "notes-team")
    change(notes[0], "b")
    with queries() as seen:
        site.drain()
    assert len(seen) == 2, seen
    assert [told(each) for each in sockets[0]] == [[("update", notes[0].pk, "b")]] * 3
    assert [told(each) for each in sockets[1]] == [[]] * 3
