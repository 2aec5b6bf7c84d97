"""A consumer without the library in it, for the tests of the test infrastructure itself."""

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from tests.app.models import Question


class EchoConsumer(AsyncJsonWebsocketConsumer):
    """Answers in the library's shape; a few actions look at what surrounds the consumer."""

    groups = ("echo",)

    async def receive_json(self, content, **kwargs):
        payload = content["payload"]
        if payload["action"] == "close":
            await self.close(code=4400)
        elif payload["action"] == "shout":
            await self.channel_layer.group_send(
                "echo", {"type": "shouted", "data": payload["data"]}
            )
        else:
            data = await self.answer(payload["action"], payload.get("data"))
            await self.send_json(self.reply(content["stream"], payload, data))

    async def answer(self, action, data):
        if action == "who":
            return self.scope["user"].get_username()
        if action == "count":
            questions = Question.objects.using(data or "default")
            return await database_sync_to_async(questions.count)()
        if action == "create":
            await database_sync_to_async(Question.objects.create)(question_text=data)
        return data

    def reply(self, stream, payload, data):
        about = {"action": payload["action"], "request_id": payload.get("request_id")}
        return {"stream": stream, "payload": {**about, "errors": [], "data": data}}

    async def shouted(self, message):
        await self.send_json({"stream": "echo", "payload": {"data": message["data"]}})
