"""The suite on the Pythons of this machine, and the checks of the source.

    nox                           everything
    nox -s newest -- -k frames    one session; what follows `--` goes to pytest

What could not run here is named in the last lines.
"""

import atexit
import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from tests.servers import install_command, missing_programs  # noqa: E402

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"

#: Asks a Python what it is. A free-threaded build isn't one that the dependencies have wheels for.
WHO_ARE_YOU = """
import sys, sysconfig
released = sys.version_info.releaselevel == "final"
if released and not sysconfig.get_config_var("Py_GIL_DISABLED"):
    print(*sys.version_info[:2], sys.executable)
"""


def candidates() -> list[Path]:
    """What may be a Python: on PATH, in pyenv, and the one that runs this."""
    on_path = [
        path
        for directory in os.get_exec_path()
        for path in Path(directory).glob("python3.*")
        if re.fullmatch(r"python3\.\d+", path.name)
    ]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return [*on_path, *pyenv.glob("versions/*/bin/python3"), Path(sys.executable)]


def find_pythons() -> dict[tuple[int, int], str]:
    """The Pythons from 3.10 on that really run here: version -> path.

    Each is started, for pyenv puts a `python3.X` on PATH that only says "command not found".
    """
    found: dict[tuple[int, int], str] = {}
    for candidate in candidates():
        try:
            answer = subprocess.run(
                [candidate, "-c", WHO_ARE_YOU], capture_output=True, text=True, timeout=20
            ).stdout.split(maxsplit=2)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if len(answer) == 3:
            major, minor, path = answer
            found.setdefault((int(major), int(minor)), path.strip())
    usable = {version: path for version, path in found.items() if version >= (3, 10)}
    return usable or sys.exit("channels_api needs Python 3.10 or newer; there is none here.")


PYTHONS = find_pythons()
# nox takes the first `python3.X` on PATH: with these in front, it is one that runs.
FOUND = [str(Path(path).parent) for path in PYTHONS.values()]
os.environ["PATH"] = os.pathsep.join([*FOUND, *os.get_exec_path()])

#: Django 5.2 is tested on 3.11 or, where that is missing, on the oldest Python there is.
STEADY = "3.11" if (3, 11) in PYTHONS else "3.{1}".format(*min(PYTHONS))
NEWEST = "3.{1}".format(*max(PYTHONS))


@functools.cache
def say_at_the_end(line: str) -> None:
    """Print a line below everything that nox prints, once."""
    atexit.register(print, f"not run: {line}", file=sys.stderr)


def dependencies(group: str) -> tuple[str, ...]:
    """A dependency group of pyproject.toml."""
    return nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), group)


def run_suite(session: nox.Session, *requirements: str, processes: int = 2, **env: str) -> None:
    session.install("-e", ".", *requirements, *dependencies("test"))
    # By file: what the tests of a file have started serves all of them. In the order of
    # tests/plugin.py: few tests may take longer than many.
    spread = ["--numprocesses", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]
    session.run("python", "-m", "pytest", *spread, *session.posargs, env=env)


@nox.session(python=[STEADY], tags=["test"])
def django52(session: nox.Session) -> None:
    """Python 3.11, Django 5.2, SQLite, in-memory layer; a few tests with workers and brokers."""
    if STEADY != "3.11":
        say_at_the_end(f"Python 3.11, which is not here; Django 5.2 ran on Python {STEADY}")
    run_suite(session, "django~=5.2.0", TEST_DB="sqlite", TEST_LAYER="memory", TEST_PART="embedded")


@nox.session(python=[NEWEST], tags=["test"])
def newest(session: nox.Session) -> None:
    """The newest Python of this machine and Django, SQLite: what starts no server."""
    if max(PYTHONS) < (3, 12):
        reason = f"the newest Django, which needs Python 3.12; here, {NEWEST} is the newest"
        say_at_the_end(reason)
        session.skip(reason)
    run_suite(session, TEST_DB="sqlite", TEST_LAYER="memory", TEST_PART="plain")


def name_missing(session: nox.Session, *programs: str) -> list[str]:
    """Which of these programs this machine lacks: said at the end, and an error in CI."""
    missing = missing_programs(*programs)
    reason = f"what needs {' and '.join(missing)}; to install: {install_command(*missing)}"
    if missing and os.environ.get("CI") == "true":
        session.error(reason)
    if missing:
        say_at_the_end(reason)
    return missing


@nox.session(python=[NEWEST], tags=["test"])
def servers(session: nox.Session) -> None:
    """The newest Python and Django, PostgreSQL, Redis: what starts servers or has a database."""
    missing = name_missing(
        session, "redis-server", "postgres", "rabbitmq-server", "curl", "nginx", "openssl"
    )
    env = {
        "TEST_DB": "sqlite" if "postgres" in missing else "postgres",
        "TEST_LAYER": "memory" if "redis-server" in missing else "redis",
    }
    if env == {"TEST_DB": "sqlite", "TEST_LAYER": "memory"}:
        session.skip("neither is here, and without them there is nothing new in it")
    # Many of these tests wait for servers, and two processes would leave a core idle.
    run_suite(session, **env, processes=3, TEST_PART="servers")


@nox.session(python=[NEWEST], tags=["test"])
def browser(session: nox.Session) -> None:
    """The newest Python and Django, Chromium, Node: the client, the debugger, the demo's page."""
    name_missing(session, "redis-server", "chromium")
    session.install(*dependencies("browser"))
    # Here and not in the first test that needs them: the time of a test is limited.
    session.run("python", "-m", "tests.browser.node_tools")
    env = {"TEST_DB": "sqlite", "TEST_LAYER": "memory", "TEST_PART": "browser"}
    run_suite(session, **env)


@nox.session(python=[STEADY])
def check(session: nox.Session) -> None:
    """Style, format, types, and the direction of the imports."""
    session.install("-e", ".", *dependencies("check"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports", "--no-cache")


@nox.session(python=[STEADY], default=False)
def format(session: nox.Session) -> None:  # noqa: A001
    """Put the source into its format, and mend what ruff can mend."""
    session.install("ruff>=0.14")
    session.run("ruff", "check", "--fix-only", ".")
    session.run("ruff", "format", ".")
