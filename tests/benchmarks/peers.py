"""The servers that are compared: what each serves, what it speaks, and how it is started."""

import json
import os
import resource
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from urllib.request import urlopen

from tests.benchmarks.frames import Flat, Http, Streams
from tests.servers import AppServer

# Of a machine with two cores: the server has one for itself.
SERVER_CORE, OTHER_CORE = 0, 1
QUIET = {
    "uvicorn": ["--ws", "auto", "--no-access-log", "--log-level", "warning"],
    "daphne": ["-v", "0"],
}


@dataclass(frozen=True)
class Peer:
    """A server of tests/benchmarks/project."""

    title: str
    module: str
    frames: Streams | Flat | Http
    env: Mapping[str, str] = field(default_factory=dict)


PEERS = {
    "ours": Peer("channels_api", "ours", Streams()),
    "dcrf": Peer("DCRF", "dcrf", Flat()),
    "floor": Peer("floor", "floor", Streams()),
    "fields": Peer("floor, fields once", "floor", Streams(), {"BENCH_FIELDS": "once"}),
    # Under Django's ASGI handler each request has a thread of its own, and no connection persists.
    "drf": Peer("DRF over HTTP", "drf", Http(), {"BENCH_POOL": "1"}),
    "raw": Peer("raw", "raw", Streams()),
}


def allow_sockets() -> None:
    """As many open files as this process, and those that it starts, may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started meanwhile runs on this core alone, if the machine has more than one."""
    before = os.sched_getaffinity(0)
    if {SERVER_CORE, OTHER_CORE} <= before:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class PeerServer(AppServer):
    """A peer under uvicorn or daphne, alone on its core if it is pinned."""

    def __init__(
        self,
        name: str,
        kind: str,
        env: Mapping[str, str],
        *,
        arguments: Sequence[str] = (),
        pinned: bool = True,
    ) -> None:
        self.name = name
        self.pinned = pinned
        own = {"DJANGO_SETTINGS_MODULE": "tests.benchmarks.project.settings", "BENCH_PEER": name}
        application = f"tests.benchmarks.project.{PEERS[name].module}:application"
        super().__init__(
            kind,
            application,
            env={**env, **PEERS[name].env, **own},
            arguments=[*QUIET[kind], *arguments],
        )

    def start(self) -> None:
        with on_core(SERVER_CORE) if self.pinned else nullcontext():
            super().start()


def count_queries(port: int) -> int:
    """How many a server has made since it was started."""
    with urlopen(f"http://127.0.0.1:{port}/stats/") as answer:
        return json.load(answer)["queries"]
