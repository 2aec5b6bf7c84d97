"""Locks that a forked child finds open."""

from __future__ import annotations

import os
import threading
from weakref import WeakSet

_locks: WeakSet[threading.Lock] = WeakSet()


def new_lock() -> threading.Lock:
    """A lock that is free in a child, whoever of the parent's threads held it at the fork.

    That thread does not exist there, and would never let go of it.
    """
    lock = threading.Lock()
    _locks.add(lock)
    return lock


def _free_all() -> None:
    for lock in _locks:
        lock._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001 - as the stdlib does


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_all)
