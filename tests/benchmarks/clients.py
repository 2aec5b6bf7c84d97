"""Who begins the tasks: sockets, or a plain script that knows nothing of channels_api."""

import asyncio
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import websockets

# Seconds for a task to end; and between two looks of the script.
LIMIT = 30.0
POLL = 0.005


@dataclass
class Heard:
    """The frames of one task: the data of each state, and when it came."""

    at: dict[str, float] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    def delays(self) -> dict[str, float]:
        """Seconds from the storing of each state to its frame; no entry for one never shown."""
        result = self.data["SUCCESS"]["result"]
        stored = {"STARTED": result["STARTED"], "SUCCESS": result["at"]}
        if "PROGRESS" in self.data:
            stored["PROGRESS"] = self.data["PROGRESS"]["meta"]["at"]
        return {state: self.at[state] - at for state, at in stored.items() if state in self.at}


class Socket:
    """Begins tasks, so many at a time, and hears them to their end."""

    def __init__(self, url: str, window: int) -> None:
        self._url = url
        self._window = window

    async def run(self, task: str, argument: Any, count: int) -> list[Heard]:
        async with websockets.connect(self._url, proxy=None, compression=None) as socket:
            heard: defaultdict[int, Heard] = defaultdict(Heard)
            begun = ended = 0
            while ended < count:
                while begun < count and begun - ended < self._window:
                    await socket.send(_frame(begun, task, argument))
                    begun += 1
                text = await asyncio.wait_for(socket.recv(), LIMIT)
                ended += _note(heard, json.loads(text)["payload"])
            return list(heard.values())


def _frame(number: int, task: str, argument: Any) -> str:
    data = {"task": task, "argument": argument}
    payload = {"action": "start", "request_id": number, "data": data}
    return json.dumps({"stream": "work", "payload": payload})


def _note(heard: dict[int, Heard], payload: dict[str, Any]) -> bool:
    """Keep a frame; whether it is the last of its task."""
    if payload["response_status"] not in (200, 202):
        raise RuntimeError(payload)
    of, data = heard[payload["request_id"]], payload["data"]
    of.at[data["state"]] = time.time()
    of.data[data["state"]] = data
    return payload["response_status"] == 200


async def over_sockets(
    url: str, task: str, argument: Any, count: int, *, sockets: int = 1, window: int
) -> list[Heard]:
    """Tasks that handlers begin; `window` are under way at a time on each socket."""
    parts = [Socket(url, window).run(task, argument, count // sockets) for _ in range(sockets)]
    return [heard for part in await asyncio.gather(*parts) for heard in part]


def by_script(task: Any, argument: Any, count: int, *, window: int) -> None:
    """Tasks that are published without a handler, and polled in their order."""
    under_way: list[Any] = []
    begun = 0
    while begun < count or under_way:
        while begun < count and len(under_way) < window:
            under_way.append(task.delay(argument))
            begun += 1
        deadline = time.monotonic() + LIMIT
        while (
            under_way[0].backend.get_task_meta(under_way[0].id, cache=False)["status"] != "SUCCESS"
        ):
            if time.monotonic() > deadline:
                raise TimeoutError(under_way[0])
            time.sleep(POLL)
        del under_way[0]
