# ruff: noqa: SLF001 - the mutants are written against the insides of live
"""No frame ever holds what its user's REST view would not show.

Two users and nobody, rows that differ in who may see them, and a scheduler that Hypothesis drives.
After each commit it is noted what the REST views show to each who is subscribed. A row in a frame
must be one of those that were noted since the last quiet point, when everything had been told; the
pk of a delete must have been shown at some time; and at each quiet point a replica equals what
REST shows.
"""

import os
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from channels_api import readers, writer
from channels_api.live import changed
from channels_api.live import log as log_module
from channels_api.live.memory_log import MemoryLog
from channels_api.live.operations import DELETE, UPDATE
from channels_api.live.view import View
from tests.app.models import Note
from tests.app.streams.notes import VIEWS
from tests.privacy_world import CHANNELS_API, Rows, Site, Socket, rest

#: TEST_SEEDS=1000 for so many schedules, other ones each time.
LONG = "TEST_SEEDS" in os.environ
EXAMPLES = int(os.environ.get("TEST_SEEDS", "40"))
#: Those within which a mutant has to be noticed.
MUTANT_EXAMPLES = 100
STEPS = 40

PEOPLE = ("ann", "bob", "nobody")
MAX_ROWS, MAX_REPLICAS = 4, 5

users = st.sampled_from(PEOPLE[:2])
maybe_user = st.sampled_from((*PEOPLE[:2], None))
teams = st.sampled_from(("open one", "two", None))
number = st.integers(0, 5)
wishes = st.tuples(
    st.sampled_from((*PEOPLE, "ann", "bob")),
    st.sampled_from(sorted(VIEWS)),
    # A filter, a row, whether with state, whether on a socket that is there.
    st.sampled_from((None, None, True, False)),
    st.sampled_from((None, None, None, *range(MAX_ROWS))),
    st.sampled_from((True, True, False)),
    st.booleans(),
)


class BrokenPromiseError(AssertionError):
    """A frame, or a replica, that must not be."""


@dataclass
class Watch:
    """What REST shows somebody: now, and all that it showed since the last quiet point."""

    now: Rows = field(default_factory=dict)
    recent: dict[int, list[dict]] = field(default_factory=dict)

    def note(self, rows: Rows) -> None:
        self.now = rows
        for pk, row in rows.items():
            if row not in self.recent.setdefault(pk, []):
                self.recent[pk].append(row)

    def forget(self) -> None:
        self.recent = {pk: [row] for pk, row in self.now.items()}


Key = tuple[str, str, bool | None, int | None]


class Replica:
    """What a client has of a stream, made of nothing but frames."""

    def __init__(self, key: Key, *, stateful: bool) -> None:
        self.key, self.stateful = key, stateful
        self.person, self.stream, self.published, self.row = key
        self.rows: Rows = {}
        self.position: dict | None = None
        self.hangs_up()

    def hangs_up(self) -> None:
        self.socket: Socket | None = None
        self.request_id: int | None = None
        self.name: str | None = None
        self.is_open = False
        self.n = 0
        #: Without state, nobody is told that any row may have changed, nor which rows are gone with
        #: the right to see any.
        self.is_lost = False

    @property
    def filters(self) -> dict | None:
        return None if self.published is None else {"published": self.published}


