"""Users' sockets as far as live knows of them: bindings and a database, without a server."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from asgiref.sync import SyncToAsync
from django.contrib.auth.models import User

from channels_api.bindings import ResourceBinding
from channels_api.live.subscription import Subscription
from channels_api.live.subscriptions import Subscriptions
from channels_api.live.wish import State
from channels_api.protocol import RequestFrame
from channels_api.readers import BindingReader
from channels_api.requests import Handshake
from tests.live_world import Inbox, Reads

T = TypeVar("T")


def in_database(function: Callable[..., T], *args: Any) -> T:
    """Call sync code in the thread of the async ORM, and let the loop stand still meanwhile.

    So all happens one after another, and a loop without a clock misses nothing.
    """
    return SyncToAsync.single_thread_executor.submit(function, *args).result()


class DatabaseReads(Reads):
    """Reads of a database."""

    async def run(self, function, *args, owner):
        return await super().run(in_database, function, *args, owner=owner)


class Client:
    """One socket of a user. It subscribes as the action of a binding does it."""

    def __init__(self, user: User) -> None:
        # Each socket's middleware finds an object of its own.
        found = in_database(lambda: User.objects.get(pk=user.pk))
        scope = {"type": "websocket", "path": "/ws/", "headers": [], "user": found}
        self.handshake = Handshake(scope)
        self.inbox = Inbox()
        self.subscriptions = Subscriptions(self.inbox)

    def reader(self, binding: type[ResourceBinding], pk: Any = None) -> BindingReader:
        frame = RequestFrame("rows", "subscribe", pk=pk, data={"action": "*"})
        return in_database(lambda: BindingReader(binding(self.handshake, frame)))

    async def subscribe(self, binding: type[ResourceBinding], pk: Any = None) -> Subscription:
        subscription = await self.subscriptions.add(self.reader(binding, pk), "*", pk)
        subscription.open()
        return subscription

    async def keep(self, binding: type[ResourceBinding], state: State, pk: Any = None) -> dict:
        """Subscribe with state; what is answered."""
        reader = self.reader(binding, pk)
        state = State(state.filter, state.since, reader.as_told(state.have))
        subscription, answer = await self.subscriptions.add_stateful(reader, state, pk, 7)
        subscription.open()
        return json.loads(answer)

    def hang_up(self) -> None:
        self.subscriptions.close()

    def told(self) -> list[tuple[str, Any, Any]]:
        """Action, pk and text of each event so far; "reset", reason and snapshot of a reset."""
        events, self.inbox.events = self.inbox.events, []
        return [_short(event) for event in events]


def _short(event: dict[str, Any]) -> tuple[str, Any, Any]:
    if event["action"] == "reset":
        return "reset", event["reason"], event["snapshot"]
    data = event["data"]
    return event["action"], event["pk"], data and data["question_text"]
