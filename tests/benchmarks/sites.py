"""What the servers of a run stand on: a filled database, and Redis where a layer needs it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.benchmarks.loads import ROWS
from tests.benchmarks.peers import OTHER_CORE, PeerServer, on_core
from tests.servers import ROOT, PostgresServer, RedisServer

USERS = 100


@dataclass
class Site:
    """The environment of its servers, how they are served, and the session keys of its users."""

    kind: str
    env: dict[str, str]
    sessions: list[str]

    def server(self, peer: str, *arguments: str, pinned: bool = True, **env: str) -> PeerServer:
        """A server that is not started yet; the arguments are uvicorn's or daphne's."""
        return PeerServer(peer, self.kind, {**self.env, **env}, arguments=arguments, pinned=pinned)


@contextmanager
def make_site(
    kind: str = "uvicorn",
    database: str = "sqlite",
    layer: str = "memory",
    *,
    rows: int = ROWS,
    users: int = USERS,
    notes: int = 1,
) -> Iterator[Site]:
    """`uvicorn` or `daphne`; `sqlite` or `postgres`; `memory`, `redis` or `pubsub`.

    There are so many questions, users, and notes of each user alone.
    """
    with ExitStack() as parts, on_core(OTHER_CORE):
        directory = parts.enter_context(tempfile.TemporaryDirectory())
        env = {"BENCH_DIRECTORY": directory, "BENCH_DB": database, "BENCH_LAYER": layer}
        if layer != "memory":
            env["BENCH_REDIS_URL"] = parts.enter_context(RedisServer()).url
        if database == "postgres":
            postgres = parts.enter_context(PostgresServer())
            env |= {
                "BENCH_DB_HOST": postgres.host,
                "BENCH_DB_PORT": str(postgres.port),
                "BENCH_DB_USER": postgres.user,
            }
        yield Site(kind, env, fill(env, rows, users, notes))


def fill(env: dict[str, str], *counts: int) -> list[str]:
    """Fill the database of this environment; the session keys of its users."""
    command = [sys.executable, "-m", "tests.benchmarks.project.prepare", *map(str, counts)]
    settings = {"DJANGO_SETTINGS_MODULE": "tests.benchmarks.project.settings"}
    done = subprocess.run(
        command,
        env={**os.environ, **env, **settings},
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)
