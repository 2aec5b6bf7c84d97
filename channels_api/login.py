"""Somebody who is logged in on one socket or more, as far as that is known."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from typing import Any, Protocol

from .credentials import ClassUser, Credentials, Found, find
from .exceptions import LoginEnded, LoginUnknown
from .live.sessions import session_digest
from .live.users import user_pk_of
from .locks import new_lock
from .requests import Handshake
from .settings import settings

# Seconds for which a socket goes on whose user can't be looked up, since something fails.
GRACE = 300.0
# Seconds after a failure until it is tried again.
PAUSE = 1.0

# Between the loop, which tells of changes, and threads that look logins up. One for all: it is
# never held for long.
_lock = new_lock()


class Socket(Protocol):
    """An open socket, in its event loop."""

    handshake: Handshake

    def log_out(self) -> None:
        """Close it: its user is not logged in any more."""

    def give_up(self) -> None:
        """Close it: for too long it could not be found out whether its user is."""


class Owner(Protocol):
    """What looks after logins."""

    def end(self, login: Login) -> None:
        """Close the sockets of a login that has ended; in the event loop."""

    def end_soon(self, login: Login) -> None:
        """The same, from any thread."""


class Login:
    """The sockets that came with equal credentials, and since when it is known whose these are.

    It is told of changes in the event loop, and looked up in threads: by a frame that finds it too
    old, and for those who only listen by its owner.
    """

    __slots__ = (
        *("credentials", "sockets", "owner", "user_pk", "session", "has_ended"),
        *("_due_at", "_known_since", "_changes", "_changes_known", "_failing_since", "_try_at"),
    )

    def __init__(self, credentials: Credentials, user: Any, owner: Owner) -> None:
        self.credentials = credentials
        self.owner = owner
        self.sockets: list[Socket] = []
        # As they are called in their topics.
        self.user_pk = _pk_of(user)
        self.session = _session_of(credentials)
        self.has_ended = False
        self._changes = self._changes_known = 0
        self._failing_since, self._try_at = math.inf, -math.inf
        self._know_since(time.monotonic())

    @property
    def asks_classes(self) -> bool:
        """Whether authentication classes have found the user."""
        return isinstance(self.credentials, ClassUser)

    def check(self) -> None:
        """Look it up if that is due; in a thread. Raises what an action is refused with."""
        now = time.monotonic()
        if now < self._due_at:
            return
        if not self.has_ended and self._try_at < now:
            renew([self])
        if self.has_ended:
            raise LoginEnded
        # What is merely old is trusted for a while, what has changed is not.
        if self._changes != self._changes_known:
            raise LoginUnknown

    def reload(self) -> None:
        """Look it up now, in a thread. Raises what has made that impossible."""
        for failure in renew([self]):
            raise LoginUnknown from failure
        if self.has_ended:
            self.owner.end_soon(self)

    def change(self) -> None:
        """Something of its user has changed."""
        with _lock:
            self._changes += 1
            self._due_at = -math.inf

    def end(self) -> None:
        """Its credentials are nobody's any more."""
        with _lock:
            self._end()

    def is_older_than(self, seconds: float) -> bool:
        """Whether it is not known any more, or was found out longer ago."""
        now = time.monotonic()
        return self._due_at <= now or self._known_since + seconds <= now

    @property
    def is_failing(self) -> bool:
        """Whether it could not be looked up."""
        return self._failing_since != math.inf

    @property
    def is_given_up(self) -> bool:
        """Whether that was so for too long."""
        return time.monotonic() - self._failing_since > GRACE

    def expects(self) -> tuple[float, int]:
        """From when on, and after how many changes, that will be known which is now looked up."""
        return time.monotonic(), self._changes

    def take(self, found: Found, since: float, changes: int) -> None:
        """Take what was found, unless something newer was."""
        with _lock:
            if since < self._known_since or self.has_ended:
                return
            if found.user is None or _pk_of(found.user) != self.user_pk:
                self._end()
                return
            self._failing_since = math.inf
            self._know_since(since)
            self._changes_known = changes
            if self._changes != changes:
                self._due_at = -math.inf
            for socket in list(self.sockets):
                # Else an action has logged somebody else in, or out.
                if _pk_of(socket.handshake.scope.get("user")) == self.user_pk:
                    _take(socket.handshake, found)

    def fail(self) -> None:
        """It could not be looked up."""
        now = time.monotonic()
        self._failing_since = min(self._failing_since, now)
        self._try_at = now + PAUSE

    def _end(self) -> None:
        self.has_ended = True
        self._due_at = -math.inf
        for socket in list(self.sockets):
            socket.handshake.set_user(None)

    def _know_since(self, since: float) -> None:
        self._known_since = since
        self._due_at = since + (settings.AUTH_MAX_AGE or math.inf)


def _pk_of(user: Any) -> int | str | None:
    return user_pk_of(user) if hasattr(user, "pk") else None


def _session_of(credentials: Credentials) -> str | None:
    user = credentials.scope_user if isinstance(credentials, ClassUser) else credentials
    key = None if user is None else user.session_key
    return None if key is None else session_digest(key)


def _take(handshake: Handshake, found: Found) -> None:
    # An object of its own for each: one socket's actions may change theirs.
    handshake.set_user(copy.copy(found.user))
    handshake.auth = found.auth
    session = handshake.scope.get("session")
    if found.session is not None and session is not None and not session.modified:
        # Where Django's sessions keep what they have read: what is read once for many sockets is
        # not read again for each.
        session._session_cache = dict(found.session)  # noqa: SLF001


def renew(logins: Sequence[Login]) -> list[Exception]:
    """Look logins up, in a thread; what has failed."""
    wanted, expected = {}, {}
    for login in logins:
        for socket in login.sockets[:1]:  # none, if all have left meanwhile
            wanted[login.credentials] = socket.handshake
            expected[login] = login.expects()
    found, failures = find(wanted), []
    for login, (since, changes) in expected.items():
        outcome = found[login.credentials]
        if isinstance(outcome, Exception):
            login.fail()
            failures.append(outcome)
        else:
            login.take(outcome, since, changes)
    return failures
