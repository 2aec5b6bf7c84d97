#!/usr/bin/env python
"""All that the socket offers, against a running demo: `python demo/walkthrough.py [ADDRESS]`.

ADDRESS is http://127.0.0.1:8000 by default. Prints every frame. One socket acts, another one has
subscribed and hears of it. Exits with 1 if an answer is not the one that was expected.
Needs the package `websockets`.
"""

import json
import sys
from urllib.parse import urlsplit

try:
    from websockets.sync.client import connect
except ImportError:
    sys.exit("The walkthrough needs a WebSocket client: pip install websockets")

TIMEOUT = 10  # seconds for one answer or event


class Client:
    """One socket; `name` stands in front of its lines."""

    def __init__(self, name, socket):
        self.name = name
        self.socket = socket
        self.requests = 0
        self.heard = []

    def ask(self, stream, action, *, status=200, **fields):
        """Send a request; the data of its reply, which must have this status."""
        self.requests += 1
        payload = {"action": action, **fields, "request_id": self.requests}
        text = json.dumps({"stream": stream, "payload": payload})
        print(f"{self.name} -> {text}")
        self.socket.send(text)
        reply = self.hear(request_id=self.requests)
        expect(reply["response_status"], status)
        return reply["data"]

    def hear_event(self, model, action, pk):
        """The row in the event that tells of this change."""
        return self.hear(model=model, action=action, pk=pk)["data"]

    def hear(self, **wanted):
        """The payload of the first frame, not asked for before, with these keys and values.

        Frames of different streams come in any order, and others may be using the demo as well.
        """
        while True:
            for payload in self.heard:
                if wanted.items() <= payload.items():
                    self.heard.remove(payload)
                    return payload
            try:
                text = self.socket.recv(timeout=TIMEOUT)
            except TimeoutError:
                sys.exit(f"{self.name} heard nothing with {wanted} for {TIMEOUT} seconds.")
            print(f"{self.name} <- {text}")
            self.heard.append(json.loads(text)["payload"])


def expect(found, wanted):
    if found != wanted:
        sys.exit(f"Expected {wanted!r}, but found {found!r}.")


def title(text):
    print(f"\n# {text}")


def walk(actor, watcher):
    """Create, read, list, change, vote on and delete a question, while the watcher hears of it."""
    title("Subscribe to every change of questions and choices")
    for stream in ("questions", "choices"):
        watcher.ask(stream, "subscribe", data={"action": "*"})

    title("Subscribe with state: a snapshot, and where it stands")
    state = actor.ask("questions", "subscribe", data={"action": "*", "snapshot": True})
    actor.ask("questions", "unsubscribe", data={"subscription": state["subscription"]})

    title("Create, and the watcher hears of it")
    question = actor.ask(
        "questions", "create", data={"question_text": "Tea or coffee?"}, status=201
    )
    pk = question["id"]
    expect(watcher.hear_event("polls.question", "create", pk)["question_text"], "Tea or coffee?")
    data = {"question": pk, "choice_text": "Tea"}
    choice = actor.ask("choices", "create", data=data, status=201)
    watcher.hear_event("polls.choice", "create", choice["id"])

    title("Retrieve and list")
    row = actor.ask("questions", "retrieve", pk=pk)
    expect([each["choice_text"] for each in row["choices"]], ["Tea"])
    rows = actor.ask("questions", "list", data={"page": 1})
    expect(pk in [each["id"] for each in rows], True)

    title("Update and patch")
    data = {"question_text": "Coffee or tea?"}
    actor.ask("questions", "update", pk=pk, data=data)
    expect(watcher.hear_event("polls.question", "update", pk)["question_text"], "Coffee or tea?")
    actor.ask("questions", "patch", pk=pk, data={"question_text": "Tea?"})
    expect(watcher.hear_event("polls.question", "update", pk)["question_text"], "Tea?")

    title("Custom actions: on one row, and on the whole stream")
    expect(actor.ask("choices", "vote", pk=choice["id"])["votes"], 1)
    expect(watcher.hear_event("polls.choice", "update", choice["id"])["votes"], 1)
    actor.ask("questions", "totals")

    title("The stream that was made from the viewset behind /api/questions/")
    rows = actor.ask("api-questions", "list", data={"search": "tea", "ordering": "-pub_date"})
    expect(pk in [each["id"] for each in rows], True)
    actor.ask("api-questions", "totals")

    title("A task that takes seconds: 202 at once, then each step, and 200 with the result")
    task = actor.ask("questions", "report", status=202)
    while task["state"] != "SUCCESS":
        task = actor.hear(request_id=actor.requests)["data"]
    expect(task["result"].keys(), {"questions", "choices", "votes", "leaders"})

    title("The same, cancelled; whoever began it may")
    task = actor.ask("questions", "report", status=202)
    begun = actor.requests
    actor.ask("tasks", "delete", pk=task["id"], status=410)
    while actor.hear(request_id=begun)["response_status"] != 410:
        pass

    title("Errors are answers; the socket stays open")
    actor.ask("questions", "create", data={"question_text": ""}, status=400)
    actor.ask("questions", "retrieve", pk="no such row", status=404)
    actor.ask("questions", "reset", pk=pk, status=401)
    actor.ask("questions", "dance", status=400)
    actor.ask("nothing", "list", status=404)

    title("Come back to the subscription: what was missed, and nothing else")
    since = {"epoch": state["epoch"], "seq": state["seq"]}
    have = [row["id"] for row in state["snapshot"]]
    data = {"action": "*", "since": since, "have": have}
    again = actor.ask("questions", "subscribe", data=data)
    expect(again["recovered"], True)
    expect(actor.hear_event("polls.question", "create", pk)["question_text"], "Tea?")

    title("Delete: the question, and its choice with it")
    expect(actor.ask("questions", "delete", pk=pk), {})
    expect(watcher.hear_event("polls.choice", "delete", choice["id"]), None)
    expect(watcher.hear_event("polls.question", "delete", pk), None)

    title("Unsubscribe")
    for stream in ("questions", "choices"):
        watcher.ask(stream, "unsubscribe", data={"action": "*"})


def open_socket(address):
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        sys.exit(f"The address must begin with http:// or https://, and {address!r} does not.")
    scheme = {"http": "ws", "https": "wss"}[parts.scheme]
    # Browsers say by themselves where a page came from. A script has to, or is not let in.
    origin = f"{parts.scheme}://{parts.netloc}"
    return connect(f"{scheme}://{parts.netloc}/ws/", origin=origin)


def main(address="http://127.0.0.1:8000"):
    try:
        with open_socket(address) as actor, open_socket(address) as watcher:
            walk(Client("actor  ", actor), Client("watcher", watcher))
    except ConnectionRefusedError:
        sys.exit(f"No demo answers at {address}. Start it with: make demo")
    print("\nAll as expected.")


if __name__ == "__main__":
    main(*sys.argv[1:])
