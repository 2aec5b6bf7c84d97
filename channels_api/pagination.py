"""0.4.1's page, as a DRF paginator."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from .settings import settings

# Beyond it an offset does not fit into the database's integers.
MAX_PAGE = 2**31


def ordered(queryset: Any) -> Any:
    """Rows in their own order, or else by primary key."""
    query = getattr(queryset, "query", None)
    if query is None or queryset.ordered or query.is_sliced or query.combinator:
        return queryset
    if query.values_select or query.group_by or query.distinct:
        return queryset  # an order by the key would make other rows of it
    return queryset.order_by("pk")


class BarePagination(BasePagination):
    """`data.page` of the rows, `DEFAULT_PAGE_SIZE` each, as a bare array without an envelope.

    An empty first page is a page; any other page without rows is a 404. Rows without an order of
    their own come by primary key, so that pages neither repeat nor skip any.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        number = self._page_number(request.query_params.get("page", "1"))
        size = settings.DEFAULT_PAGE_SIZE
        start = (number - 1) * size
        page = list(ordered(queryset)[start : start + size])
        if not page and number > 1:
            raise NotFound("Invalid page.")
        return page

    def get_paginated_response(self, data: Any) -> Response:
        return Response(data)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        page = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE}
        return [{"name": "page", "required": False, "in": "query", "schema": page}]

    def _page_number(self, text: str) -> int:
        if text.isascii() and text.isdecimal() and len(text) < 11 and 0 < int(text) <= MAX_PAGE:
            return int(text)
        raise NotFound("Invalid page.")
