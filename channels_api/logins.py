"""All who are logged in on the sockets of a process, and whether they still are."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any

from channels.auth import UserLazyObject
from django.contrib.auth.models import AnonymousUser
from django.utils.functional import LazyObject

from .credentials import FAILURE, ClassUser, Credentials, ask_classes, class_user, scope_user
from .exceptions import LogUnavailable
from .live.log import Topic
from .live.pauses import Pauses
from .live.sessions import SESSIONS
from .live.topics import Follower
from .live.users import users_topic
from .login import PAUSE, Login, Socket, renew
from .logs import log_sometimes
from .loops import PerLoop
from .requests import Handshake
from .settings import settings
from .spawn import spawn
from .threads import LIVE, run_in_thread

# Logins that are looked up in one go.
BATCH = 200
# The parts of AUTH_MAX_AGE after which logins are looked up again, and between two looks for them:
# together no more than all of it.
RENEW_AT, LOOK_EVERY = 0.75, 0.25


async def enter(socket: Socket, classes: Sequence[Any] | None) -> bool:
    """Find out who opens a socket, and look after it until it leaves; whether it is anybody.

    `classes` are DRF's authentication classes; None: the user is the scope's. Raises what refuses
    the handshake.
    """
    handshake = socket.handshake
    user = handshake.scope.get("user")
    # By its type: `isinstance` would ask it for its class, and so load it in the event loop.
    if issubclass(type(user), LazyObject) and not issubclass(type(user), UserLazyObject):
        # That of a middleware which loads it at its first use; channels' own is loaded by now.
        await run_in_thread(bool, user, owner=handshake)
    credentials: Credentials | None = scope_user(handshake.scope)
    if classes is not None:
        credentials = await _authenticate(handshake, classes)
    if credentials is not None:
        _of_loops.get(Logins).add(socket, credentials)
    return credentials is not None


def leave(socket: Socket) -> None:
    """Look after a socket no more."""
    login = socket.handshake.login
    if login is not None and socket in login.sockets:
        _of_loops.get(Logins).discard(socket, login)


async def _authenticate(handshake: Handshake, classes: Sequence[Any]) -> ClassUser | None:
    user = scope_user(handshake.scope)
    found = await run_in_thread(ask_classes, handshake, classes, handshake.user, owner=handshake)
    if found is None:
        handshake.set_user(AnonymousUser())
        return None
    handshake.set_user(found.user)
    handshake.auth = found.auth
    return class_user(handshake, classes, user)


class Logins:
    """The logins of one event loop: hears of changes, and looks up in time what nobody tells of."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._logins: dict[Credentials, Login] = {}
        # There are tasks while anybody is logged in, and one while anything is looked up.
        self._tasks: list[asyncio.Task[None]] = []
        self._renewing: asyncio.Task[None] | None = None
        self._due: dict[Login, None] = {}

    def add(self, socket: Socket, credentials: Credentials) -> None:
        """Look after a socket from now on."""
        login = self._logins.get(credentials)
        if login is None or login.has_ended:
            login = self._logins[credentials] = Login(credentials, socket.handshake.user, self)
        login.sockets.append(socket)
        socket.handshake.login = login
        if not self._tasks:
            self._start()
        elif len(login.sockets) == 1:
            # Of what has changed since somebody else found the user nobody has told this one.
            self._renew_soon([login])

    def discard(self, socket: Socket, login: Login) -> None:
        """Look after it no more."""
        login.sockets.remove(socket)
        if login.sockets:
            return
        self._due.pop(login, None)
        if self._logins.get(login.credentials) is login:
            del self._logins[login.credentials]
        if not self._logins:
            for task in self._tasks:
                task.cancel()
            self._tasks = []

    def end(self, login: Login) -> None:
        """Close the sockets of a login that has ended."""
        for socket in list(login.sockets):
            socket.log_out()

    def end_soon(self, login: Login) -> None:
        """The same, from any thread."""
        self._loop.call_soon_threadsafe(self.end, login)

    def _start(self) -> None:
        self._tasks = [
            spawn(self._keep_fresh()),
            spawn(self._follow(SESSIONS, self._sessions_ended)),
        ]
        users = users_topic()
        if users is not None:
            self._tasks.append(spawn(self._follow(users, self._users_changed)))

    async def _follow(self, topic: Topic, follower: Follower) -> None:
        """Have a follower told of a topic's changes, until this is cancelled."""
        # Imported when it is used: it brings most of live.
        from .live.hub import get_hub

        hub, pauses = get_hub(), Pauses()
        while True:
            try:
                await hub.follow(topic, follower)
            except LogUnavailable:
                await pauses.wait()
            else:
                break
        try:
            # Of what has changed before, nobody has told.
            self._renew_soon(self._logins.values())
            await self._loop.create_future()
        finally:
            hub.unfollow(topic, follower)

    def _users_changed(self, pks: Collection[int | str] | None) -> None:
        changed = [login for login in self._logins.values() if pks is None or login.user_pk in pks]
        for login in changed:
            login.change()
        self._renew_soon(changed)

    def _sessions_ended(self, digests: Collection[int | str] | None) -> None:
        if digests is None:
            self._users_changed(None)
            return
        for login in [each for each in self._logins.values() if each.session in digests]:
            login.end()
            self.end(login)

    async def _keep_fresh(self) -> None:
        """Look up in time whom nobody told of."""
        while True:
            age = settings.AUTH_MAX_AGE
            # Spread, so that the processes of a site don't read at the same moment; the setting
            # may be changed, or come back.
            await asyncio.sleep((age or 60) * LOOK_EVERY * random.uniform(0.8, 1))  # noqa: S311
            if age is not None:
                logins = self._logins.values()
                self._renew_soon(each for each in logins if each.is_older_than(age * RENEW_AT))

    def _renew_soon(self, logins: Iterable[Login]) -> None:
        self._due.update((login, None) for login in logins if login.sockets)
        if self._due and self._renewing is None:
            self._renewing = spawn(self._renew())

    async def _renew(self) -> None:
        try:
            while self._due:
                batch = list(islice(self._due, BATCH))
                for login in batch:
                    del self._due[login]
                await self._renew_batch(batch)
        finally:
            self._renewing = None

    async def _renew_batch(self, batch: list[Login]) -> None:
        try:
            await run_in_thread(renew, batch, owner=LIVE)
        except Exception:  # no thread can be had
            log_sometimes(FAILURE)
            for login in batch:
                login.fail()
        for login in batch:
            if login.has_ended:
                self.end(login)
            elif login.is_given_up:
                for socket in list(login.sockets):
                    socket.give_up()
        failed = [login for login in batch if login.is_failing]
        if failed:
            self._loop.call_later(PAUSE, self._renew_soon, failed)


_of_loops: PerLoop[Logins] = PerLoop()
