"""Tasks that the tests begin on the stream `wire`, and the frames that have to come."""

from dataclasses import dataclass
from typing import Any

from tests.client import PATIENCE, SocketClient
from tests.tasks_helpers import follow, frame

REQUEST = "the request"


@dataclass
class Begun:
    """A task, and the frame that a client began it with."""

    client: SocketClient
    action: str
    task: str
    request_id: Any = REQUEST
    stream: str = "wire"

    def frame(self, status: int, state: str, errors: list | None = None, **data) -> dict:
        """What the client is to be told: `data` is the result or the meta."""
        content = {"id": self.task, "state": state, **data}
        return frame(self.stream, self.action, self.request_id, status, content, errors)

    async def tells(self, state: str, **data) -> None:
        """The next frame is that of a state on the way."""
        assert await self.client.receive(timeout=PATIENCE) == self.frame(202, state, **data)

    async def tells_completed(self, completed: int, total: int) -> None:
        """The next frames count the members of a group, up to this number."""
        seen = -1
        while seen < completed:
            told = await self.client.receive(timeout=PATIENCE)
            seen = told["payload"]["data"]["meta"]["completed"]
            state = "PROGRESS" if seen else "PENDING"
            assert told == self.frame(202, state, meta={"completed": seen, "total": total})
        assert seen == completed

    async def ends(self, status: int, state: str, errors: list | None = None, **data) -> list:
        """The last frame is this one. Returns the states before it, which may be merged."""
        frames = await follow(self.client)
        assert frames[-1] == self.frame(status, state, errors, **data)
        return [each["payload"]["data"]["state"] for each in frames[:-1]]

    async def fails(self) -> str:
        """The last frame tells of a failure without its reason. Returns the error id."""
        frames = await follow(self.client)
        errors = frames[-1]["payload"]["errors"]
        assert frames[-1] == self.frame(500, "FAILURE", errors)
        assert len(errors) == 2
        assert errors[0] == "Task failed"
        # The embedded worker needs DEBUG, where the text is shown.
        assert errors[1].keys() - {"exception"} == {"error_id"}
        return errors[1]["error_id"]


async def begin(client: SocketClient, action: str = "start", **data) -> Begun:
    """Have an action begin a task; its reply is checked."""
    reply = await client.request("wire", action, request_id=REQUEST, data=data)
    begun = Begun(client, action, reply["data"]["id"])
    assert reply == begun.frame(202, "PENDING")["payload"]
    return begun


async def subscribe(
    client: SocketClient, task: str, request_id: Any = "again", stream: str = "tasks"
) -> tuple[Begun, dict]:
    """Subscribe to a task by its id; with the payload of the reply."""
    reply = await client.request(stream, "subscribe", pk=task, request_id=request_id)
    return Begun(client, "subscribe", task, request_id, stream), reply
