"""The operations on a row, how two of them add up, and what is told of them."""

from __future__ import annotations

CREATE, UPDATE, DELETE = "create", "update", "delete"
# It is not known what happened: a row that is there was updated, one that is not was deleted.
LOOK = "look"
# The row was deleted and made again, or the other way round.
REPLACE = "replace"
# Of no row: from here on the log can't tell what has changed, and everything is read anew.
RESET = "reset"

# The rows that may have been deleted. Of one that is gone without any of these the delete is on
# the way: it was committed after what was heard of.
ENDS = frozenset((DELETE, LOOK, REPLACE))
_CREATES = frozenset((CREATE, REPLACE))


def merge(earlier: str | None, later: str) -> str:
    """Two operations on a row, told as one: a new row that was also changed is a new row.

    They may have happened in the other order, in two processes: a delete is never forgotten for
    what is heard of after it.
    """
    if later == DELETE or earlier is None:
        return later
    creates = earlier in _CREATES or later in _CREATES
    if earlier in ENDS or later in ENDS:
        return REPLACE if creates else LOOK
    return CREATE if creates else UPDATE


def told_as(operation: str, *, present: bool) -> str | None:
    """The action that tells of an operation, by whether the row is there; None: nothing is told."""
    if present:
        return CREATE if operation in _CREATES else UPDATE
    return DELETE if operation in ENDS else None
