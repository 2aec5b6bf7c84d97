"""The servers of the benchmarks, made of those of the tests."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from tests.servers import AppServer, CeleryWorker, RedisServer

APPLICATION = "tests.benchmarks.asgi:application"


@dataclass
class Parts:
    """A server, and its worker where that is a process of its own."""

    server: AppServer
    worker: CeleryWorker | None = None

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def worker_pids(self) -> list[int]:
        """The worker's main process and its pool."""
        return [self.worker.pid, *self.worker.children] if self.worker is not None else []


class Worker(CeleryWorker):
    """The worker of the benchmarks' app."""

    def command(self) -> list[str]:
        return [
            "tests.benchmarks.work" if word == "tests.app.celery_app" else word
            for word in super().command()
        ]


@contextlib.contextmanager
def prefork(layer: str) -> Iterator[Parts]:
    """Redis as broker, result backend and channel layer; two processes in the pool.

    The layer is channels_redis' core one, or that of pub/sub if it is called `pubsub`. The
    addresses are in the environment too, for a script that publishes by itself.
    """
    with RedisServer() as redis, tempfile.TemporaryDirectory() as directory:
        address = redis.url.removesuffix("/0")
        env = {
            "TEST_DIRECTORY": directory,
            "TEST_LAYER": "redis-pubsub" if layer == "pubsub" else "redis",
            "TEST_REDIS_URL": redis.url,
            "TEST_BROKER": f"{address}/1",
            "TEST_RESULTS": f"{address}/2",
        }
        os.environ.update(env)
        with Worker(env=env) as worker, AppServer("uvicorn", APPLICATION, env=env) as server:
            yield Parts(server, worker)


@contextlib.contextmanager
def embedded() -> Iterator[Parts]:
    """One process is all there is."""
    with tempfile.TemporaryDirectory() as directory:
        env = {
            "TEST_DIRECTORY": directory,
            "TEST_LAYER": "memory",
            "TEST_BROKER": "memory://",
            "TEST_RESULTS": "cache+memory://",
            "TEST_DEBUG": "1",
            "TEST_CHANNELS_API": json.dumps({"EMBEDDED_WORKER": True}),
        }
        with AppServer("uvicorn", APPLICATION, env=env) as server:
            yield Parts(server)
