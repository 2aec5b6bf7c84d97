"""Actions that take long, fail badly or answer much, and one that looks around in the server."""

import asyncio
import gc
import time

from asgiref.sync import async_to_sync
from rest_framework import serializers

from channels_api import threads
from channels_api.bindings import ResourceBinding, ResourceBindingBase
from channels_api.decorators import list_action
from channels_api.live.hub import get_hub
from channels_api.permissions import AllowAny
from channels_api.writer import Writer
from tests.app.models import Question
from tests.load_doors import Door


class Disaster(BaseException):
    """No Exception: most `except` clauses let it pass."""


FAILURES = {
    each.__name__: each
    for each in (SystemExit, KeyboardInterrupt, Disaster, StopIteration, asyncio.CancelledError)
}


class HoldMixin:
    """Wait at a door, in a thread or in the loop."""

    @list_action()
    def hold(self, data=None, **kwargs):
        Door(data["door"]).pass_through(data["name"])
        return data["name"]

    @list_action()
    async def ahold(self, data=None, **kwargs):
        await Door(data["door"]).apass_through(data["name"])
        return data["name"]

    @list_action(concurrent=True)
    async def overtake(self, data=None, **kwargs):
        await Door(data["door"]).apass_through(data["name"])
        return data["name"]


class LoadBinding(HoldMixin, ResourceBindingBase):
    permission_classes = [AllowAny]

    @list_action()
    def echo(self, data=None, **kwargs):
        return data

    @list_action()
    async def aecho(self, data=None, **kwargs):
        return data

    @list_action()
    def sleep(self, data=None, **kwargs):
        time.sleep(data)

    @list_action()
    def fail(self, data=None, **kwargs):
        raise FAILURES[data]

    @list_action()
    async def afail(self, data=None, **kwargs):
        raise FAILURES[data]

    @list_action()
    async def stubborn(self, data=None, **kwargs):
        """Does not let itself be cancelled."""
        try:
            await Door(data["door"]).apass_through(data["name"])
        except asyncio.CancelledError:
            return "went on"

    @list_action()
    def large(self, data=None, **kwargs):
        return "x" * data

    @list_action()
    async def loop(self, data=None, **kwargs):
        return id(asyncio.get_running_loop())

    @list_action()
    def loop_below(self, data=None, **kwargs):
        return async_to_sync(self.loop)()

    @list_action()
    async def census(self, data=None, **kwargs):
        """What the sockets of this process keep busy, this action's own task left out."""
        pool = threads._pool  # noqa: SLF001 - there is no other way to see it from here
        return {
            "tasks": len(asyncio.all_tasks()) - 1,
            "topics": len(get_hub()._topics),  # noqa: SLF001
            "busy": pool._started - len(pool._asleep),  # noqa: SLF001
        }

    @list_action()
    async def given_up(self, data=None, **kwargs):
        """How many sockets there are that no frame is sent to any more."""
        gc.collect()  # those of sockets that are gone may still be there, in cycles
        writers = [each for each in gc.get_objects() if type(each) is Writer]
        return sum(not each.is_open for each in writers)


class LargeQuestionSerializer(serializers.ModelSerializer):
    padding = serializers.SerializerMethodField()

    class Meta:
        model = Question
        fields = ("id", "question_text", "votes", "padding")

    def get_padding(self, instance):
        return "x" * 200_000


class LargeQuestionBinding(HoldMixin, ResourceBinding):
    permission_classes = [AllowAny]
    serializer_class = LargeQuestionSerializer
    queryset = Question.objects.all()

    @list_action()
    def create_and_hold(self, data=None, **kwargs):
        Question.objects.create(question_text=data["name"])
        return self.hold(data)


# More of them than a socket may have in flight.
CONSUMERS = {f"load-{letter}": LoadBinding for letter in "abcdefghij"}
CONSUMERS["load-questions"] = LargeQuestionBinding
