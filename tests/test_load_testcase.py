"""C5: a project's own tests, in both of Django's test cases, with channels' communicator.

With THREADS = 0 sync code runs in the thread of the test, so that it sees what the test's open
transaction holds. With the pool it needs rows that are committed.
"""

from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test import TestCase, TransactionTestCase, override_settings

from tests.app.models import Question
from tests.app.streams import Demultiplexer
from tests.client import PATIENCE


class Scenarios:
    """What has to work either way."""

    async def connect(self) -> WebsocketCommunicator:
        communicator = WebsocketCommunicator(Demultiplexer.as_asgi(), "/ws/")
        communicator.scope["user"] = AnonymousUser()
        connected, _ = await communicator.connect(timeout=PATIENCE)
        assert connected
        return communicator

    async def ask(self, communicator, action, **payload):
        frame = {"stream": "questions", "payload": {"action": action, **payload}}
        await communicator.send_json_to(frame)
        reply = await communicator.receive_json_from(timeout=PATIENCE)
        return reply["payload"]["response_status"], reply["payload"]["data"]

    async def test_the_socket_sees_the_rows_of_the_test(self):
        question = await Question.objects.acreate(question_text="from the test")
        communicator = await self.connect()
        status, data = await self.ask(communicator, "retrieve", pk=question.pk)
        assert (status, data["question_text"]) == (200, "from the test")
        await communicator.disconnect(timeout=PATIENCE)

    async def test_the_test_sees_the_rows_of_the_socket(self):
        communicator = await self.connect()
        status, data = await self.ask(communicator, "create", data={"question_text": "sent"})
        assert status == 201
        assert (await Question.objects.aget(pk=data["id"])).question_text == "sent"
        await communicator.disconnect(timeout=PATIENCE)

    async def test_a_failure_does_not_spoil_what_follows(self):
        communicator = await self.connect()
        assert await self.ask(communicator, "retrieve", pk=0) == (404, None)
        assert await self.ask(communicator, "create", data={}) == (400, None)
        assert await self.ask(communicator, "list") == (200, [])
        assert await Question.objects.acount() == 0
        await communicator.disconnect(timeout=PATIENCE)

    async def test_subscribe_and_leave(self):
        """Nothing of a socket stays in the loop, which ends with the test."""
        await Question.objects.acreate(question_text="there")
        communicator = await self.connect()
        subscribed = await self.ask(communicator, "subscribe", data={"action": "*"})
        assert subscribed == (200, {"action": "*"})
        await communicator.disconnect(timeout=PATIENCE)

    def test_the_tables_are_empty_again(self):
        assert Question.objects.count() == 0


@override_settings(CHANNELS_API={"THREADS": 2})
class TestWithPool(Scenarios, TransactionTestCase):
    async def test_an_event_comes(self):
        communicator = await self.connect()
        await self.ask(communicator, "subscribe", data={"action": "create"})
        question = await Question.objects.acreate(question_text="new")
        event = await communicator.receive_json_from(timeout=PATIENCE)
        assert event["payload"]["pk"] == question.pk
        await communicator.disconnect(timeout=PATIENCE)


@override_settings(CHANNELS_API={"THREADS": 0})
class TestInTransaction(Scenarios, TestCase):
    async def test_nothing_closes_the_connection_of_the_test(self):
        state = sync_to_async(lambda: (connection.connection, connection.in_atomic_block))
        before, in_atomic_block = await state()
        assert in_atomic_block
        communicator = await self.connect()
        await self.ask(communicator, "list")
        await self.ask(communicator, "subscribe", data={"action": "*"})
        await communicator.disconnect(timeout=PATIENCE)
        assert await state() == (before, True)


@override_settings(CHANNELS_API={"THREADS": 2})
class TestWhatThreadsZeroIsFor(TestCase):
    """The pool inside a transaction: it does not see the rows. Why the setting is there."""

    async def test_the_pool_does_not_see_the_open_transaction(self):
        question = await Question.objects.acreate(question_text="not committed")
        scenarios = Scenarios()
        communicator = await scenarios.connect()
        assert await scenarios.ask(communicator, "retrieve", pk=question.pk) == (404, None)
        await communicator.disconnect(timeout=PATIENCE)
