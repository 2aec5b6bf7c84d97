"""The floor: the least that does REST over WebSockets with the ORM and DRF's serializers.

No library: no routing, no permissions, no errors, no limits. It is what an ideal one could reach.
One thread has the database; a frame goes there once, and answers come back to the loop in batches.
Changes are encoded once and sent to all. With BENCH_LAYER `redis` or `pubsub` they go through one
channel of Redis; with BENCH_FIELDS=once one serializer represents all rows, which is not right for
every serializer.
"""

import asyncio
import collections
import json
import os

import django

django.setup()

import redis.asyncio  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import transaction  # noqa: E402
from django.db.models.signals import post_save  # noqa: E402

from tests.benchmarks.project.floor_thread import FloorThread  # noqa: E402
from tests.benchmarks.project.models import Question  # noqa: E402
from tests.benchmarks.project.serializers import QuestionSerializer  # noqa: E402
from tests.benchmarks.project.stats import stats  # noqa: E402

CHANNEL = "bench-floor"
once = QuestionSerializer() if os.environ.get("BENCH_FIELDS") == "once" else None
thread = FloorThread()
shared = settings.LAYER != "memory"
redis_client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"]) if shared else None
subscribers: dict["Socket", None] = {}


def represent(row):
    return once.to_representation(row) if once else QuestionSerializer(row).data


def represent_all(rows):
    return (
        [*map(once.to_representation, rows)] if once else QuestionSerializer(rows, many=True).data
    )


def save(serializer):
    serializer.is_valid(raise_exception=True)
    serializer.save()
    return serializer.data


def act(action, payload):
    """What an action answers; in the thread."""
    if action == "retrieve":
        return represent(Question.objects.get(pk=payload["pk"]))
    if action == "list":
        return represent_all(Question.objects.order_by("pk")[:25])
    if action == "create":
        return save(QuestionSerializer(data=payload["data"]))
    row = Question.objects.get(pk=payload["pk"])
    return save(QuestionSerializer(row, data=payload["data"], partial=True))


def reply(frame, data):
    payload = frame["payload"]
    answer = {
        "action": payload["action"],
        "errors": [],
        "data": data,
        "response_status": 200,
        "request_id": payload["request_id"],
    }
    return json.dumps({"stream": frame["stream"], "payload": answer})


def handle(frame):
    return reply(frame, act(frame["payload"]["action"], frame["payload"]))


def tell(instance, **kwargs):
    event = {"action": "update", "pk": instance.pk, "data": represent(instance)}
    payload = {**event, "model": "project.question"}
    text = json.dumps({"stream": "rows", "payload": payload})
    transaction.on_commit(lambda: publish(text))


def publish(text):
    if redis_client is not None:
        redis_client.publish(CHANNEL, text)
    else:
        thread.hand_over(fan_out, text)


def fan_out(text):
    for socket in subscribers:
        socket.deliver(text)


post_save.connect(tell, sender=Question)


class Socket:
    """One task writes, in the order in which answers are there."""

    def __init__(self, send):
        self.send = send
        self.texts = collections.deque()
        self.waiting = asyncio.Event()
        self.task = asyncio.ensure_future(self.write())

    def deliver(self, text):
        self.texts.append(text)
        self.waiting.set()

    async def write(self):
        while True:
            await self.waiting.wait()
            self.waiting.clear()
            while self.texts:
                await self.send({"type": "websocket.send", "text": self.texts.popleft()})


async def application(scope, receive, send):
    if scope["type"] == "http":
        return await stats(scope, receive, send)
    if scope["type"] != "websocket":
        return None
    if thread.loop is None:
        start()
    await receive()
    await send({"type": "websocket.accept"})
    socket = Socket(send)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            take(socket, json.loads(message["text"]))
    finally:
        subscribers.pop(socket, None)
        socket.task.cancel()


def take(socket, frame):
    if frame["payload"]["action"] == "subscribe":
        subscribers[socket] = None
        socket.deliver(reply(frame, None))
    else:
        thread.put(handle, frame, socket.deliver)


def start():
    global listening
    loop = asyncio.get_running_loop()
    thread.start(loop)
    if redis_client is not None:
        listening = loop.create_task(listen())


async def listen():
    client = redis.asyncio.Redis.from_url(os.environ["BENCH_REDIS_URL"], socket_timeout=None)
    channel = client.pubsub(ignore_subscribe_messages=True)
    await channel.subscribe(CHANNEL)
    async for message in channel.listen():
        fan_out(message["data"].decode())
