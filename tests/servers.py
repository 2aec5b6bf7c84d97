"""Real servers for the tests: Redis, PostgreSQL, and the application under daphne or uvicorn.

Each is a child process on this machine, reached over 127.0.0.1 or a socket file, and ended by its
own process id. Only the standard library is imported here, because noxfile.py asks this module
what is missing.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: The programs that pip can't bring, and the Debian package of each.
PACKAGES = {
    "redis-server": "redis-server",
    "postgres": "postgresql",
    "rabbitmq-server": "rabbitmq-server",
    "curl": "curl",
    "nginx": "nginx",
    "openssl": "openssl",
    "chromium": "chromium",
}


def find_program(name: str) -> str | None:
    """The path of a program, or None. Debian keeps some servers' own programs out of PATH."""
    if name == "rabbitmq-server":
        # The one on PATH runs as another account, by su.
        return shutil.which(name, path="/usr/lib/rabbitmq/bin")
    # nginx is where only root looks.
    if found := shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"):
        return found
    homes = Path("/usr/lib/postgresql").glob("*/bin")
    by_version = sorted(homes, key=lambda home: [int(part) for part in home.parent.name.split(".")])
    return shutil.which(name, path=by_version[-1]) if by_version else None


def missing_programs(*programs: str) -> list[str]:
    """Which of these this machine lacks."""
    return [program for program in programs if find_program(program) is None]


def install_command(*programs: str) -> str:
    """The one command that brings these programs."""
    return "apt-get install -y " + " ".join(PACKAGES[program] for program in programs)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ServerError(Exception):
    """A server did not start; the message ends with what it printed."""


class Server:
    """A child process with a directory and a log of its own.

    A subclass gives `command()`; `start()` returns when `ready()` says that it answers.
    After `stop()` it may be started again: same port, same data. `close()` ends it for good.
    """

    stop_signal = signal.SIGTERM
    start_seconds = 60.0
    stop_seconds = 10.0
    #: The account that the process runs under, and its working directory: None for our own.
    account: pwd.struct_passwd | None = None
    working_directory: Path | None = None

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="channels-api-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        #: The length of the log when the process was last started.
        self.log_before = 0

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        if self.process is None:
            raise ServerError(f"{type(self).__name__} was never started")
        return self.process.pid

    @property
    def log(self) -> str:
        """What the process has printed since its first start, on either stream."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        # Between the look for a free port and the server's bind another process may take the port.
        for _ in range(5):
            self.log_before = len(self.log)
            self._spawn()
            if self._wait_until_ready():
                return
            self.stop()
            printed = self.log[self.log_before :]
            if "in use" not in printed:
                break
            self.port = free_port()
        raise ServerError(f"{type(self).__name__} did not start:\n{printed[-4000:]}")

    def stop(self) -> None:
        """Ask the process to end; end it by force if it doesn't within `stop_seconds`."""
        if self.process is None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """Stop, and remove the directory with data and log."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _spawn(self) -> None:
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=subprocess.STDOUT, **self._process_options()
            )

    def _process_options(self) -> dict:
        options: dict = {
            "stdin": subprocess.DEVNULL,
            "env": self.environment(),
            "cwd": self.working_directory or self.directory,
            # Ctrl-C in a terminal reaches the whole process group: in ours, a server would be gone
            # before the fixtures that still need it are torn down.
            "start_new_session": True,
        }
        if self.account is not None:
            options |= {
                "user": self.account.pw_uid,
                "group": self.account.pw_gid,
                "extra_groups": [],
            }
        return options

    def _wait_until_ready(self) -> bool:
        deadline = time.monotonic() + self.start_seconds
        while self.running and time.monotonic() < deadline:
            # `running` once more: the answer may have come from the process that took our port.
            if self.ready() and self.running:
                return True
            time.sleep(0.02)
        return False


def close_all(servers: Iterable[Server]) -> None:
    """Close several at once: each takes a while."""
    several = list(servers)
    for server in several:
        if server.running:
            server.process.send_signal(server.stop_signal)
    for server in several:
        server.close()


class RedisServer(Server):
    """Redis without persistence: when it is started again, it has forgotten everything."""

    def command(self) -> list[str]:
        program = find_program("redis-server") or "redis-server"
        options = {
            "--bind": "127.0.0.1",
            "--port": str(self.port),
            "--save": "",
            "--appendonly": "no",
        }
        return [program, *(word for pair in options.items() for word in pair)]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class PostgresServer(Server):
    """A fresh PostgreSQL cluster, reached over a socket file in its own directory."""

    user = "channels_api"
    # "Fast shutdown": SIGTERM would wait until the last client has gone.
    stop_signal = signal.SIGINT

    def __init__(self) -> None:
        super().__init__()
        # PostgreSQL refuses to run as root.
        if os.geteuid() == 0:
            self.account = find_account("postgres", "nobody")
            os.chown(self.directory, self.account.pw_uid, self.account.pw_gid)

    @property
    def host(self) -> str:
        """For libpq, a host that begins with a slash is the directory of the socket file."""
        return str(self.directory)

    def command(self) -> list[str]:
        program = find_program("postgres") or "postgres"
        where = ["-D", str(self.directory / "data"), "-k", self.host, "-p", str(self.port)]
        # No fsync: losing the data in a crash of the machine is fine, and the suite is far faster.
        return [program, *where, "-c", "listen_addresses=", "-c", "fsync=off"]

    def environment(self) -> dict[str, str]:
        # PGDATA and the like of the person who runs the tests are not meant for this cluster.
        return {name: value for name, value in os.environ.items() if not name.startswith("PG")}

    def ready(self) -> bool:
        # The socket file is there before the server answers; its own line is the reliable sign.
        return "ready to accept connections" in self.log[self.log_before :]

    def start(self) -> None:
        if not (self.directory / "data").exists():
            self._make_cluster()
        super().start()

    def _make_cluster(self) -> None:
        program = find_program("initdb") or "initdb"
        options = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        done = subprocess.run(
            [program, "-D", str(self.directory / "data"), "-U", self.user, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self._process_options(),
        )
        if done.returncode:
            raise ServerError(f"initdb failed:\n{done.stdout}")


def find_account(*names: str) -> pwd.struct_passwd:
    """The first of these accounts that this machine has."""
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerError(f"none of the accounts {', '.join(names)} exists here")


class Epmd(Server):
    """Erlang's name server, which RabbitMQ asks; in the foreground, so that it ends with us."""

    def command(self) -> list[str]:
        return [find_program("epmd") or "epmd", "-port", str(self.port), "-address", "127.0.0.1"]


