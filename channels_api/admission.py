"""The part of a socket that knows who is let in, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from rest_framework.exceptions import AuthenticationFailed

from .control import AUTHENTICATED_TEXT, parse_token
from .credentials import REFUSALS
from .exceptions import CloseCode, LoginEnded, LoginUnknown, error_reply
from .logins import enter, leave
from .protocol import Reply
from .requests import Handshake, Scope
from .writer import Writer


class Admission:
    """A socket with a user, or with nobody; `leave` must be called when it is gone."""

    writer: Writer

    def __init__(self, scope: Scope) -> None:
        self.handshake = Handshake(scope)
        # The authentication classes that a first frame may bring a token for.
        self._classes: Sequence[Any] | None = None
        self._authenticating: asyncio.Task[None] | None = None

    async def authenticate(self, classes: Sequence[Any] | None) -> None:
        """Find out who the user is, before the socket is accepted.

        `classes` are DRF's; None: whom the scope's middleware has found. Raises what refuses them.
        """
        if classes is not None:
            self.handshake.take_token()
        if not await enter(self, classes):
            self._classes = classes

    def leave(self) -> None:
        """Nobody need be told any more whether the user is still logged in."""
        if self._authenticating is not None:
            self._authenticating.cancel()
        leave(self)

    def log_out(self) -> None:
        """Close the socket: its user is not logged in any more."""
        self._refuse_user(LoginEnded(), CloseCode.NOT_AUTHENTICATED)

    def give_up(self) -> None:
        """Close the socket: for too long it could not be found out whether its user is."""
        self._refuse_user(LoginUnknown(), CloseCode.OVERLOADED)

    def _refuse_user(self, exc: Exception, code: CloseCode) -> None:
        status, errors = error_reply(exc)
        self.writer.push(Reply(None, None, status, None, errors).encode())
        self.writer.close(code)

    def _look_for_end(self) -> None:
        """Close the socket, and the others of its login, if an action has found its end."""
        login = self.handshake.login
        if login is not None and login.has_ended:
            login.owner.end(login)

    def _take_token(self, text: str) -> bool:
        """Take a frame if it may bring a token and does, else return False; see `parse_token`."""
        classes, self._classes = self._classes, None
        token = parse_token(text) if classes else None
        if token is None:
            return False
        self.handshake.token = token
        self._authenticating = asyncio.ensure_future(self._authenticate(classes))
        return True

    async def _authenticate(self, classes: Sequence[Any] | None) -> None:
        try:
            if await enter(self, classes):
                self.writer.push(AUTHENTICATED_TEXT)
            else:
                self._refuse_user(AuthenticationFailed(), CloseCode.NOT_AUTHENTICATED)
        except REFUSALS as exc:
            self._refuse_user(exc, CloseCode.NOT_AUTHENTICATED)
        except Exception as exc:  # the client may try again
            self._refuse_user(exc, CloseCode.OVERLOADED)
        self._authenticating = None
        self._start_waiting()

    def _start_waiting(self) -> None:
        """Go on with the frames that had to wait."""
        raise NotImplementedError
