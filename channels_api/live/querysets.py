"""Querysets that announce what they change without signals."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from django.db import models

from ..settings import settings
from .batches import collect
from .operations import CREATE, LOOK, UPDATE
from .rows import Row, all_rows, concrete, key_field, rows_by_key

# Keys in one query: databases limit how many values it may hold.
MAX_KEYS = 1000

if TYPE_CHECKING:
    _Base = models.QuerySet[Any]
else:
    _Base = object


class LiveQuerySetMixin(_Base):
    """For a project's own queryset class: `update`, `bulk_create` and `bulk_update` are announced.

    Their async twins are as well. What is done and returned is what Django does and returns; in a
    transaction it is announced when that is committed.
    """

    def update(self, **kwargs: Any) -> int:
        """Django's `update`, of the rows that another query finds just before.

        Of more than 1000 rows, or `HISTORY_SIZE`, it is announced that any row may have changed.
        """
        pks = self._keys_to_update(kwargs)
        if pks is None:
            count = super().update(**kwargs)
            rows = all_rows(self.model, self.db)
        else:
            # Only those: what the queryset finds by now need not be what is announced.
            found = self.using(self.db).filter(pk__in=pks)
            count = super(LiveQuerySetMixin, found).update(**kwargs)
            self._result_cache = None  # as Django does
            rows = rows_by_key(self.model, pks, UPDATE, self.db)
        if count:
            collect(rows, self.db)
        return count

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(
        self,
        objs: Iterable[Any],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[Any]:
        """Django's `bulk_create`. Where it leaves keys unknown, any row may have changed."""
        objs = list(objs)
        are_new = all(obj.pk is None for obj in objs)
        made = super().bulk_create(
            objs, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
        )
        key = key_field(self.model)
        # A row that was there before keeps the key that it has.
        certain = (
            not update_conflicts
            or {*(unique_fields or ())} in ({"pk"}, {key.name})
            or (are_new and isinstance(key, models.AutoField))
        )
        operation = LOOK if ignore_conflicts or update_conflicts else CREATE
        collect(self._rows_of(made, operation, certain=certain), self.db)
        return made

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def _keys_to_update(self, values: Collection[str]) -> list[Any] | None:
        """The keys of the rows to be updated; None where they can't be listed."""
        self._for_write = True
        # The first two are what Django refuses.
        if self.query.is_sliced or self.query.combinator or self._has_key(values):
            return None
        limit = min(settings.HISTORY_SIZE, MAX_KEYS)
        keys = self.using(self.db).order_by().distinct().values_list("pk", flat=True)
        # It may not stand beside DISTINCT, and needs a transaction.
        keys.query.select_for_update = False
        pks = list(keys[: limit + 1])
        return pks if len(pks) <= limit else None

    def _has_key(self, names: Collection[str]) -> bool:
        own = concrete(self.model)
        keys = [key_field(each) for each in (own, *own._meta.get_parent_list())]
        return any(key.name in names or key.attname in names for key in keys)

    def _rows_of(self, objs: list[Any], operation: str, *, certain: bool) -> list[Row]:
        pks = [obj.pk for obj in objs]
        # Databases that don't return what they have given, and defaults of a database.
        unknown = any(pk is None or hasattr(pk, "resolve_expression") for pk in pks)
        if unknown or (pks and not certain):
            return all_rows(self.model, self.db)
        return rows_by_key(self.model, pks, operation, self.db)


class LiveQuerySet(LiveQuerySetMixin, models.QuerySet[Any]):
    """A queryset whose `update`, `bulk_create` and `bulk_update` are announced to subscribers.

    `objects = LiveQuerySet.as_manager()`
    """
