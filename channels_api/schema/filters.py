"""What `list` takes and answers: filters, search, ordering, pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from rest_framework.filters import SearchFilter

from ..pagination import BarePagination
from .draft7 import Schema, any_of, plain, to_draft7
from .fields import Warn
from .keys import lookup_schema

# How django-filter labels what is no field of the model.
NAMELESS = "[invalid name]"
# Filters of it whose choices are the values that the table has.
ALL_VALUES = frozenset(("AllValuesFilter", "AllValuesMultipleFilter"))
COMMAS: Schema = {"type": "string", "description": "Several, with commas between them."}
# The first that fits: a subclass before its base.
FORM_FIELDS: tuple[tuple[type[forms.Field], Schema], ...] = (
    (forms.DecimalField, {"type": "number"}),
    (forms.FloatField, {"type": "number"}),
    (forms.IntegerField, {"type": "integer"}),
    (forms.NullBooleanField, {"type": "boolean"}),
    (forms.BooleanField, {"type": "boolean"}),
    (forms.DateTimeField, {"type": "string", "format": "date-time"}),
    (forms.DateField, {"type": "string", "format": "date"}),
    (forms.TimeField, {"type": "string", "format": "time"}),
    (forms.UUIDField, {"type": "string", "format": "uuid"}),
)


def filter_properties(view: Any, *, model: Any, warn: Warn) -> dict[str, Schema]:
    """The keys with which a list and a subscription can be narrowed."""
    found: dict[str, Schema] = {}
    for backend_class in getattr(view, "filter_backends", None) or ():
        backend = backend_class()
        try:
            found |= _properties(backend, view, model, warn)
        except Exception as exc:
            warn(f"The filters of {_name(view)} can't be described: {exc!r}")
    return found


def page_properties(view: Any) -> dict[str, Schema]:
    """The keys that choose a page."""
    found: dict[str, Schema] = {}
    for paginator in _paginators(view):
        found |= _parameters(paginator, view)
    return found


def page_schema(view: Any, row: Schema, warn: Warn) -> Schema:
    """What a list answers: an array, or the paginator's envelope."""
    # The list of a bare ViewSet is its own.
    pages = [_page(each, row, warn) for each in _paginators(view)] or [{}]
    return plain(any_of(*pages))  # type: ignore[no-any-return]


def _page(paginator: Any, row: Schema, warn: Warn) -> Schema:
    if _answers_otherwise(type(paginator)):
        pages = f"The pages of {_name(paginator)} may be anything"
        warn(f"{pages}: get_paginated_response() has no schema.")
        return {}
    rows: Schema = {"type": "array", "items": row}
    return to_draft7(paginator.get_paginated_response_schema(rows))


def _answers_otherwise(kind: type) -> bool:
    """Whether its pages are made by a class below the one that describes them."""
    answers, describes = (
        next(each for each in kind.__mro__ if name in vars(each))
        for name in ("get_paginated_response", "get_paginated_response_schema")
    )
    # An array is what is described where nobody has.
    return answers not in (describes, BarePagination) and issubclass(answers, describes)


def _paginators(view: Any) -> list[Any]:
    """Those that may answer: the view's own, and the library's where that does not."""
    if not hasattr(view, "paginate_queryset"):
        return []
    paginator = getattr(view, "paginator", None)
    if paginator is None:
        return [BarePagination()]
    if getattr(paginator, "default_limit", getattr(paginator, "page_size", True)) is not None:
        return [paginator]
    # Without a size it would show all rows, but to those who ask for some.
    asked = ("limit_query_param", "page_size_query_param")
    own = [paginator] if any(getattr(paginator, name, None) for name in asked) else []
    return [BarePagination(), *own]


