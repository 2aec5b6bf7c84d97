"""Changes that Django sends no signals for, announced by those who make them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.apps import apps
from django.db import models, router

from ..settings import settings
from .batches import collect
from .operations import LOOK
from .rows import Model, all_rows, concrete, key_field, rows_by_key


def changed(model: Model, pks: Iterable[Any] | None = None, *, using: str | None = None) -> None:
    """Announce rows of a model that were changed without signals, when that is committed.

    For `QuerySet.update`, `bulk_create`, raw SQL and everything else that sends none. The rows may
    have been created, updated or deleted: subscribers are told what is found then. `pks` are keys
    as the model's field takes them, or instances, or a queryset of the model, which is read here
    unless it was read before: after an update it may not find the same rows any more. Without
    `pks`, or with more of them than `HISTORY_SIZE`, any row may have changed: who keeps state gets
    a new snapshot. `using` is the database, by default that to which the model is written.

    Of multi-table parents and children the same is announced; rows of children that were deleted
    have to be announced as such. Raises TypeError for what is no model and for rows of another
    one, ValidationError for what can't be a key.
    """
    own = _real(model)
    alias = using or router.db_for_write(own)
    if pks is None:
        collect(all_rows(own, alias), alias)
    else:
        collect(rows_by_key(own, _keys(own, pks), LOOK, alias), alias)


async def achanged(
    model: Model, pks: Iterable[Any] | None = None, *, using: str | None = None
) -> None:
    """`changed` for async code: in the thread in which Django's async ORM works."""
    await sync_to_async(changed)(model, pks, using=using)


def _real(model: object) -> Model:
    """The model itself for its proxies, and for what a migration knows of it."""
    if not (isinstance(model, type) and issubclass(model, models.Model)) or model._meta.abstract:
        raise TypeError(f"changed() takes a model with a table, not {model!r}.")
    own = concrete(model)
    try:
        return apps.get_model(own._meta.label)
    except LookupError:  # a migration's, of a model that is gone
        return own


def _keys(model: Model, pks: Iterable[Any]) -> list[Any]:
    if isinstance(pks, (str, bytes)):
        raise TypeError(f"pks are several keys, not {pks!r}: put one into a list.")
    limit = settings.HISTORY_SIZE + 1
    if _is_unread(pks) and issubclass(pks.model, model):  # type: ignore[attr-defined]
        pks = pks.values_list("pk", flat=True)[:limit]  # type: ignore[attr-defined]
    return [_key(model, each) for each in islice(pks, limit)]


def _is_unread(pks: Iterable[Any]) -> bool:
    return isinstance(pks, models.QuerySet) and pks._result_cache is None  # noqa: SLF001


def _key(model: Model, row: Any) -> Any:
    if not isinstance(row, models.Model):
        return row
    if not isinstance(row, model):
        raise TypeError(f"{row!r} is no {model._meta.label}.")
    return getattr(row, key_field(model).attname)
