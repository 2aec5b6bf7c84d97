"""A topic that is held: how far it was told, and to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from .audiences import Audiences
from .log import Hint, Position

# Is told of which rows something has changed; None: of any.
Follower = Callable[["Collection[int | str] | None"], None]


class TopicState:
    """What the hub knows of a topic that somebody needs."""

    def __init__(self) -> None:
        self.holders = 0
        # None until the layer was joined: hints that come earlier are covered by the position.
        self.position: Position | None = None
        self.entered: asyncio.Task[None] | None = None
        self.catching_up: asyncio.Task[None] | None = None
        self.behind = False
        self.audiences = Audiences()
        self.followers: list[Follower] = []

    def is_next(self, hint: Hint, after: int) -> bool:
        """Whether a hint is of the change that comes next, after some that come before it."""
        if self.position is None or self.catching_up is not None:
            return False
        epoch, seq = self.position
        return hint.position == Position(epoch, seq + after + 1)

    def known_position(self) -> Position:
        """The position of a topic that is held."""
        assert self.position is not None  # noqa: S101 - `hold` has waited for it
        return self.position
