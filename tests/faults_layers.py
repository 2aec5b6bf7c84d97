"""Channel layers through Redis that lose, double and reorder messages, or take their time."""

import asyncio
import random
from typing import Any

from channels_redis.core import RedisChannelLayer


class DroppingLayer(RedisChannelLayer):
    """Drops every second message of the process that sends, and tells nobody."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sends = 0

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self._sends += 1
        if self._sends % 2:
            await super().group_send(group, message)


class ShufflingLayer(RedisChannelLayer):
    """Sends each message twice, in an order of its own, and a few only when more have come."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept: list[tuple[str, dict[str, Any]]] = []

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self._kept += [(group, message)] * 2
        random.shuffle(self._kept)
        while len(self._kept) > 4:
            await super().group_send(*self._kept.pop())


class SlowLayer(RedisChannelLayer):
    """Takes a while for each message."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await asyncio.sleep(0.2)
        await super().group_send(group, message)
