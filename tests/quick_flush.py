"""The flush after a test, without what takes longest: to make what is there already."""

from typing import Any

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import OperationalError, connections
from django.db.models import Count, Max
from django.test import TransactionTestCase

#: Made by `migrate`, and made again by each of Django's flushes.
MADE = (ContentType, Permission)

_django_teardown = TransactionTestCase._fixture_teardown  # noqa: SLF001


class QuickFlush:
    """Empties all tables but those of MADE, as long as these are as they were.

    A test that changed them costs one of Django's own flushes.
    """

    def __init__(self) -> None:
        # A session whose tests use one database makes no other.
        aliases = [alias for alias in connections if _is_made(alias)]
        self._tables = {alias: _tables(alias) for alias in aliases}
        self._made = {alias: _made(alias) for alias in aliases}

    def teardown(self, case: Any) -> None:
        """What takes the place of `TransactionTestCase._fixture_teardown`."""
        aliases = case._databases_names(include_mirrors=False)  # noqa: SLF001
        if any(_made(alias) != self._made[alias] for alias in aliases):
            _django_teardown(case)
            self._made.update((alias, _made(alias)) for alias in aliases)
            return
        for alias in aliases:
            # Not TRUNCATE: for tables with a few rows PostgreSQL is far faster at this.
            names = _filled(alias, self._tables[alias])
            deletes = [f"DELETE FROM {name}" for name in names]  # noqa: S608
            connections[alias].ops.execute_sql_flush(deletes)


def _is_made(alias: str) -> bool:
    try:
        return ContentType._meta.db_table in connections[alias].introspection.table_names()
    except OperationalError:  # in PostgreSQL there is no such database
        return False


def _tables(alias: str) -> list[str]:
    made = {model._meta.db_table for model in MADE}
    names = connections[alias].introspection.django_table_names(
        only_existing=True, include_views=False
    )
    quote = connections[alias].ops.quote_name
    return [quote(name) for name in names if name not in made]


def _filled(alias: str, names: list[str]) -> list[str]:
    """Those of the tables that have rows: to ask for all at once is faster than to empty each."""
    looks = ", ".join(f"EXISTS (SELECT 1 FROM {name})" for name in names)  # noqa: S608
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {looks}")
        return [name for name, is_filled in zip(names, cursor.fetchone(), strict=True) if is_filled]


def _made(alias: str) -> list[dict]:
    return [model.objects.using(alias).aggregate(Count("pk"), Max("pk")) for model in MADE]
