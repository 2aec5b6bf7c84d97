"""No framework and no database: the same frames with canned rows. What the server itself costs."""

import json

import django

django.setup()

from tests.benchmarks.project.stats import stats  # noqa: E402

ROW = {
    "id": 1,
    "question_text": "What is the meaning of question number 1?",
    "pub_date": "2026-01-01T00:00:00.000000Z",
    "votes": 0,
}
ROWS = [ROW] * 25
subscribers = set()


async def application(scope, receive, send):
    if scope["type"] == "http":
        return await stats(scope, receive, send)
    if scope["type"] != "websocket":
        return None
    await receive()
    await send({"type": "websocket.accept"})
    try:
        while (message := await receive())["type"] == "websocket.receive":
            await answer(json.loads(message["text"]), send)
    finally:
        subscribers.discard(send)


async def answer(frame, send):
    payload = frame["payload"]
    action, data = payload["action"], ROW
    if action == "list":
        data = ROWS
    elif action == "subscribe":
        subscribers.add(send)
    elif action == "patch":
        data = ROW | payload["data"]
        event = {"action": "update", "pk": 1, "data": data, "model": "project.question"}
        text = json.dumps({"stream": frame["stream"], "payload": event})
        for subscriber in list(subscribers):
            await subscriber({"type": "websocket.send", "text": text})
    reply = {
        "action": action,
        "errors": [],
        "data": data,
        "response_status": 200,
        "request_id": payload["request_id"],
    }
    text = json.dumps({"stream": frame["stream"], "payload": reply})
    await send({"type": "websocket.send", "text": text})
