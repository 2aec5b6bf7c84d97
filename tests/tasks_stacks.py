"""The parts that tasks need, put together: brokers, result backends, workers, app servers."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.plugin import require_program
from tests.servers import AppServer, CeleryWorker, RabbitServer, RedisServer, Server


@dataclass
class Stack:
    """A running server with a worker; `env` is what both have in common."""

    server: AppServer
    env: dict[str, str]
    directory: Path
    worker: CeleryWorker | None = None
    redis: RedisServer | None = None
    rabbit: RabbitServer | None = None
    gates: int = 0

    @property
    def url(self) -> str:
        return self.server.url + "ws/"

    def gate(self) -> Path:
        """A file that is not there yet: tasks wait for it, the test makes it with `touch()`."""
        self.gates += 1
        return Path(tempfile.mkdtemp(dir=self.directory)) / f"gate-{self.gates}"


class Stacks:
    """Makes stacks, and keeps one of each kind for the whole session."""

    def __init__(self, app_server: Callable[..., AppServer], directory: Path) -> None:
        self._app_server = app_server
        self._directory = directory
        self._made: dict[tuple, Stack] = {}
        self._servers: list[Server] = []

    def get(
        self,
        name: str = "redis-prefork",
        *,
        kind: str = "uvicorn",
        heartbeat: float = 2,
        env: dict[str, str] | None = None,
        fresh: bool = False,
    ) -> Stack:
        """`embedded`, or broker and pool: `redis-prefork`, `redis-threads`, `rabbit-prefork`...

        `fresh` makes one that nobody else has, for tests that kill its parts.
        """
        key = (name, kind, heartbeat, tuple(sorted((env or {}).items())))
        if fresh or key not in self._made:
            stack = self._make(name, kind, heartbeat, env or {})
            if fresh:
                return stack
            self._made[key] = stack
        stack = self._made[key]
        if stack.worker is not None and not stack.worker.running:
            stack.worker.start()
        return stack

    def start(self, server: Server) -> Server:
        """Start a server that ends with the session at the latest."""
        self._servers.append(server)
        server.start()
        return server

    def close(self) -> None:
        for server in reversed(self._servers):
            server.close()

    def _make(self, name: str, kind: str, heartbeat: float, env: dict[str, str]) -> Stack:
        if name == "embedded":
            settings = {"EMBEDDED_WORKER": True, "HEARTBEAT": heartbeat}
            own = {"TEST_DEBUG": "1", "TEST_LAYER": "memory", **env}
            server = self._app_server(kind, env=own, channels_api=settings)
            return Stack(server, own, self._directory)
        broker, pool = name.split("-")
        require_program("redis-server")
        redis = self.start(RedisServer())
        address = redis.url.removesuffix("/0")
        own = {
            "TEST_LAYER": "redis",
            "TEST_REDIS_URL": redis.url,
            "TEST_BROKER": f"{address}/1",
            "TEST_RESULTS": f"{address}/2",
        }
        rabbit = None
        if broker == "rabbit":
            require_program("rabbitmq-server")
            rabbit = self.start(RabbitServer())
            own["TEST_BROKER"] = rabbit.url
        own |= env
        server = self._app_server(kind, env=own, channels_api={"HEARTBEAT": heartbeat})
        # The databases that pytest-django made, not the project's own.
        worker = self.start(CeleryWorker(pool, env={**server.env}))
        return Stack(server, own, self._directory, worker, redis, rabbit)
