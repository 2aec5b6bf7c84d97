"""What each server is sent and answers: from an action to bytes, and from bytes to a `Message`."""

from typing import Any, NamedTuple

import orjson


class Message(NamedTuple):
    """A reply, or an event, whose `request_id` is None."""

    is_event: bool
    request_id: int | None
    ok: bool
    data: Any


class Streams:
    """The frames of this library, which the floor and the raw server speak as well."""

    def request(self, request_id: int, action: str, pk: Any = None, data: Any = None) -> bytes:
        payload = {"action": action, "request_id": request_id}
        payload |= {} if pk is None else {"pk": pk}
        payload |= {} if data is None else {"data": data}
        return orjson.dumps({"stream": "rows", "payload": payload})

    def subscribe(self) -> bytes:
        return self.request(0, "subscribe", data={"action": "update"})

    def parse(self, raw: bytes) -> Message:
        payload = orjson.loads(raw)["payload"]
        if "request_id" not in payload:
            return Message(True, None, True, payload["data"])
        ok = payload["response_status"] < 400
        return Message(False, payload["request_id"], ok, payload["data"])


class Flat:
    """The frames of djangochannelsrestframework."""

    # Its events repeat the id of the subscribe.
    SUBSCRIBE = "subscribe"

    def request(self, request_id: Any, action: str, pk: Any = None, data: Any = None) -> bytes:
        frame = {"action": action, "request_id": request_id}
        frame |= {} if pk is None else {"pk": pk}
        frame |= {} if data is None else {"data": data}
        return orjson.dumps(frame)

    def subscribe(self) -> bytes:
        return self.request(self.SUBSCRIBE, "subscribe")

    def parse(self, raw: bytes) -> Message:
        frame = orjson.loads(raw)
        is_event = frame["request_id"] == self.SUBSCRIBE and frame["action"] != "subscribe"
        request_id = None if is_event else frame["request_id"]
        return Message(is_event, request_id, frame["response_status"] < 400, frame["data"])


class Http:
    """HTTP/1.1, kept alive; replies have no ids and come in the order of the requests."""

    LINES = {
        "retrieve": "GET /questions/{pk}/",
        "list": "GET /questions/",
        "create": "POST /questions/",
        "patch": "PATCH /questions/{pk}/",
        "nap": "GET /questions/nap/",
    }

    def request(self, request_id: int, action: str, pk: Any = None, data: Any = None) -> bytes:
        head = [
            self.LINES[action].format(pk=pk) + " HTTP/1.1",
            "Host: 127.0.0.1",
            "Accept: application/json",
        ]
        body = b""
        if data is not None:
            body = orjson.dumps(data)
            head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*head, "", ""]).encode() + body

    def parse(self, request_id: int, raw: bytes) -> tuple[Message, int] | None:
        """The first reply in what was received and its length; None while it is not complete."""
        head, end, rest = raw.partition(b"\r\n\r\n")
        if not end:
            return None
        status, *fields = head.decode("latin-1").split("\r\n")
        headers = dict(field.lower().split(": ", 1) for field in fields)
        length = int(headers["content-length"])
        if len(rest) < length:
            return None
        # A page that tells of an error is no JSON.
        ok = int(status.split()[1]) < 400
        message = Message(False, request_id, ok, orjson.loads(rest[:length]) if ok else None)
        return message, len(head) + len(end) + length
