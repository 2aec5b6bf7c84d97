"""What a handler returned, as a reply's parts; and the transaction around it."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from typing import Any

from django.db import connections, transaction
from rest_framework.response import Response

from .exceptions import format_errors


def read_result(result: Any) -> tuple[int, Any, list[Any]]:
    """Status, data and errors of what a handler returned.

    That is `(data, status)`, a DRF Response, or bare data, which is a 200.
    """
    if isinstance(result, Response):
        if result.status_code < 400:
            return result.status_code, result.data, []
        errors = result.data
        if isinstance(errors, dict) and errors.keys() == {"detail"}:
            errors = errors["detail"]
        return result.status_code, None, [] if errors is None else format_errors(errors)
    if isinstance(result, tuple) and len(result) == 2 and _is_status(result[1]):
        return result[1], result[0], []
    return 200, result, []


def error_object(errors: Sequence[Any]) -> dict[str, Any]:
    """The `errors` of a failed task as one object: `{"error"}`, with an `error_id` if there is one.

    `error` is the only item of them, or all of them.
    """
    if len(errors) == 2 and isinstance(errors[1], dict) and "error_id" in errors[1]:
        return {"error": errors[0], **errors[1]}
    return {"error": errors[0] if len(errors) == 1 else errors}


def _is_status(value: Any) -> bool:
    # http.HTTPStatus is an int too, as DRF's `status` constants are; True is none.
    return isinstance(value, int) and 100 <= value <= 599


def atomic_requests(
    without: Collection[str] = (),
) -> contextlib.AbstractContextManager[object]:
    """A transaction on each database with ATOMIC_REQUESTS, as Django puts one around a view.

    `without` are aliases that the view is to have none on.
    """
    with contextlib.ExitStack() as stack:
        for alias, database in connections.settings.items():
            if database["ATOMIC_REQUESTS"] and alias not in without:
                stack.enter_context(transaction.atomic(using=alias))
        return stack.pop_all()
