"""What a client keeps of one stateful subscription; no I/O."""

from typing import Any

Row = dict[str, Any]

EVENT_KEYS = {
    *("action", "pk", "data", "model", "subscription", "request_id"),
    *("epoch", "seq", "n"),
}
RESET_KEYS = {"action", "reason", "subscription", "request_id", "epoch", "seq", "n", "snapshot"}
REPLY_KEYS = {"action", "errors", "data", "response_status", "request_id"}
RECOVERED_KEYS = {"action", "subscription", "epoch", "seq", "recovered"}


class Replica:
    """The rows by pk, made of replies and events alone; each payload has to be as promised.

    `key` is the name of the primary key in the rows. `position` is how far the client was told,
    `reasons` are those of all that made it begin anew, of replies and resets. `ended`: there is
    no subscription any more, the server said so. A replica outlives its socket: the next `reply`
    goes on with it.
    """

    def __init__(self, key: str = "id") -> None:
        self.rows: dict[Any, Row] = {}
        self.position: dict[str, Any] | None = None
        self.subscription: str | None = None
        self.recovered = False
        self.reasons: list[str] = []
        self.ended = False
        self._key = key
        self._request_id: Any = None
        self._n = 0

    def reply(self, payload: dict[str, Any]) -> None:
        """Take the payload of the reply to a subscribe that went well."""
        assert payload.keys() == REPLY_KEYS, payload
        assert (payload["action"], payload["response_status"]) == ("subscribe", 200), payload
        assert payload["errors"] == []
        data = payload["data"]
        assert data["action"] == "*"
        self.recovered = data["recovered"]
        if self.recovered:
            assert data.keys() == RECOVERED_KEYS, data
            assert self.position is not None, "there was nothing to go on from"
            self._check_progress(data)
        else:
            assert data.keys() == {*RECOVERED_KEYS, "reason", "snapshot"}, data
            self._replace(data)
        self.subscription, self._request_id = data["subscription"], payload["request_id"]
        self.ended, self._n = False, 0
        self._move(data)

    def event(self, payload: dict[str, Any]) -> None:
        """Take the payload of an event or of a reset."""
        assert not self.ended, f"after the end: {payload}"
        assert self.has(payload), payload
        assert payload["request_id"] == self._request_id
        assert payload["n"] == self._n + 1, f"after {self._n} frames: {payload}"
        self._n += 1
        if payload["action"] == "reset":
            self._reset(payload)
        else:
            self._change(payload)
        self._move(payload)

    def has(self, payload: dict[str, Any]) -> bool:
        """Whether a payload is a frame of this subscription."""
        return bool(payload.get("subscription") == self.subscription)

    def resume_data(self) -> dict[str, Any]:
        """The data of a subscribe that goes on from here."""
        return {"action": "*", "since": self.position, "have": list(self.rows)}

    def _change(self, payload: dict[str, Any]) -> None:
        assert payload.keys() == EVENT_KEYS, payload
        assert payload["action"] in ("create", "update", "delete"), payload
        self._check_progress(payload)
        pk, row = payload["pk"], payload["data"]
        if payload["action"] == "delete":
            assert row is None, payload
            self.rows.pop(pk, None)  # of a row that was gone when the snapshot was read
        else:
            assert row[self._key] == pk, payload
            self.rows[pk] = row

    def _reset(self, payload: dict[str, Any]) -> None:
        assert payload.keys() == RESET_KEYS, payload
        assert payload["reason"] in ("gap", "too_many", "forbidden"), payload
        self.ended = payload["snapshot"] is None or payload["reason"] == "forbidden"
        self._replace({**payload, "snapshot": payload["snapshot"] or []})

    def _replace(self, data: dict[str, Any]) -> None:
        self.reasons.append(data["reason"])
        self.rows = {row[self._key]: row for row in data["snapshot"]}
        assert len(self.rows) == len(data["snapshot"]), "a row stands twice in a snapshot"

    def _check_progress(self, data: dict[str, Any]) -> None:
        if self.position is not None and self.position["epoch"] == data["epoch"]:
            assert self.position["seq"] <= data["seq"], f"back from {self.position}: {data}"

    def _move(self, data: dict[str, Any]) -> None:
        assert isinstance(data["epoch"], str)
        assert type(data["seq"]) is int
        self.position = {"epoch": data["epoch"], "seq": data["seq"]}
