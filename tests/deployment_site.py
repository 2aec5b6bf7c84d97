"""The site of docs/deployment.rst, started as the page says, in a directory instead of /srv."""

import configparser
import itertools
import os
import shlex
import ssl
import subprocess
import sys
import textwrap
from pathlib import Path

from tests import readme
from tests.client import SocketClient
from tests.servers import RedisServer, Server, close_all, find_program

PAGE = readme.README.parent / "docs/deployment.rst"
HOST = "example.org"
# All of 127.0.0.0/8 is this machine: each has an address of its own, and so its own counts.
ADDRESSES = (f"127.0.3.{number}" for number in itertools.count(1))
# What every Debian has, and this site has not.
MAIN = """
daemon off;
pid nginx.pid;
error_log stderr;
{user}
{main}
http {{
    access_log off;
    client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp;
    uwsgi_temp_path temp; scgi_temp_path temp;
    {site}
}}
"""
# An action that tells a client who it is.
ADDRESS = """
    @list_action()
    def address(self, data=None, **kwargs):
        return [self.request.META["REMOTE_ADDR"], self.request.is_secure()]
"""


def blocks(language: str) -> list[str]:
    """The page's blocks in a language, in order."""
    found = readme.ANY_BLOCK.finditer(PAGE.read_text())
    return [textwrap.dedent(each["code"]) for each in found if each["language"] == language]


def unit_service(block: str) -> dict[str, str]:
    """The [Service] of a systemd unit."""
    unit = configparser.RawConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block)
    return dict(unit["Service"])


class Unit(Server):
    """What a unit of the page starts, as systemd would."""

    def __init__(self, service: dict[str, str], project: Path, env: dict[str, str]) -> None:
        super().__init__()
        self.service = service
        self.env = env
        self.working_directory = project
        self.stop_seconds = 20.0

    def command(self) -> list[str]:
        command = self.service["ExecStart"].replace("%i", str(self.port))
        program, *arguments = shlex.split(command)
        here = Path(sys.executable).parent / Path(program).name
        assert Path(program).parent == Path("/srv/proj/venv/bin")
        return [str(here), *arguments]

    def environment(self) -> dict[str, str]:
        own = dict(pair.split("=", 1) for pair in self.service["Environment"].split())
        paths = {"PYTHONPATH": str(readme.README.parent), "PYTHONUNBUFFERED": "1"}
        return {**super().environment(), **own, **paths, **self.env}


class WorkerUnit(Unit):
    """The workers, which listen on no port."""

    def ready(self) -> bool:
        return " ready." in self.log[self.log_before :]


class Nginx(Server):
    """nginx with the page's configuration; `changes` are of its text."""

    def __init__(self, nodes: list[Unit], static: Path, changes: dict[str, str]) -> None:
        super().__init__()
        self.nodes, self.static, self.changes = nodes, static, changes
        self._make_certificate()

    def command(self) -> list[str]:
        (self.directory / "nginx.conf").write_text(self.configuration())
        program = find_program("nginx") or "nginx"
        return [program, "-e", "stderr", "-p", str(self.directory), "-c", "nginx.conf"]

    def configuration(self) -> str:
        main, site = blocks("nginx")
        # In a test, the limit of open files is that of whoever runs it.
        places = {
            "worker_rlimit_nofile 131072;": "",
            "worker_connections 65536;": "worker_connections 1000;",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            "/etc/ssl/example.org": str(self.directory / HOST),
            "/srv/proj/static/": f"{self.static}/",
            "127.0.0.1:8001": f"127.0.0.1:{self.nodes[0].port}",
            "127.0.0.1:8002": f"127.0.0.1:{self.nodes[1].port}",
            **self.changes,
        }
        user = "user root;" if os.geteuid() == 0 else ""
        text = MAIN.format(user=user, main=main, site=site)
        for there, here in places.items():
            assert there in text
            text = text.replace(there, here)
        return text

    def client(self, *, headers: dict[str, str] | None = None, **options) -> SocketClient:
        """A browser's socket, from a page of the site's own, and from an address of its own."""
        context = ssl.create_default_context(cafile=str(self.directory / f"{HOST}.pem"))
        defaults = {
            "origin": f"https://{HOST}",
            "ssl": context,
            "host": "127.0.0.1",
            "port": self.port,
            "ping_interval": None,
            "local_addr": (next(ADDRESSES), 0),
        }
        return SocketClient(f"wss://{HOST}/ws/", headers=headers, **{**defaults, **options})

    def _make_certificate(self) -> None:
        files = ["-keyout", f"{HOST}.key", "-out", f"{HOST}.pem", "-days", "1"]
        names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *names]
        subprocess.run(command, cwd=self.directory, check=True, capture_output=True)


class Site:
    """Redis, a process of each kind of server, workers, and nginx in front of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.static = directory / "static"
        self.redis = RedisServer()
        self.redis.start()
        self.env = {
            "SECRET_KEY": "only for tests",
            "STATIC_ROOT": str(self.static),
            "REDIS": self.redis.url.removesuffix("/0"),
        }
        self._write_project()
        server, daphne, worker = map(unit_service, self._units())
        self.nodes = [Unit(each, directory, self.env) for each in (server, daphne)]
        self.worker = WorkerUnit(worker, directory, self.env)
        self.proxies: list[Nginx] = []

    def start(self) -> None:
        """Start what is not running."""
        for each in (*self.nodes, self.worker):
            if not each.running:
                each.start()

    def nginx(self, changes: dict[str, str] | None = None) -> Nginx:
        """A proxy that runs; its nodes do not move to other ports any more."""
        made = Nginx(self.nodes, self.static, changes or {})
        self.proxies.append(made)
        made.start()
        return made

    def close(self) -> None:
        close_all([*self.proxies, *self.nodes, self.worker])
        self.redis.close()

    def _units(self) -> list[str]:
        server, daphne, worker = blocks("ini")
        line = next(each for each in server.splitlines(True) if each.startswith("ExecStart="))
        return [server, server.replace(line, daphne), worker]

    def _write_project(self) -> None:
        readme.write_project(self.directory)
        readme.write_tasks(self.directory)
        with (self.directory / "polls/bindings.py").open("a") as bindings:
            bindings.write(ADDRESS)
        files = readme.blocks(PAGE)
        path = self.directory / "proj/production.py"
        # Pings come sooner than anybody's patience ends.
        path.write_text(files["proj/production.py"] + 'CHANNELS_API["PING_INTERVAL"] = 0.5\n')
        for command in (
            ["makemigrations", "polls"],
            ["migrate"],
            ["check", "--deploy"],
            ["collectstatic", "--no-input"],
        ):
            settings = ["--settings", "proj.production"]
            readme.run(self.directory, "manage.py", *command, *settings, **self.env)
