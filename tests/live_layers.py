"""A channel layer that fails or hangs when it is told to."""

import asyncio
import threading
from collections import Counter, defaultdict

from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer


class TroubledLayer(BaseChannelLayer):
    """`mode` says what becomes of each call.

    `works`; `fails` (it raises); `hangs` (it never returns); `half` (it is done, and raises all the
    same); `slow` (it is done after half a second); `drops` (messages get lost); `full` (each
    message is one too many).
    """

    extensions = ["groups"]

    def __init__(self, mode: str = "works", group_expiry: float | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.mode = mode
        self.group_expiry = group_expiry
        self.calls: Counter[str] = Counter()
        #: When each call was made: its name, its group, and the time of its loop.
        self.times: list[tuple[str, str, float]] = []
        #: Set by each `group_send`, whatever becomes of it.
        self.called = threading.Event()
        self.sent: list[tuple[str, dict]] = []
        self.groups: defaultdict[str, set[str]] = defaultdict(set)
        self._inboxes: defaultdict[str, asyncio.Queue] = defaultdict(asyncio.Queue)
        self._channels = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    async def _trouble(self, name: str, group: str = "") -> None:
        self.calls[name] += 1
        self.times.append((name, group, asyncio.get_running_loop().time()))
        if self.mode == "fails":
            raise ConnectionError("the layer is away")
        if self.mode == "hangs":
            await asyncio.Event().wait()
        if self.mode == "slow":
            await asyncio.sleep(0.5)

    def _end(self) -> None:
        if self.mode == "half":
            raise ConnectionError("the layer is away")

    async def new_channel(self):
        await self._trouble("new_channel")
        self._end()
        self._loop = asyncio.get_running_loop()
        self._channels += 1
        return self._last_channel

    async def group_add(self, group, channel):
        await self._trouble("group_add", group)
        self.groups[group].add(channel)
        self._end()

    async def group_discard(self, group, channel):
        await self._trouble("group_discard", group)
        await asyncio.sleep(0)  # as a layer that takes a moment
        self.groups[group].discard(channel)
        self._end()

    async def group_send(self, group, message):
        self.called.set()
        await self._trouble("group_send", group)
        self.sent.append((group, message))
        if self.mode == "full":
            raise ChannelFull
        # From other loops, such as the sender's, nothing is delivered.
        if self.mode != "drops" and asyncio.get_running_loop() is self._loop:
            for channel in self.groups[group]:
                self._inboxes[channel].put_nowait(message)
        self._end()

    async def receive(self, channel):
        await self._trouble("receive")
        return await self._inboxes[channel].get()

    @property
    def inbox(self) -> asyncio.Queue:
        """What the next `receive` gives; it belongs to the loop of the test that uses it."""
        return self._inboxes[self._last_channel]

    @property
    def _last_channel(self) -> str:
        return f"specific.inbox!{self._channels}"

    def lose_everything(self) -> None:
        """A restart: the groups are forgotten."""
        self.groups.clear()

    def lose_channel(self) -> None:
        """Whoever reads reads for ever: its connection is dead, and nobody has told it so."""
        self._inboxes.clear()

    @property
    def members(self) -> dict[str, set[str]]:
        """The groups that have members."""
        return {group: channels for group, channels in self.groups.items() if channels}

    def when(self, name: str, group: str | None = None) -> list[float]:
        """The times of the calls of one kind, or of those for one group."""
        return [time for each, of, time in self.times if each == name and group in (None, of)]
