"""Subscriptions: changes of models go through a log to hubs, and from there to sockets.

Bottom to top: `log` holds what changed, `batches` writes it there on commit and rings, `bell`
carries the ring to other processes, `hub` hears it, `audience` reads the rows anew and hands them
to its subscribers. What changed comes from `changes` and `relations`, which hear Django's signals,
and from `announce` and `querysets`, for what sends none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .announce import achanged, changed
    from .changes import watch
    from .querysets import LiveQuerySet, LiveQuerySetMixin

__all__ = ["LiveQuerySet", "LiveQuerySetMixin", "achanged", "changed", "watch"]

_MODULES = {
    "LiveQuerySet": "querysets",
    "LiveQuerySetMixin": "querysets",
    "achanged": "announce",
    "changed": "announce",
    "watch": "changes",
}


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: its parts import each other, and this comes before all.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
