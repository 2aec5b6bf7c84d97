"""The actions of a binding, each with a `perform_` hook where it changes something."""

from __future__ import annotations

from functools import partial
from typing import Any

from rest_framework.exceptions import NotFound, ValidationError

from .decorators import detail_action, list_action
from .live.wish import read_action, read_wish
from .readers import BindingReader
from .threads import run_in_thread


class CreateModelMixin:
    """Makes a row of the data."""

    @list_action()
    def create(self: Any, data: Any = None, **kwargs: Any) -> Any:
        serializer = self.get_serializer(data=data)
        serializer.is_valid(raise_exception=True)
        self.perform_create(serializer)
        return serializer.data, 201

    def perform_create(self, serializer: Any) -> None:
        """Save the new row."""
        serializer.save()


class RetrieveModelMixin:
    """Shows a row."""

    @detail_action(method="GET")
    def retrieve(self: Any, pk: Any, data: Any = None, **kwargs: Any) -> Any:
        return self.serialize_data(self.get_object_or_404(pk)), 200


class ListModelMixin:
    """Shows a page of rows; the data holds page, filters, search and ordering."""

    @list_action(method="GET")
    def list(self: Any, data: Any = None, **kwargs: Any) -> Any:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        serializer = self.get_serializer(page, many=True)
        return self.get_paginated_response(serializer.data)


class UpdateModelMixin:
    """Changes a row to the data."""

    @detail_action(method="PUT")
    def update(self: Any, pk: Any, data: Any = None, **kwargs: Any) -> Any:
        serializer = self.get_serializer(self.get_object_or_404(pk), data=data)
        serializer.is_valid(raise_exception=True)
        self.perform_update(serializer)
        return serializer.data, 200

    def perform_update(self, serializer: Any) -> None:
        """Save the changed row."""
        serializer.save()


class PatchModelMixin:
    """Changes of a row what the data names."""

    @detail_action(method="PATCH")
    def patch(self: Any, pk: Any, data: Any = None, **kwargs: Any) -> Any:
        serializer = self.get_serializer(self.get_object_or_404(pk), data=data, partial=True)
        serializer.is_valid(raise_exception=True)
        self.perform_patch(serializer)
        return serializer.data, 200

    def perform_patch(self, serializer: Any) -> None:
        """Save the changed row."""
        serializer.save()


class DeleteModelMixin:
    """Deletes a row."""

    @detail_action(method="DELETE")
    def delete(self: Any, pk: Any, data: Any = None, **kwargs: Any) -> Any:
        self.perform_delete(self.get_object_or_404(pk))
        return {}, 200

    def perform_delete(self, instance: Any) -> None:
        """Delete the row."""
        instance.delete()


class SubscribeModelMixin:
    """Tells of changes, of all rows or of one, until it is unsubscribed or the socket ends."""

    # The data says what is subscribed: it is no query.
    @detail_action(method="GET", uses_data=False)
    async def subscribe(self: Any, pk: Any = None, data: Any = None, **kwargs: Any) -> Any:
        wish, row = read_wish(data), _subscribed_row(self.pk)
        filters = wish.state.filter if wish.state else None
        reader = await run_in_thread(BindingReader, self, filters, owner=self.handshake)
        if wish.state is None:
            subscription = await self.subscriptions.add(reader, wish.action, row)
            answer: Any = {"action": wish.action}
        else:
            state = wish.state._replace(have=reader.as_told(wish.state.have))
            subscription, answer = await self.subscriptions.add_stateful(
                reader, state, row, self.request_id
            )
        # Its events come after the reply.
        self.after_reply(subscription.open, otherwise=partial(_forget, subscription))
        return answer, 200

    @detail_action(method="GET", uses_data=False)
    async def unsubscribe(self: Any, pk: Any = None, data: Any = None, **kwargs: Any) -> Any:
        if isinstance(data, dict) and "subscription" in data:
            self.subscriptions.discard_named(self.stream, _subscribed_name(data))
        else:
            row = _subscribed_row(self.pk)
            self.subscriptions.discard((self.stream, row, read_action(data)))
        return {}, 200


def _forget(subscription: Any) -> None:
    if subscription.is_held:  # else it is an older one that goes on
        subscription.on_end()


def _subscribed_name(data: dict[str, Any]) -> str:
    name = data["subscription"]
    if not isinstance(name, str):
        raise ValidationError({"subscription": ["It must be a string."]})
    return name


def _subscribed_row(pk: Any) -> Any:
    # A binding that declares no model lets any JSON value through, and none of these is a row.
    if isinstance(pk, (list, dict)):
        raise NotFound
    return pk
