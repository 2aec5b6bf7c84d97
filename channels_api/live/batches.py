"""Changes on their way to the log: they wait for the commit, and each row is told once."""

from __future__ import annotations

from collections.abc import Collection

from django.db import connections, transaction

from ..logs import log_sometimes
from .bell import ring
from .log import Change, Topic, get_log, note
from .rows import Row

# Rows of one model in one transaction that are told one by one.
MOST_ROWS = 10_000


def collect(rows: Collection[Row], alias: str) -> None:
    """Publish rows when the running transaction of a database is committed, or now without one."""
    if not rows:
        return
    batch = _open_batch(alias)
    if batch is not None:
        batch.add(rows)
        return
    try:
        # With its rows in it: outside a transaction on_commit calls it at once.
        transaction.on_commit(_Batch(rows), using=alias, robust=True)
    except transaction.TransactionManagementError:
        # Autocommit is off, so Django does not know when the row is committed.
        log_sometimes("Changes made without autocommit are not told to subscribers")


class _Batch:
    """The changes of one transaction, or of one savepoint in it; an on_commit callback."""

    def __init__(self, rows: Collection[Row]) -> None:
        self._changes: dict[Topic, dict[int | str, str]] = {}
        self.add(rows)

    def add(self, rows: Collection[Row]) -> None:
        for topic, change in rows:
            note(self._changes.setdefault(topic, {}), change, most=MOST_ROWS)

    def __call__(self) -> None:
        for topic, rows in self._changes.items():
            publish(topic, [Change(pk, operation) for pk, operation in rows.items()])


def _open_batch(alias: str) -> _Batch | None:
    """The batch that will be committed, or rolled back, together with what happens now."""
    connection = connections[alias]
    if connection.in_atomic_block and connection.run_on_commit:
        savepoints, callback, *_ = connection.run_on_commit[-1]
        # None stands for an atomic block without a savepoint, such as that of each delete: it is
        # rolled back with the block around it.
        now = {*connection.savepoint_ids, None}
        if isinstance(callback, _Batch) and {*savepoints, None} == now:
            return callback
    return None


def publish(topic: Topic, changes: list[Change]) -> None:
    """Log the changes and ring; a failure is logged, since the rows are committed by now."""
    try:
        get_log().publish(topic, changes, ring)
    except Exception:
        log_sometimes("Changes of %s could not be published", topic.model)
