"""A channel layer that fails or hangs when it is told to."""

import asyncio
import threading
from collections import Counter, defaultdict

from channels.layers import BaseChannelLayer


class TroubledLayer(BaseChannelLayer):
    """`mode` is `works`, `fails` (each call raises) or `hangs` (no call ever returns)."""

    extensions = ["groups"]

    def __init__(self, mode: str = "works", **kwargs) -> None:
        super().__init__(**kwargs)
        self.mode = mode
        self.calls: Counter[str] = Counter()
        #: Set by each `group_send`, whatever becomes of it.
        self.called = threading.Event()
        self.sent: list[tuple[str, dict]] = []
        self.groups: defaultdict[str, set[str]] = defaultdict(set)
        self._inbox: asyncio.Queue | None = None

    async def _trouble(self, name: str) -> None:
        self.calls[name] += 1
        if self.mode == "fails":
            raise ConnectionError("the layer is away")
        if self.mode == "hangs":
            await asyncio.Event().wait()

    async def new_channel(self, prefix="specific"):
        await self._trouble("new_channel")
        return f"{prefix}.inbox"

    async def group_add(self, group, channel):
        await self._trouble("group_add")
        self.groups[group].add(channel)

    async def group_discard(self, group, channel):
        await self._trouble("group_discard")
        await asyncio.sleep(0)  # as a layer that takes a moment
        self.groups[group].discard(channel)

    async def group_send(self, group, message):
        self.called.set()
        await self._trouble("group_send")
        self.sent.append((group, message))

    async def receive(self, channel):
        await self._trouble("receive")
        return await self.inbox.get()

    @property
    def inbox(self) -> asyncio.Queue:
        """What the next `receive` gives; it belongs to the loop of the test that uses it."""
        if self._inbox is None:
            self._inbox = asyncio.Queue()
        return self._inbox

    def lose_everything(self) -> None:
        """A restart: the groups are forgotten."""
        self.groups.clear()
