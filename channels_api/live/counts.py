"""What is counted of events: for each read of an audience's rows, not for each socket."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from ..metrics import EVENTS, LAG, measure, measured

if TYPE_CHECKING:
    from .audience import Audience


def count_told(audience: Audience, pks: Collection[int | str], since: float) -> None:
    """Count what was told of these rows, of which the first was heard of at `since` (monotonic)."""
    if not pks or not measured.is_heard:
        return
    stream, members = audience.reader.stream, audience.members
    of_rows = sum(len(members.rows.get(pk, ())) for pk in pks)
    measure(EVENTS, len(pks) * len(members.everything) + of_rows, stream=stream)
    measure(LAG, time.monotonic() - since, stream=stream)
