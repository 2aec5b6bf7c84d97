"""What a client has missed that comes back to a subscription."""

from __future__ import annotations

from .log import Change, Replay
from .operations import CREATE, DELETE, LOOK, REPLACE, UPDATE, merge
from .view import View
from .wish import State

# Changes that are told one by one; with more a snapshot is the shorter way. So it is for a client
# that would have to say that it holds more rows than this.
MAX_MISSED = MAX_HAVE = 1000

# Why a client has to begin anew: it is its first time, there is too much to tell, or changes were
# lost.
FIRST, TOO_MANY, GAP = "first", "too_many", "gap"


def find_fault(state: State, replay: Replay | None, view: View) -> str | None:
    """Why a client has to begin anew, as it is told; None where it can go on.

    `replay` is what the log has after the client's position, if it sent one.
    """
    if replay is None:
        return FIRST
    if replay.fault is not None:
        return replay.fault
    if state.have is None and view.restricted:
        # A row that was hidden can't be told by its pk to whom it was never shown.
        return FIRST
    held = len(state.have or ())
    if held > MAX_HAVE or len(replay.changes) > MAX_MISSED or not view.complete:
        return TOO_MANY
    return None


def find_missed(
    changes: list[Change],
    have: frozenset[int | str] | None,
    view: View,
    row: int | str | None = None,
) -> dict[int | str, str]:
    """What a client is to be told, as actions by pk: of all rows, or of the only one it wants."""
    missed = _find_missed(changes, have, view)
    return {pk: action for pk, action in missed.items() if row in (None, pk)}


def _find_missed(
    changes: list[Change], have: frozenset[int | str] | None, view: View
) -> dict[int | str, str]:
    happened: dict[int | str, str] = {}
    for change in changes:
        happened[change.pk] = merge(happened.get(change.pk), change.operation)
    # In which order it happened is not known: what is there when it is told decides.
    if have is None:
        return {
            pk: REPLACE if operation in (CREATE, REPLACE) else LOOK
            for pk, operation in happened.items()
        }
    if not view.restricted:
        return {pk: LOOK if pk in have else CREATE for pk in happened}
    return {
        **{pk: DELETE for pk in have if pk not in view.pks},
        **{pk: UPDATE for pk in happened if pk in have and pk in view.pks},
        **{pk: CREATE for pk in view.pks if pk not in have},
    }