def _properties(backend: Any, view: Any, model: Any, warn: Warn) -> dict[str, Schema]:
    if hasattr(backend, "get_filterset"):
        # Not the view's queryset, which may need a user.
        queryset = view.get_queryset() if model is None else model._base_manager.all()
        return _filterset_properties(backend.get_filterset(view.request, queryset, view), warn)
    if isinstance(backend, SearchFilter) and not backend.get_search_fields(view, view.request):
        return {}
    return _parameters(backend, view)


def _parameters(source: Any, view: Any) -> dict[str, Schema]:
    describe = getattr(source, "get_schema_operation_parameters", None)
    found: list[Mapping[str, Any]] = [] if describe is None else describe(view)
    return {each["name"]: plain(_parameter(each)) for each in found}


def _parameter(parameter: Mapping[str, Any]) -> Schema:
    schema = to_draft7(parameter.get("schema", {}))
    description = parameter.get("description")
    return {**schema, "description": str(description)} if description else schema


def _filterset_properties(filterset: Any, warn: Warn) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for name, each in {} if filterset is None else filterset.filters.items():
        # Not its form, which fails as a whole.
        try:
            found |= plain(_filter(name, each))
        except Exception as exc:
            warn(f"The filter {_name(filterset)}.{name} can't be described: {exc!r}")
    return found


def _filter(name: str, each: Any) -> dict[str, Schema]:
    # Its field would ask the database, and show what it holds.
    if not ALL_VALUES.isdisjoint(kind.__name__ for kind in type(each).__mro__):
        return {name: _with_notes(_column(each), each.label, each.extra.get("help_text"))}
    return _form_field(name, each.field)


def _column(each: Any) -> Schema:
    value = lookup_schema(each.model, each.field_name)
    several = issubclass(each.field_class, forms.MultipleChoiceField)
    return {"type": "array", "items": value} if several else value


def _form_field(name: str, field: forms.Field) -> dict[str, Schema]:
    suffixes = getattr(field.widget, "suffixes", None)
    if not suffixes or not isinstance(field, forms.MultiValueField):
        return {name: _with_notes(_form_type(field), field.label, field.help_text)}
    return {
        f"{name}_{suffix}" if suffix else name: _with_notes(
            _form_type(each), field.label, field.help_text
        )
        for suffix, each in zip(suffixes, field.fields, strict=False)
    }


def _with_notes(schema: Schema, label: Any, help_text: Any) -> Schema:
    notes = {"title": str(label or ""), "description": str(help_text or "")}
    if notes["title"].startswith(NAMELESS):
        del notes["title"]
    return {**schema, **{key: text for key, text in notes.items() if text}}


def _form_type(field: forms.Field) -> Schema:
    # It reads text, and gives each part to the kind of field that it is as well.
    if hasattr(field, "base_widget_class"):
        return COMMAS
    if isinstance(field, forms.ChoiceField):
        return _choice_type(field)
    for kind, schema in FORM_FIELDS:
        if isinstance(field, kind):
            return schema
    return {"type": "string"}


def _choice_type(field: Any) -> Schema:
    if isinstance(field, forms.FilePathField):
        return {"type": "string"}  # its choices are the server's files
    if isinstance(field, forms.ModelMultipleChoiceField):
        return {"type": "array", "items": _row_key(field)}
    if isinstance(field, forms.ModelChoiceField):
        return _row_key(field)
    choices = _choices(field)
    if isinstance(field, forms.MultipleChoiceField):
        return {"type": "array", "items": choices}
    return choices


def _row_key(field: Any) -> Schema:
    return lookup_schema(field.queryset.model, field.to_field_name or "pk")


def _choices(field: Any) -> Schema:
    labels = {value: label for value, label in field.choices if not _is_empty(value, label)}
    if not labels:
        return {"type": "string"}
    # As the query has them: DRF's requests know text alone.
    return {"enum": list(labels), "x-enum-labels": [str(label) for label in labels.values()]}


def _is_empty(value: Any, label: Any) -> bool:
    return value in ("", None) or isinstance(label, (list, tuple))


def _name(view: Any) -> str:
    return type(view).__name__
