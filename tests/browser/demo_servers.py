"""The demo as processes: on the embedded default, and with Redis and a worker as on a real site."""

import subprocess
import sys
from contextlib import ExitStack

from tests.plugin import require_program
from tests.servers import ROOT, AppServer, CeleryWorker, RedisServer

DEMO = ROOT / "demo"
PREPARE = """
from django.core.management import call_command
from polls.samples import fill_in
call_command("migrate", interactive=False, verbosity=0)
fill_in()
"""


class DemoServer(AppServer):
    """The demo under daphne, by the command of `make demo`, or under uvicorn with a Redis.

    Its database is a file in its own directory.
    """

    working_directory = DEMO

    def __init__(self, kind: str, redis_url: str = "") -> None:
        super().__init__(kind, "proj.asgi:application")
        self.env = {
            "DJANGO_SETTINGS_MODULE": "proj.settings",
            "DEMO_DATABASE": str(self.directory / "demo.sqlite3"),
            "DEMO_REDIS_URL": redis_url,
            # Long enough to see it under way, and to cancel it.
            "DEMO_REPORT_SECONDS": "3",
        }

    def command(self) -> list[str]:
        if self.kind == "uvicorn":
            return super().command()
        return [sys.executable, "manage.py", "demo", str(self.port)]

    def prepare(self) -> None:
        """Make the database, which the command `demo` does by itself."""
        shell = [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", PREPARE]
        subprocess.run(shell, cwd=DEMO, env=self.environment(), check=True)


class DemoWorker(CeleryWorker):
    """A worker of the demo's tasks, as a process of its own."""

    application = "proj"
    working_directory = DEMO


def start_demo(kind: str, servers: ExitStack) -> DemoServer:
    """`daphne`: one process for everything. `uvicorn`: with Redis and a worker."""
    if kind == "daphne":
        return servers.enter_context(DemoServer("daphne"))
    require_program("redis-server")
    redis = servers.enter_context(RedisServer())
    server = DemoServer("uvicorn", redis.url)
    server.prepare()
    servers.enter_context(server)
    servers.enter_context(DemoWorker(env=server.env))
    return server
