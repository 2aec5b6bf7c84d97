"""A client in a process of its own, so that it can be stopped: `python -m tests.faults_client URL`.

It subscribes, answers pings, and prints what it is told, at last with which code it was closed.
"""

import json
import sys
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from channels_api.protocol import SUBPROTOCOL

SUBSCRIBE = {"stream": "live", "payload": {"action": "subscribe", "data": {"action": "*"}}}


def tell(what: object) -> None:
    print(what, flush=True)  # noqa: T201 - the test reads it


def main(url: str) -> None:
    origin = f"http://{urlsplit(url).netloc}"
    with connect(url, subprotocols=[SUBPROTOCOL], origin=origin, proxy=None) as socket:
        socket.send(json.dumps(SUBSCRIBE))
        try:
            while True:
                frame = json.loads(socket.recv())
                if "ping" in frame:
                    socket.send(json.dumps({"pong": frame["ping"]}))
                else:
                    tell(frame["payload"]["action"])
        except ConnectionClosed:
            tell(socket.close_code)


if __name__ == "__main__":
    main(sys.argv[1])