class Machine(RuleBasedStateMachine):
    """Everything happens in steps: commits, calls in threads, frames."""

    def __init__(self) -> None:
        super().__init__()
        empty()
        self.patch = pytest.MonkeyPatch()
        log = MemoryLog()
        self.patch.setattr(log_module, "_log", lambda name: log)
        # Full with a few frames.
        self.patch.setattr(writer, "HIGH_WATER", 400)
        self.patch.setattr(writer, "LOW_WATER", 200)
        readers._personal.clear()
        self.site = Site(self.patch)
        self.users = {name: User.objects.create_user(name, is_staff=True) for name in PEOPLE[:2]}
        self.groups = {name: Group.objects.create(name=name) for name in ("open one", "two")}
        self.permission = Permission.objects.get(codename="view_note")
        self.groups["two"].permissions.add(self.permission)
        self.users["ann"].user_permissions.add(self.permission)
        self.users["ann"].groups.add(self.groups["open one"])
        self.users["bob"].groups.add(*self.groups.values())
        self.replicas: list[Replica] = []
        self.watches: dict[Key, Watch] = {}
        #: The pks that somebody was ever shown of a stream.
        self.ever: dict[tuple[str, str], set[int]] = {}
        self.rows: list[int] = []
        self.inactive_sockets: list[Socket | None] = []
        self.failure: str | None = None
        self.versions = 0
        #: Steps for which nothing happens by itself.
        self.dawdling = 0
        for owner, team in (("ann", "open one"), ("bob", "two"), (None, "open one")):
            self.create_note(owner, published=True, team=team)

    def teardown(self) -> None:
        try:
            if self.failure is None:
                self.wait_for_quiet()
        finally:
            self.site.close()
            self.patch.undo()
            empty()

    # what REST shows

    def look(self, key: Key) -> None:
        person, stream, published, row = key
        filters = None if published is None else {"published": published}
        shown = rest(stream, self.users.get(person), filters, row)
        self.watches.setdefault(key, Watch()).note(shown)
        self.ever.setdefault((person, stream), set()).update(shown)
        for replica in self.replicas if not shown else ():
            replica.is_lost |= replica.key == key and not replica.stateful

    def committed(self) -> None:
        for key in self.watches:
            self.look(key)
        self.site.tick()
        self.check()

    # frames

    def check(self) -> None:
        # Raised here: in the writer's task it would be a failure to send.
        if self.failure:
            raise BrokenPromiseError(self.failure)

    def blame(self, replica: Replica, what: str) -> None:
        self.failure = self.failure or f"{what}, for {replica.key}"

    def hear(self, socket: Socket, frame: dict) -> None:
        payload = frame["payload"]
        of_socket = [each for each in self.replicas if each.socket is socket]
        for replica in of_socket:
            if "response_status" in payload:
                if replica.request_id == payload["request_id"]:
                    self.take_reply(replica, payload)
            elif replica.stream == frame["stream"] and self.is_for(replica, payload):
                self.take_event(replica, payload)

    @staticmethod
    def is_for(replica: Replica, payload: dict) -> bool:
        if replica.stateful:
            return payload.get("subscription", 0) == replica.name
        return "subscription" not in payload and replica.row in (None, payload["pk"])

    def take_reply(self, replica: Replica, reply: dict) -> None:
        replica.request_id = None
        if reply["response_status"] != 200:
            if reply["response_status"] not in (401, 403, 404):
                self.blame(replica, f"a subscribe was answered with {reply}")
            self.replicas.remove(replica)
            return
        replica.is_open = True
        if not replica.stateful:
            # It lists what there is, now that it will be told of what changes.
            replica.rows = dict(self.watches[replica.key].now)
            return
        answer = reply["data"]
        replica.name, replica.n = answer["subscription"], 0
        replica.position = {key: answer[key] for key in ("epoch", "seq")}
        if not answer["recovered"]:
            self.replace(replica, answer["snapshot"])

    def take_event(self, replica: Replica, payload: dict) -> None:
        if not replica.is_open:
            self.blame(replica, f"{payload} came before the reply, or after the end")
            return
        if replica.stateful:
            replica.n += 1
            if payload["n"] != replica.n:
                self.blame(replica, f"{payload} is not frame {replica.n}")
            replica.position = {key: payload[key] for key in ("epoch", "seq")}
        if payload["action"] == "reset":
            self.replace(replica, payload["snapshot"] or [])
            if payload["reason"] == "forbidden":
                replica.is_open = False
        elif payload["action"] == "delete":
            if payload["pk"] not in self.ever[replica.person, replica.stream]:
                self.blame(replica, f"{payload} tells of a row that was never shown")
            replica.rows.pop(payload["pk"], None)
        else:
            self.put(replica, payload["data"])

    def replace(self, replica: Replica, snapshot: list[dict]) -> None:
        replica.rows = {}
        for row in snapshot:
            self.put(replica, row)

    def put(self, replica: Replica, row: dict) -> None:
        recent = self.watches[replica.key].recent.get(row["id"], [])
        if row not in recent:
            self.blame(replica, f"{row} was sent where REST showed {recent}")
        replica.rows[row["id"]] = row

    # the database

    def note(self, which: int) -> Note | None:
        return Note.objects.filter(pk=self.rows[which % len(self.rows)]).first()

    def new_text(self) -> str:
        self.versions += 1
        return str(self.versions)

    @rule(
        kind=st.sampled_from(("save", "save", "secret", "readers", "delete", "create", "many")),
        which=number,
        owner=maybe_user,
        flag=st.booleans(),
        team=teams,
    )
    def change_rows(
        self, kind: str, which: int, owner: str | None, flag: bool, team: str | None
    ) -> None:
        note = self.note(which)
        if kind == "create" and len(self.rows) < MAX_ROWS:
            self.create_note(owner, published=flag, team=team)
        elif kind == "many":
            with transaction.atomic():
                Note.objects.update(
                    owner=self.users.get(owner), published=flag, text=self.new_text()
                )
                # With one of the teams: any row, in so many words.
                changed(Note, None if team == "two" else Note.objects.all())
                for replica in self.replicas if team == "two" else ():
                    replica.is_lost |= not replica.stateful
        elif kind == "readers" and note is not None:
            self.change_readers(note, owner or "ann", flag, reverse=team is None)
        elif kind == "delete" and note is not None:
            note.delete()
        elif kind == "secret" and note is not None:
            self.write(note)
        elif kind == "save":
            note = note or Note(pk=self.rows[which % len(self.rows)])
            note.owner, note.team = self.users.get(owner), self.groups.get(team)
            note.published = flag
            self.write(note)
        self.committed()

    def create_note(self, owner: str | None, *, published: bool, team: str | None) -> None:
        note = Note.objects.create(
            text=self.new_text(),
            secret=self.new_text(),
            owner=self.users.get(owner),
            published=published,
            team=self.groups.get(team),
        )
        self.rows.append(note.pk)

    def write(self, note: Note) -> None:
        note.text = note.secret = self.new_text()
        note.save()

    def change_readers(self, note: Note, reader: str, reads: bool, *, reverse: bool) -> None:
        user = self.users[reader]
        near, far = (user.notes_to_read, note) if reverse else (note.readers, user)
        (near.add if reads else near.remove)(far)

    @rule(
        kind=st.sampled_from(
            ("team", "permission", "permission of team", "is_staff", "is_active", "joined")
        ),
        name=users,
        team=st.sampled_from(("open one", "two")),
        value=st.booleans(),
    )
    def change_people(self, kind: str, name: str, team: str, value: bool) -> None:
        user, group = User.objects.get(pk=self.users[name].pk), self.groups[team]
        if kind == "team":
            (user.groups.add if value else user.groups.remove)(group)
        elif kind == "permission":
            (user.user_permissions.add if value else user.user_permissions.remove)(self.permission)
        elif kind == "permission of team":
            (group.permissions.add if value else group.permissions.remove)(self.permission)
        elif kind == "joined":
            # No row changes, and no user.
            self.groups["open one"].name = "open one" if value else "closed one"
            self.groups["open one"].save()
        else:
            setattr(user, kind, value)
            user.save()
        if not user.is_active:
            theirs = [each for each in self.replicas if each.person == name]
            self.inactive_sockets += [each.socket for each in theirs]
            # Its subscriptions end, also where nobody may see the same rows.
            for replica in theirs:
                replica.is_lost |= not replica.stateful
        self.committed()

    # clients

    @initialize(several=st.lists(wishes, min_size=2, max_size=4))
    def begin_with_some(self, several: list[tuple]) -> None:
        for wish in several:
            self.subscribe_to(*wish)
            self.site.drain()

    @precondition(lambda self: len(self.replicas) < MAX_REPLICAS)
    @rule(wish=wishes)
    def subscribe(self, wish: tuple) -> None:
        self.subscribe_to(*wish)

    def subscribe_to(
        self,
        person: str,
        stream: str,
        published: bool | None,
        which: int | None,
        stateful: bool,
        together: bool,
    ) -> None:
        row = None if which is None else self.rows[which % len(self.rows)]
        if row is not None:
            published = None
        stateful = stateful or published is not None
        replica = Replica((person, stream, published, row), stateful=stateful)
        socket = self.socket_for(replica) if together else None
        self.replicas.append(replica)
        self.connect(replica, socket, have=False)

    def socket_for(self, replica: Replica) -> Socket | None:
        """One of the same person, on which classic events could not be mistaken."""
        mistaken = [
            other.socket
            for other in self.replicas
            if not (replica.stateful or other.stateful) and other.stream == replica.stream
        ]
        # One whose user was deactivated is nobody's, also when the user is active again.
        refused = [*mistaken, *self.inactive_sockets]
        theirs = [other.socket for other in self.replicas if other.person == replica.person]
        return next((each for each in theirs if each and each not in refused), None)

    def connect(self, replica: Replica, socket: Socket | None, *, have: bool) -> None:
        self.look(replica.key)
        if socket is None:
            socket = Socket(self.site, self.users.get(replica.person))
            socket.hear = lambda frame, socket=socket: self.hear(socket, frame)
        replica.socket = socket
        data: dict[str, Any] = {"action": "*"}
        if replica.stateful:
            data |= {"snapshot": True, "filter": replica.filters, "since": replica.position}
            if have:
                data["have"] = list(replica.rows)
        # Known before its reply can come.
        replica.request_id = socket.next_id
        socket.send(replica.stream, "subscribe", data, replica.row)
        self.check()

    def some(self, which: int, condition: Any) -> Replica | None:
        found = [each for each in self.replicas if condition(each)]
        return found[which % len(found)] if found else None

    @rule(
        kind=st.sampled_from(
            ("hang up", "come back", "come back", "stop reading", "read on", "unsubscribe")
        ),
        which=number,
        flag=st.booleans(),
    )
    def be_a_client(self, kind: str, which: int, flag: bool) -> None:
        away = kind == "come back"
        found = [each for each in self.replicas if (each.socket is None) == away]
        if not found:
            return
        replica = found[which % len(found)]
        if kind == "come back":
            self.connect(replica, None, have=flag)
        elif kind == "hang up":
            self.hang_up(replica.socket)
        elif kind == "stop reading":
            replica.socket.stop_reading()
        elif kind == "read on":
            replica.socket.read_on()
        elif replica.is_open:
            self.unsubscribe(replica)
        self.check()

    def unsubscribe(self, replica: Replica) -> None:
        data = {"subscription": replica.name} if replica.stateful else {"action": "*"}
        self.replicas.remove(replica)
        replica.socket.send(replica.stream, "unsubscribe", data, replica.row)

    def hang_up(self, socket: Socket) -> None:
        """Those with state keep what they have."""
        socket.hang_up()
        for each in [each for each in self.replicas if each.socket is socket]:
            if each.stateful and each.position:
                each.hangs_up()
            else:
                self.replicas.remove(each)

    # the scheduler

    @precondition(lambda self: self.dawdling)
    @rule(begins=st.booleans(), which=number, times=st.integers(1, 3))
    def schedule(self, begins: bool, which: int, times: int) -> None:
        for _ in range(times):
            (self.site.begin if begins else self.site.end)(which)
        self.check()

    @rule(steps=st.integers(2, 12))
    def dawdle(self, steps: int) -> None:
        self.dawdling = steps

    @invariant()
    def go_on(self) -> None:
        self.dawdling = max(0, self.dawdling - 1)
        if not self.dawdling:
            self.site.drain()
        self.check()

    @rule()
    def wait_for_quiet(self) -> None:
        for socket in self.site.sockets:
            socket.read_on()
        self.site.settle()
        self.check()
        for replica in self.replicas:
            self.compare(replica)
        for watch in self.watches.values():
            watch.forget()

    def compare(self, replica: Replica) -> None:
        shown = self.watches[replica.key].now
        if replica.is_open and replica.rows != shown and not replica.is_lost:
            raise BrokenPromiseError(f"{replica.key} has {replica.rows} where REST shows {shown}")


