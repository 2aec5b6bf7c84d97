"""Bindings: what a viewset is to HTTP, on a socket. A new one is made for each frame."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import classproperty
from rest_framework.exceptions import NotFound
from rest_framework.settings import api_settings as rest_framework_settings
from rest_framework.views import exception_handler

from .background.references import owner_of
from .background.states import TaskState
from .background.submission import Submission, submitting
from .background.watches import encode_state
from .decorators import Action, actions_of
from .exceptions import NotSubscribable, Overloaded, ReplyTooLarge, error_reply, is_known
from .handover import Begun, hand_over, task_in
from .live.changes import watch
from .lookups import canonical_pk
from .mixins import (
    CreateModelMixin,
    DeleteModelMixin,
    ListModelMixin,
    PatchModelMixin,
    RetrieveModelMixin,
    SubscribeModelMixin,
    UpdateModelMixin,
)
from .policies import Policies
from .protocol import Reply, RequestFrame, byte_length
from .readers import depends_on_user, personal_key
from .requests import Handshake
from .results import atomic_requests, read_result
from .settings import settings
from .threads import run_in_thread

# What viewsets call the same.
VIEW_ACTIONS = {"patch": "partial_update", "delete": "destroy"}
SUBSCRIBING = ("subscribe", "unsubscribe")
# What an action's keyword arguments can't replace: the frame's own.
RESERVED = frozenset(
    (
        *("handshake", "frame", "scope", "stream", "request_id", "request", "user"),
        *("action", "detail", "pk", "args", "kwargs", "available_actions", "subscriptions"),
        *("watches", "submission"),
    )
)


class ResourceBindingBase(Policies):
    """A stream without actions; mixins and decorated methods bring them.

    A subclass sets `queryset` and `serializer_class`, or overrides `get_queryset()` and
    `get_serializer_class()`. DRF's permission, throttle, filter and pagination classes are used as
    they are, with the binding as their view: `request`, `action` (DRF's names: "partial_update",
    "destroy", a custom action's method name), `kwargs`, `detail`. None stands for the project's
    defaults.
    """

    # Filled from the decorators: what clients call is looked up here and nowhere else.
    available_actions: ClassVar[dict[str, Action]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.available_actions = actions_of(cls)
        for action in cls.available_actions.values():
            if not RESERVED.isdisjoint(action.overrides):
                taken = ", ".join(sorted(RESERVED & action.overrides.keys()))
                raise ImproperlyConfigured(
                    f"{cls.__name__}.{action.handler}: an action can't replace {taken}."
                )
        model = cls._declared_model()
        if model is not None and "subscribe" in cls.available_actions:
            watch(model)

    @classproperty
    def consumer(cls) -> Any:  # noqa: N805
        """What stands in `WebsocketDemultiplexer.consumers`; the class itself does as well."""
        return cls

    def __init__(
        self,
        handshake: Handshake,
        frame: RequestFrame,
        subscriptions: Any = None,
        watches: Any = None,
    ) -> None:
        self.handshake = handshake
        self.frame = frame
        self.subscriptions = subscriptions
        self.watches = watches
        self.submission = Submission()
        self.scope = handshake.scope
        self.stream = frame.stream
        self.request_id = frame.request_id
        self.args: tuple[Any, ...] = ()
        self.format_kwarg = None
        self.available_action = self.available_actions.get(frame.action)
        self.action: str | None = None
        self.detail: bool | None = None
        self.pk: Any = None
        self._after_reply: list[Callable[[], None]] = []
        self._after_refusal: list[Callable[[], None]] = []
        self._refused = False
        if self.available_action is not None:
            self._prepare(self.available_action)
        if self.filter_backends is None:
            # The attribute, and not only what is made of it: DRF's cursor pagination reads it.
            self.filter_backends = rest_framework_settings.DEFAULT_FILTER_BACKENDS

    def _prepare(self, action: Action) -> None:
        self.action = self._view_action(action)
        self.detail = action.detail
        for name, value in action.overrides.items():
            setattr(self, name, value)

    def _view_action(self, action: Action) -> str:
        """The action as a viewset would name it, which is what DRF's classes know."""
        if action.handler in SUBSCRIBING:
            # What a subscriber may see is what a reader may.
            return "list" if self.frame.pk is None else "retrieve"
        return VIEW_ACTIONS.get(action.handler, action.handler)

    def overrides(self, *names: str) -> bool:
        """Whether a subclass has a method of its own for one of these names."""
        return any(
            getattr(type(self), name, None) is not getattr(ResourceBindingBase, name, None)
            for name in names
        )

    def audience(self) -> Hashable:
        """For whom a row looks the same; None is everybody.

        Rows are read and encoded once for all subscribers of an equal audience. The default is
        everybody where nothing in the binding depends on the user, else the user. A subclass that
        overrides it promises that equal audiences see equal rows with equal content.
        """
        return personal_key(self.handshake) if depends_on_user(self) else None

    @classmethod
    def audience_is_default(cls) -> bool:
        """Whether the promise is the library's own, to be kept by watching."""
        return cls.audience is ResourceBindingBase.audience

    def after_reply(
        self, callback: Callable[[], None], *, otherwise: Callable[[], None] | None = None
    ) -> None:
        """Have `callback` called in the event loop when the reply of a success is on its way.

        `otherwise` is called instead where the frame fails after all.
        """
        self._after_reply.append(callback)
        if otherwise is not None:
            self._after_refusal.append(otherwise)

    def replied(self) -> None:
        """The reply is on its way."""
        for callback in self._after_refusal if self._refused else self._after_reply:
            callback()

    def initial(self) -> None:
        """Everything that comes before the action, in one thread hop; raises for a refusal."""
        fault = None
        try:
            if self.frame.pk is not None:
                self.pk = self.canonical_pk(self.frame.pk)
        except NotFound as exc:
            # Not raised yet: who may not know of rows is told that first.
            fault = exc
        self.check_policies()
        if self.detail and fault is not None:
            raise fault
        if self.detail and self.pk is not None and self._declared_model() is None:
            self._canonicalize_late()

    def recheck(self) -> None:
        """`initial()` for rows that are read for events: it is no request to be counted."""
        self.get_throttles = list  # type: ignore[method-assign]
        self.initial()

    def check_subscribable(self) -> None:
        """Raise NotSubscribable where list or retrieve hide rows in a way that can't be known.

        Events are made of the queryset, the permissions and the serializer. A binding that
        overrides `audience()` has promised that this is right.
        """
        if self.audience_is_default():
            self._check_reading(type(self), ListModelMixin.list, RetrieveModelMixin.retrieve)

    def _check_reading(self, cls: Any, own_list: Any, own_retrieve: Any) -> None:
        name = str(self.action)
        known = own_list if name == "list" else own_retrieve
        if getattr(cls, name, known) is not known:
            raise NotSubscribable(f"This can't be subscribed to: its {name}() is its own.")
        meta = getattr(self.get_serializer_class(), "Meta", None)
        if name == "list" and hasattr(meta, "list_serializer_class"):
            raise NotSubscribable(
                "This can't be subscribed to: its lists are serialized otherwise."
            )
        if name == "list" and self.overrides("paginate_queryset"):
            raise NotSubscribable("This can't be subscribed to: its pages are its own.")

    def _canonicalize_late(self) -> None:
        # Only the queryset knows the model, and it may need a user who has passed the permissions.
        if self.overrides("get_queryset") or self.queryset is not None:
            self.pk = canonical_pk(self.get_queryset().model, self.lookup_field, self.pk)

    async def dispatch(self) -> str:
        """Answer the frame: the reply, encoded. A failure is a reply too."""
        try:
            answer = await self._answer(self.available_action)
            return await self._begin(answer) if isinstance(answer, Begun) else answer
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as exc:  # SystemExit, for one, would end the server's event loop
            return await self._arefuse(exc)

    async def _answer(self, action: Action | None) -> str | Begun:
        if action is None or not action.is_async:
            return await run_in_thread(self._respond, owner=self.handshake)
        await run_in_thread(self.initial, owner=self.handshake)
        with submitting(self.submission):
            result = await self._call(action)
        task = task_in(result)
        if task is None:
            return result if isinstance(result, Begun) else self._encode(result)
        return await run_in_thread(self._hand_over, task, owner=self.handshake)

    def _hand_over(self, result: Any) -> Begun:
        return hand_over(
            result, self.submission, owner=self.owner, door=f"stream:{self.frame.stream}"
        )

    @property
    def owner(self) -> str:
        """Whose tasks the frame may begin and see."""
        return owner_of(self.user, self.scope.get("session"), self.handshake.http.COOKIES)

    async def _begin(self, begun: Begun) -> str:
        """The first reply for a task: it has been begun. Its states follow."""
        signed, state = begun.reference.sign(), begun.state or TaskState()
        if begun.state is None and self.watches is not None:
            watch = await self.watches.begin(begun.reference, begun.reader, self.frame.reply)
            self.after_reply(partial(watch.open, state), otherwise=watch.close)
        return encode_state(state, signed, self.frame.reply)

    async def _arefuse(self, exc: BaseException) -> str:
        # A project's EXCEPTION_HANDLER may use the database.
        if not is_known(exc):
            with contextlib.suppress(Overloaded):
                return await run_in_thread(self.refuse, exc, owner=self.handshake)
        return self.refuse(exc)

    def _respond(self) -> str | Begun:
        try:
            with atomic_requests(), submitting(self.submission):
                self.initial()
                result = self._call(self.available_action)
            task = task_in(result)
            if task is not None:
                return self._hand_over(task)
            return result if isinstance(result, Begun) else self._encode(result)
        except BaseException as exc:  # nothing of a frame leaves it
            return self.refuse(exc)

    def _call(self, action: Any) -> Any:
        handler = getattr(self, action.handler)
        if action.detail:
            return handler(self.pk, data=self.frame.data)
        return handler(data=self.frame.data)

    def _encode(self, result: Any) -> str:
        status, data, errors = self.read_result(result)
        text = self.reply(status, data, errors).encode()
        if byte_length(text) > settings.MAX_REPLY_BYTES:
            raise ReplyTooLarge
        return text

    def read_result(self, result: Any) -> tuple[int, Any, list[Any]]:
        """Status, data and errors of what a handler returned."""
        return read_result(result)

    def refuse(self, exc: BaseException) -> str:
        """The encoded error reply for an exception."""
        self._refused = True
        try:
            status, errors = self._project_errors(exc) or error_reply(exc)
            return self.reply(status, None, errors).encode()
        except Exception as failure:  # of the project's handler, or of the errors' encoding
            failure.__context__ = exc  # another thread's: Python does not know
            status, errors = error_reply(failure)
            return self.reply(status, None, errors).encode()

    def _project_errors(self, exc: BaseException) -> tuple[int, list[Any]] | None:
        """What the project's EXCEPTION_HANDLER makes of an exception that DRF does not know."""
        if is_known(exc) or not isinstance(exc, Exception):
            return None
        handler = self.get_exception_handler()
        if handler is exception_handler:
            return None
        # The view as DRF would show it: of a mounted viewset its own.
        view = getattr(self, "view", self)
        context = {"view": view, "args": (), "kwargs": self.kwargs, "request": self.request}
        response = handler(exc, context)
        if response is None:
            return None
        status, _, errors = read_result(response)
        return status, errors

    def reply(self, status: int, data: Any, errors: list[Any]) -> Reply:
        """A reply to the frame."""
        return self.frame.reply(status, data, errors)


class ResourceBinding(
    CreateModelMixin,
    RetrieveModelMixin,
    ListModelMixin,
    UpdateModelMixin,
    PatchModelMixin,
    DeleteModelMixin,
    SubscribeModelMixin,
    ResourceBindingBase,
):
    """All actions: create, retrieve, list, update, patch, delete, subscribe, unsubscribe."""


class ReadOnlyResourceBinding(
    RetrieveModelMixin, ListModelMixin, SubscribeModelMixin, ResourceBindingBase
):
    """The actions that change nothing: retrieve, list, subscribe, unsubscribe."""
