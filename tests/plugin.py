"""The pytest plugin of this suite: starts what TEST_DB and TEST_LAYER ask for, hides no skip.

A plugin of its own, loaded by `-p tests.plugin` in pyproject.toml, because pytest-django reads
Django's settings before the first conftest.py is imported, and the settings need the addresses of
these servers.
"""

import contextlib
import os
import shutil
import signal
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from tests.servers import PostgresServer, RedisServer, find_program, install_command


def require_program(program: str) -> None:
    """Skip the test if the machine lacks a program; fail it in CI, which has to install it."""
    if find_program(program) is not None:
        return
    reason = f"needs {program}: {install_command(program)}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config):
    """Start the servers, then let pytest-django read the settings that point at them."""
    # A run that is told to end does so as with Ctrl-C, or it would leave its servers behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.ExitStack() as services:
        start_services(services)
        early_config.add_cleanup(services.pop_all().close)
    return (yield)


def start_services(services: contextlib.ExitStack) -> None:
    """Put the addresses into the environment, where tests.settings and the app servers find them.

    An address that is already there wins: a server that somebody else started is left alone.
    """
    if "TEST_DIRECTORY" not in os.environ:
        directory = tempfile.mkdtemp(prefix="channels-api-")
        services.callback(shutil.rmtree, directory, ignore_errors=True)
        export(services, TEST_DIRECTORY=directory)
    if wanted("TEST_LAYER", "redis", "memory") == "redis" and "TEST_REDIS_URL" not in os.environ:
        redis = services.enter_context(RedisServer())
        export(services, TEST_REDIS_URL=redis.url)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and "TEST_REDIS_URL" in os.environ:
        # One database for each: their servers would ring each other for rows that only one has.
        base = os.environ["TEST_REDIS_URL"].rpartition("/")[0]
        export(services, TEST_REDIS_URL=f"{base}/{worker.removeprefix('gw')}")
    if wanted("TEST_DB", "postgres", "sqlite") == "postgres" and "TEST_DB_HOST" not in os.environ:
        postgres = services.enter_context(PostgresServer())
        export(
            services,
            TEST_DB_HOST=postgres.host,
            TEST_DB_PORT=str(postgres.port),
            TEST_DB_USER=postgres.user,
        )


def wanted(variable: str, external: str, default: str) -> str:
    """The value of TEST_LAYER or TEST_DB. Who asks for a server must have it: no quiet fallback."""
    value = os.environ.get(variable, default)
    if value not in (external, default):
        raise pytest.UsageError(f"{variable} is {external!r} or {default!r}, not {value!r}.")
    program = {"redis": "redis-server", "postgres": "postgres"}.get(value)
    if program and find_program(program) is None:
        raise pytest.UsageError(f"{variable}={value} needs {program}: {install_command(program)}")
    return value


def export(services: contextlib.ExitStack, **variables: str) -> None:
    for name, value in variables.items():
        os.environ[name] = value
        services.callback(os.environ.pop, name, None)


#: Tests with workers and brokers that run in every session that has servers.
FEW = {"test_tasks_wire.py"}
#: Files and tests for which once is enough: they bring all servers that they need, or try out the
#: tests themselves.
ONCE = {
    "test_tasks_http_wsgi.py": "servers",
    "test_servers.py": "servers",
    "test_deployment.py": "servers",
    "test_observability.py": "embedded",
    "test_live_nodes.py": "servers",
    "test_live_nodes_faults.py": "servers",
    "test_live_redis.py": "servers",
    "test_live_redis_log.py": "servers",
    "test_layers_redis.py": "servers",
    "test_flow_wire.py": "servers",
    "test_live_state_load.py": "servers",
    "test_live_privacy_machine.py": "embedded",
    "test_live_audiences.py": "embedded",
    "test_frames_bad.py": "embedded",
    "test_frames_limits.py": "embedded",
    "test_load_order.py": "embedded",
    "test_load_endings.py": "embedded",
    "test_load_slow_reader.py": "embedded",
    "test_readme.py": "embedded",
    "test_differential.py": "embedded",
    "test_policies_classes.py": "embedded",
    "test_benchmarks.py": "embedded",
    "test_each_rule_is_needed": "embedded",
}
#: Pages and Node: a part of its own, for it needs programs and packages that nothing else does.
BROWSER = Path(__file__).parent / "browser"
#: What two parts would run on both kinds of servers runs on one in each: on daphne with SQLite and
#: the in-memory layer, on uvicorn with PostgreSQL and Redis.
LEFT_OUT = {"embedded": "uvicorn", "servers": "daphne", "plain": None}
OF_DATABASES = {"db", "transactional_db", "django_db_setup"}


def runs_in(part: str, item) -> bool:
    """Whether a test belongs to a part: `embedded`, `plain`, `servers`, `browser` or `all`.

    What starts no server and asks for no database is the same everywhere, so it is left out where
    the servers are; what serves sockets is left out of `plain`. `browser` is a folder.
    """
    if part == "all":
        return True
    if part == "browser" or BROWSER in item.path.parents:
        return part == "browser" and BROWSER in item.path.parents
    fixtures = {*item.fixturenames}
    once = ONCE.get(item.path.name) or ONCE.get(item.originalname)
    if once is not None:
        return part == once
    if "app_server" in fixtures and "stacks" not in fixtures and LEFT_OUT[part] in kinds(item):
        return False
    if part == "servers":
        return bool(item.get_closest_marker("django_db") or OF_DATABASES & fixtures)
    # RabbitMQ takes longest to start, and nothing about it depends on Django.
    if "stacks" in fixtures and (item.path.name not in FEW or "rabbit" in item.name):
        return False
    return part == "embedded" or "app_server" not in fixtures


def kinds(item) -> set[object]:
    """The texts that a test was made for, the kind of its server among them."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return {value for value in parameters.values() if isinstance(value, str)}


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Import nothing of the browser's tests elsewhere: their packages are not there."""
    if collection_path == BROWSER and os.environ.get("TEST_PART", "all") not in ("all", "browser"):
        return True
    return None


def takes_long(item) -> bool:
    """Whether a test needs workers, brokers or the demo, or more time than others may take."""
    needs_several = {"stacks", "demos"} & {*item.fixturenames}
    return bool(needs_several) or item.get_closest_marker("timeout") is not None


# After pytest-randomly's, which mixes the files.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items) -> None:
    """Leave what does not belong to TEST_PART to other sessions; begin with the longest files.

    A long one at the end would keep one process busy and the others waiting.
    """
    part = os.environ.get("TEST_PART", "all")
    runs = {item: runs_in(part, item) for item in items}
    config.hook.pytest_deselected(items=[item for item in items if not runs[item]])
    long_files = {item.path for item in items if runs[item] and takes_long(item)}
    items[:] = sorted(filter(runs.get, items), key=lambda item: item.path not in long_files)


def pytest_report_header() -> str:
    database = os.environ.get("TEST_DB", "sqlite")
    layer = os.environ.get("TEST_LAYER", "memory")
    return f"database: {database}, channel layer: {layer}"


def pytest_terminal_summary(terminalreporter) -> None:
    """Name every test that didn't run and why, once per reason."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    if reasons:
        terminalreporter.section("not run")
        for reason, count in reasons.most_common():
            terminalreporter.write_line(f"{count} x {reason}")