def empty() -> None:
    for model in (Note, User, Group):
        model.objects.all().delete()


@pytest.fixture(autouse=True)
def alone(settings, transactional_db) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.CHANNELS_API = {**CHANNELS_API, "HISTORY_SIZE": 12}


def play(examples: int, *, shrinks: bool = True) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
            report_multiple_bugs=False,
            # The same schedules each time, but for a long run.
            derandomize=not LONG,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(0)  # shrinking what was found takes minutes
def test_no_frame_holds_what_rest_would_not_show():
    play(EXAMPLES)


# Each takes away something that keeps rows from those who may not see them.


def one_key_for_all_users(patch):
    def key(self):
        return (self._binding_class, self.stream, self._filters, self._lookup)

    patch.setattr(readers.BindingReader, "key", property(key))


def object_permissions_are_not_asked(patch):
    patch.setattr(readers.BindingReader, "_allowed", lambda self, binding, rows: iter(rows))


def rows_that_leave_are_not_told(patch):
    decide = View.decide

    def decide_by_operation(self, pk, operation, *, present):
        action = decide(self, pk, operation, present=present)
        return None if action == DELETE and operation == UPDATE else action

    patch.setattr(View, "decide", decide_by_operation)


@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    "mutant",
    [
        one_key_for_all_users,
        object_permissions_are_not_asked,
        rows_that_leave_are_not_told,
    ],
    ids=lambda mutant: mutant.__name__,
)
def test_what_is_taken_away_is_noticed(mutant, monkeypatch):
    mutant(monkeypatch)
    with pytest.raises(BrokenPromiseError):
        play(MUTANT_EXAMPLES, shrinks=False)
