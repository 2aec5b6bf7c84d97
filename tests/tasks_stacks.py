"""The parts that tasks need, put together: brokers, result backends, workers, app servers."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.plugin import require_program
from tests.servers import AppServer, CeleryWorker, RabbitServer, RedisServer, Server, close_all


@dataclass
class Stack:
    """A running server with a worker; `env` is what both have in common.

    `redis` has the channel layer; `broker` and `results` may be the same server.
    """

    server: AppServer
    env: dict[str, str]
    directory: Path
    worker: CeleryWorker | None = None
    redis: RedisServer | None = None
    broker: Server | None = None
    results: RedisServer | None = None
    gates: int = 0

    @property
    def parts(self) -> list[Server]:
        """In the order in which they need each other."""
        parts = (self.redis, self.broker, self.results, self.server, self.worker)
        return [part for part in parts if part is not None]

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
        channels_api: Mapping[str, object] | None = None,
        fresh: bool = False,
    ) -> Stack:
        """`embedded`, or broker and pool: `redis-prefork`, `redis-threads`, `rabbit-prefork`...

        `apart-prefork` has a Redis each for the layer, the broker and the results.
        `channels_api` are settings beside HEARTBEAT. `fresh` makes one that nobody else has, for
        tests that kill its parts.
        """
        settings = {"HEARTBEAT": heartbeat, **(channels_api or {})}
        key = (name, kind, *sorted((env or {}).items()), *sorted(settings.items()))
        if fresh or key not in self._made:
            stack = self._make(name, kind, settings, env or {})
            if fresh:
                return stack
            self._made[key] = stack
        stack = self._made[key]
        for part in stack.parts:  # a test may have killed it to see what happens
            if not part.running:
                part.start()
        return stack

    def start(self, server: Server) -> Server:
        """Start a server that ends with the session at the latest."""
        self._servers.append(server)
        server.start()
        return server

    def close(self) -> None:
        workers = [each for each in self._servers if isinstance(each, CeleryWorker)]
        close_all(workers)
        # Nobody talks to these any more.
        close_all(each for each in self._servers if each not in workers)

    def _make(self, name: str, kind: str, settings: dict, env: dict[str, str]) -> Stack:
        if name == "embedded":
            own = {"TEST_DEBUG": "1", "TEST_LAYER": "memory", **env}
            settings = {"EMBEDDED_WORKER": True, **settings}
            server = self._app_server(kind, env=own, channels_api=settings)
            return Stack(server, own, self._directory)
        broker, pool = name.split("-")
        require_program("redis-server")
        redis = broker_server = results = self.start(RedisServer())
        if broker == "apart":
            broker_server, results = self.start(RedisServer()), self.start(RedisServer())
        own = {
            "TEST_LAYER": "redis",
            "TEST_REDIS_URL": redis.url,
            "TEST_BROKER": f"{broker_server.url.removesuffix('/0')}/1",
            "TEST_RESULTS": f"{results.url.removesuffix('/0')}/2",
        }
        if broker == "rabbit":
            require_program("rabbitmq-server")
            broker_server = self.start(RabbitServer())
            own["TEST_BROKER"] = broker_server.url
        own |= env
        server = self._app_server(kind, env=own, channels_api=settings)
        # The databases that pytest-django made, not the project's own.
        worker = self.start(CeleryWorker(pool, env={**server.env}))
        return Stack(server, own, self._directory, worker, redis, broker_server, results)
