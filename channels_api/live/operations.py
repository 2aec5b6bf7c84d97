"""The operations on a row, and how two of them add up."""

from __future__ import annotations

CREATE, UPDATE, DELETE = "create", "update", "delete"
# Of no row: from here on the log can't tell what has changed, and everything is read anew.
RESET = "reset"


def merge(earlier: str | None, later: str) -> str:
    """Two operations on a row, told as one: a new row that was also changed is a new row."""
    return CREATE if earlier == CREATE and later == UPDATE else later
