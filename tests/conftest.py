"""Fixtures of the whole suite. The servers that they lean on are started by tests/plugin.py."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from asgiref.sync import SyncToAsync
from django.db import connections
from django.test import TransactionTestCase

from channels_api.metrics import measured

# Before anybody asks for the current Celery app, who would make another one in its place.
from tests.app.celery_app import app as celery_app  # noqa: F401
from tests.counts import Counts
from tests.load_doors import Door
from tests.quick_flush import QuickFlush
from tests.servers import AppServer, close_all
from tests.tasks_stacks import Stacks

APPLICATION = "tests.app.asgi:application"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker) -> Iterator[None]:
    """pytest-django's own, and at the end nobody is left in the databases that it will drop.

    PostgreSQL drops no database to which a thread of this process still holds a connection.
    """
    with django_db_blocker.unblock():
        flush = QuickFlush()

    def teardown(case: TransactionTestCase) -> None:
        flush.teardown(case)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
        yield
    connection = connections["default"]
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection._nodb_cursor() as cursor:  # noqa: SLF001
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)",
                [list(database_names().values())],
            )


@pytest.fixture(autouse=True)
def close_connections_of_async_orm() -> Iterator[None]:
    """Close what `await queryset.aget()` in a test has opened.

    The async ORM works in asgiref's thread. That outlives the test, and no request ends there.
    """
    yield
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()


@pytest.fixture(scope="session")
def app_server(django_db_setup) -> Iterator[Callable[..., AppServer]]:
    """A function that gives a running app server; the same arguments give the same server again.

    It depends on the databases, so the servers are stopped before pytest-django drops those.
    """
    running: dict[tuple, AppServer] = {}

    def get(
        kind: str = "daphne",
        application: str = APPLICATION,
        *,
        env: Mapping[str, str] | None = None,
        channels_api: Mapping[str, object] | None = None,
        arguments: Sequence[str] = (),
    ) -> AppServer:
        env = {**database_names(), **(env or {})}
        if channels_api is not None:
            env["TEST_CHANNELS_API"] = json.dumps(channels_api, sort_keys=True)
        key = (kind, application, tuple(sorted(env.items())), tuple(arguments))
        if key not in running:
            running[key] = AppServer(kind, application, env=env, arguments=arguments)
        # A test may have killed it to see what happens.
        if not running[key].running:
            running[key].start()
        return running[key]

    yield get
    close_all(running.values())


@pytest.fixture(scope="session")
def all_stacks(app_server, tmp_path_factory) -> Iterator[Stacks]:
    made = Stacks(app_server, tmp_path_factory.mktemp("gates"))
    yield made
    made.close()


@pytest.fixture
def stacks(all_stacks, transactional_db) -> Stacks:
    """Servers with workers and brokers: see `Stacks.get`."""
    return all_stacks


def database_names() -> dict[str, str]:
    """The names of the test databases, for a process that would otherwise open the real ones."""
    return {
        "TEST_DB_NAME": str(connections["default"].settings_dict["NAME"]),
        "TEST_DB_OTHER_NAME": str(connections["other"].settings_dict["NAME"]),
    }


@pytest.fixture(params=["daphne", "uvicorn"])
def server(request, app_server, transactional_db) -> AppServer:
    """The suite's application under daphne, then under uvicorn.

    `transactional_db`: another process never sees the rows of a transaction that a test keeps open,
    and with SQLite it could not write a single row until the test is over.
    """
    return app_server(request.param)


@pytest.fixture(params=["daphne", "uvicorn"])
def lone_server(request, app_server, transactional_db) -> Callable[..., AppServer]:
    """A function that gives an app server, under daphne and under uvicorn; it takes CHANNELS_API.

    Nobody else is on its channel layer. With a log in memory each server takes what it hears from
    the others for changes of its own: noise for a test that counts, and thousands of changes in
    one test are heard for a while after it.
    """

    def get(**channels_api: object) -> AppServer:
        env = {}
        if os.environ.get("TEST_LAYER", "memory") == "redis":
            env["TEST_LAYER_PREFIX"] = "-".join([request.param, *map(str, channels_api.values())])
        return app_server(request.param, env=env, channels_api=channels_api or None)

    return get


@pytest.fixture
def people(transactional_db):
    """The users of the tests of policies, by name."""
    from tests.policies_world import make_people  # noqa: PLC0415 - models, not there yet above

    return make_people()


@pytest.fixture
def rows(people):
    """The questions of the tests of policies."""
    from tests.policies_world import Rows  # noqa: PLC0415 - as above

    return Rows(people)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """What actions in a server wait at until the test opens it."""
    door = Door(tmp_path)
    yield door
    # Whoever a failed test left behind.
    door.open()


@pytest.fixture
def counts() -> Iterator[Counts]:
    """What this process counts from now on."""
    counts = Counts()
    measured.connect(counts)
    yield counts
    measured.disconnect(counts)