class RabbitServer(Server):
    """RabbitMQ with its own data, names and ports: several run side by side."""

    start_seconds = 60.0
    stop_seconds = 30.0

    def __init__(self) -> None:
        super().__init__()
        self.epmd = Epmd()
        self.distribution_port = free_port()

    def command(self) -> list[str]:
        return [find_program("rabbitmq-server") or "rabbitmq-server"]

    def environment(self) -> dict[str, str]:
        own = {
            "HOME": str(self.directory),
            "ERL_EPMD_PORT": str(self.epmd.port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"tests{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "data"),
            "RABBITMQ_LOG_BASE": str(self.directory / "logs"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_LOGS": "-",
        }
        return {**super().environment(), **own}

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def ready(self) -> bool:
        return "Server startup complete" in self.log[self.log_before :]

    def start(self) -> None:
        if not self.epmd.running:
            self.epmd.start()
        super().start()

    def close(self) -> None:
        super().close()
        self.epmd.close()


class CeleryWorker(Server):
    """A worker of the tests' Celery app."""

    #: What Celery calls `-A`.
    application = "tests.app.celery_app"
    working_directory = ROOT
    # Cold: a warm shutdown would wait for tasks that wait for a test that is over.
    stop_signal = signal.SIGQUIT

    def __init__(
        self, pool: str = "prefork", *, env: Mapping[str, str], arguments: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.pool = pool
        self.env = dict(env)
        self.arguments = list(arguments)

    def command(self) -> list[str]:
        options = ["-P", self.pool, "-c", "2", "--loglevel", "INFO", "-n", f"tests@{self.port}"]
        quiet = ["--without-gossip", "--without-mingle"]
        app = ["-m", "celery", "-A", self.application, "worker"]
        return [sys.executable, *app, *options, *quiet, *self.arguments]

    def environment(self) -> dict[str, str]:
        defaults = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONUNBUFFERED": "1"}
        return {**super().environment(), **defaults, **self.env}

    def ready(self) -> bool:
        return " ready." in self.log[self.log_before :]

    @property
    def children(self) -> list[int]:
        """The process ids of the pool."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


class AppServer(Server):
    """An ASGI application under daphne or uvicorn, started in the root of the checkout."""

    working_directory = ROOT

    def __init__(
        self,
        kind: str = "daphne",
        application: str = "tests.app.asgi:application",
        *,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.kind = kind
        self.application = application
        self.env = dict(env or {})
        self.arguments = list(arguments)

    def command(self) -> list[str]:
        address = {
            "daphne": ["-b", "127.0.0.1", "-p", str(self.port)],
            "uvicorn": ["--host", "127.0.0.1", "--port", str(self.port), "--ws", "websockets"],
        }[self.kind]
        return [sys.executable, "-m", self.kind, *address, *self.arguments, self.application]

    def environment(self) -> dict[str, str]:
        defaults = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONUNBUFFERED": "1"}
        return {**super().environment(), **defaults, **self.env}

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"
