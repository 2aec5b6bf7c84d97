"""Tasks over HTTP: a mixin for DRF viewsets whose requests are answered by Celery tasks."""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar

from django.urls import reverse
from django.utils.crypto import salted_hmac
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotFound, ParseError
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from .awaitable import awaitable
from .background.hooks import add_methods, add_routes, has_row, has_serializer
from .background.references import TaskReference, owner_of, read_reference
from .background.states import FAILURE, REVOKED, SUCCESS, TaskState, plain
from .background.submission import Submission, submitting
from .exceptions import translate
from .handover import (
    Begun,
    connect_celery,
    get_engine,
    hand_over,
    start_embedded_worker,
    task_in,
)
from .requests import FrameRequest
from .results import error_object

# The salt for the name of a view in an id.
VIEW = "channels_api.view"
# Seconds that a client may have its answer held, and that it is asked to wait before it polls.
LONGEST_WAIT = 30
RETRY_AFTER = 1


class NotWritten(APIException):
    """The viewset has no hook for a verb."""

    status_code = 501
    default_detail = "Not implemented."
    default_code = "not_implemented"


def _http_only(method: Any) -> Any:
    # On a socket, a viewset's extra actions are actions; for these there is TaskBinding.
    method.http_only = True
    return method


class AsyncResourceMixin:
    """Answers requests with Celery tasks: 202, an address for the state, one for the result.

    In front of a viewset's base classes. A subclass writes hooks, `async_<verb>_<kind>(request,
    **kwargs)` with the verbs get, post, put, patch, delete and the kinds list and detail. A hook
    returns what `.delay()` gave, or a Response, which is passed through; None is answered with 400.
    A verb without a hook is answered by the viewset's own method, and with 501 where it has none.
    The viewset's authentication, permissions and throttles hold for states and results as well.
    """

    #: Whether DELETE ends the process of a task that runs; see `TaskBinding`.
    terminate_tasks: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        add_methods(cls, AsyncResourceMixin._answer)

    @classmethod
    def as_view(cls, actions: dict[str, str] | None = None, **initkwargs: Any) -> Any:
        """The view function, with the verbs that routers leave out."""
        parent: Any = super()
        return awaitable(parent.as_view(add_routes(actions or {}, initkwargs), **initkwargs))

    @_http_only
    @action(
        detail=False,
        methods=["get", "delete"],
        url_path="state/(?P<task_id>[^/.]+)",
        url_name="state",
    )
    def async_state(self: Any, request: Any, task_id: str, **kwargs: Any) -> Any:
        """GET: what a task is at. DELETE: cancel it."""
        reference = self._task_reference(task_id)
        if request.method == "DELETE":
            get_engine().cancel(reference, terminate=self.terminate_tasks)
            return self._state_response(reference, TaskState(REVOKED))
        state = get_engine().read_state(reference)
        return self._held(request, reference, self._state_response(reference, state), state)

    @_http_only
    @action(detail=False, methods=["get"], url_path="result/(?P<task_id>[^/.]+)", url_name="result")
    def async_result(self: Any, request: Any, task_id: str, **kwargs: Any) -> Any:
        """What a task gave; 404 until it is there."""
        reference = self._task_reference(task_id)
        state = get_engine().read_state(reference)
        if state.name == SUCCESS:
            return self._result_response(get_engine().read_result(reference))
        return self._end_response(reference, state)

    def handle_exception(self, exc: Exception) -> Any:
        """DRF's own; a broker that takes no tasks is told as 503."""
        parent: Any = super()
        return parent.handle_exception(translate(exc))

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """The viewset's; where it has none, one without fields for OPTIONS and the HTML pages."""
        parent: Any = super()
        if has_serializer(self):
            return parent.get_serializer(*args, **kwargs)
        return Serializer(*args, **kwargs)

    def get_object(self: Any) -> Any:
        """The viewset's row. OPTIONS asks for that of each route with PUT, even if it has none."""
        parent: Any = super()
        if self.action == "metadata" and not has_row(self):
            raise NotFound
        return parent.get_object()

    def process_result(self, result: Any) -> Any:
        """What a client gets of a result; a hook, the result as it is by default."""
        return result

    def _answer(self: Any, hook: str, request: Any, kwargs: dict[str, Any]) -> Any:
        method = getattr(self, f"async_{hook}", None)
        if method is None:
            raise NotWritten
        if isinstance(request, FrameRequest):
            return _done(method(request, **kwargs))  # a socket: the binding does the rest
        connect_celery()
        start_embedded_worker()
        submission = getattr(request, "task_submission", None) or Submission()
        with submitting(submission):
            result = _done(method(request, **kwargs))
        task = task_in(result)
        if task is None:
            return result
        begun = hand_over(task, submission, owner=self._owner, view=self._name)
        if begun.state is None:
            return self._accept(request, begun)
        # Run in place: there is nothing to come back for.
        if begun.state.name == SUCCESS:
            return self._result_response(get_engine().read_eager(task))
        return self._end_response(begun.reference, begun.state)

    def _accept(self: Any, request: Any, begun: Begun) -> Any:
        response = self._state_response(begun.reference, TaskState())
        response.status_code = 202
        response["Location"] = self._address("state", begun.reference)
        return self._held(request, begun.reference, response, TaskState())

    def _state_response(self: Any, reference: TaskReference, state: TaskState) -> Any:
        signed = reference.sign()
        data = {"id": signed, "resource_uri": self._address("state", reference)}
        if state.is_final and state.status != 410:
            data["result_uri"] = self._address("result", reference)
        data["state"] = state.name
        if state.meta is not None:
            data["meta"] = state.meta
        response = Response(data, headers={"Cache-Control": "no-store"})
        if not state.is_final:
            response["Retry-After"] = str(RETRY_AFTER)
        elif state.status == 410:
            response.status_code = 410
        else:
            response.status_code, response["Location"] = 303, data["result_uri"]
            response.url = data["result_uri"]  # type: ignore[attr-defined]  # as on Django's own
        return response

    def _result_response(self: Any, result: Any) -> Any:
        result = self.process_result(result)
        if isinstance(result, Response):
            return result
        if isinstance(result, (list, tuple)):
            return self._list_response(list(result))
        # What JSON can't hold would fail in the renderer.
        shown = plain(result, math.inf)
        return Response(shown if isinstance(result, dict) else {"result": shown})

    def _list_response(self: Any, rows: list[Any]) -> Any:
        # A plain ViewSet has neither.
        page = self.paginate_queryset(rows) if hasattr(self, "paginate_queryset") else None
        shown: Any = rows if page is None else page
        if has_serializer(self):
            shown = self.get_serializer(shown, many=True).data
        else:
            shown = plain(shown, math.inf)
        # The HTML pages offer filters with each list; these rows come from no queryset.
        self.get_queryset, self.filter_backends = list, ()
        return Response(shown) if page is None else self.get_paginated_response(shown)

    def _end_response(self: Any, reference: TaskReference, state: TaskState) -> Any:
        if state.name == FAILURE:
            return Response(error_object(state.errors))
        if state.is_final:
            return self._state_response(reference, state)
        raise NotFound

    def _held(
        self, request: Any, reference: TaskReference, response: Response, state: TaskState
    ) -> Any:
        """Have the answer held, if the client prefers that: see `awaitable`."""
        seconds = _preferred_wait(request)
        if seconds and not state.is_final:
            response.task_wait = (reference, seconds)  # type: ignore[attr-defined]
        return response

    def _settle(self: Any, response: Response, reference: TaskReference, seconds: int) -> None:
        """Make the answer that was held that of now."""
        try:
            state = get_engine().read_state(reference)
        except APIException:
            return  # the answer of before stands
        now = self._state_response(reference, state)
        response.data = now.data
        response["Preference-Applied"] = f"wait={seconds}"
        if state.is_final:
            response.status_code = now.status_code
            del response["Retry-After"]
            if now.has_header("Location"):
                response["Location"] = response.url = now["Location"]  # type: ignore[attr-defined]

    def _task_reference(self: Any, signed: str) -> TaskReference:
        reference = read_reference(signed, self._owner)
        # Those of other views are theirs, with their permissions and their `process_result`.
        if reference.view not in ("", self._name):
            raise NotFound
        return reference

    @property
    def _owner(self: Any) -> str:
        request = self.request
        return owner_of(request.user, getattr(request, "session", None), request.COOKIES)

    @property
    def _name(self) -> str:
        # A digest: clients can read their ids, and the name of a module is none of their business.
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        return salted_hmac(VIEW, name, algorithm="sha256").hexdigest()[:16]

    def _address(self: Any, name: str, reference: TaskReference) -> str:
        match = self.request.resolver_match
        namespace = f"{match.namespace}:" if match.namespace else ""
        # Those of the routes that the viewset is nested in, and so not the row's own.
        field = getattr(self, "lookup_field", "pk")
        own = (getattr(self, "lookup_url_kwarg", None) or field, "format")
        kwargs = {key: value for key, value in self.kwargs.items() if key not in own}
        kwargs["task_id"] = reference.sign()
        return reverse(f"{namespace}{self.basename}-{name}", kwargs=kwargs)


def _done(result: Any) -> Any:
    """What a hook returned. Raises ParseError for nothing: it could not do what was asked."""
    if result is None:
        raise ParseError("This can't be done.")
    return result


def _preferred_wait(request: Any) -> int:
    """Seconds of `Prefer: wait=N`, up to LONGEST_WAIT; 0 where nothing was preferred."""
    match = re.search(r"(?:^|[,;\s])wait=(\d{1,9})", request.headers.get("Prefer", ""))
    return min(int(match[1]), LONGEST_WAIT) if match else 0
