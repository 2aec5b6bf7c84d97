"""The errors of the wire, the close codes, and the one place that turns exceptions into replies."""

from __future__ import annotations

import enum
import sys
import traceback
import uuid
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404
from rest_framework import exceptions as drf
from rest_framework import status

from .logs import log_error, logger


class CloseCode(enum.IntEnum):
    """Why the server closed a socket; an error frame with the reason goes out before it."""

    PROTOCOL_ABUSE = 4400
    NOT_AUTHENTICATED = 4401
    FORBIDDEN_ORIGIN = 4403
    SILENT_TOO_LONG = 4408
    TOO_SLOW = 4409
    TOO_BIG_TOO_OFTEN = 4413
    FLOOD = 4429
    OVERLOADED = 4503


class FrameError(Exception):
    """A frame that can't be taken for a request; carries what is known of where to answer.

    `message` is one sentence for the client, `status` the reply's status. `stream`, `action` and
    `request_id` are None where the frame did not tell them in a usable form.
    """

    def __init__(
        self,
        message: str,
        status: int = 400,
        *,
        stream: str | None = None,
        action: str | None = None,
        request_id: str | int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.stream = stream
        self.action = action
        self.request_id = request_id


class ActionDenied(drf.APIException):
    """A 0.4.1-style permission class said no."""

    status_code = status.HTTP_401_UNAUTHORIZED
    default_detail = "Permission Denied"
    default_code = "permission_denied"


class LoginEnded(drf.APIException):
    """Whoever opened the socket is not logged in any more; it is closed after the reply."""

    status_code = status.HTTP_401_UNAUTHORIZED
    default_detail = "You are not logged in any more."
    default_code = "login_ended"


class LoginUnknown(drf.APIException):
    """It can't be found out whether whoever opened the socket is still logged in."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Who you are can't be checked at the moment. Try again later."
    default_code = "login_unknown"


class InvalidAction(drf.APIException):
    """The binding has no action of that name."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_detail = "Invalid Action"
    default_code = "invalid_action"


class LimitExceeded(drf.APIException):
    """The socket asked for more than its share; the detail names the limit."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_code = "limit_exceeded"


class ReplyTooLarge(drf.APIException):
    """The encoded reply is over `MAX_REPLY_BYTES`."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The reply is too large: ask for less, for example with a page or a filter."
    default_code = "reply_too_large"


class ActionTimeout(drf.APIException):
    """The action ran longer than `ACTION_TIMEOUT`."""

    status_code = status.HTTP_504_GATEWAY_TIMEOUT
    default_detail = "The action took too long."
    default_code = "action_timeout"


class Overloaded(drf.APIException):
    """More work waits in this process than it will get to in time."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The server is overloaded. Try again later."
    default_code = "overloaded"


class LogUnavailable(drf.APIException):
    """The log of changes can't be read."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Changes can't be followed at the moment. Try again later."
    default_code = "log_unavailable"


class TaskFinished(drf.APIException):
    """A task that is done can't be cancelled."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_detail = "The task has finished."
    default_code = "task_finished"


class BrokerUnavailable(drf.APIException):
    """No task can be published now."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Tasks can't be started at the moment. Try again later."
    default_code = "broker_unavailable"


class ResultsUnavailable(drf.APIException):
    """The result backend does not answer."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The states of tasks can't be read at the moment. Try again later."
    default_code = "results_unavailable"


class CeleryMissing(drf.APIException):
    """A task is wanted, and Celery is not installed."""

    status_code = status.HTTP_501_NOT_IMPLEMENTED
    default_detail = 'This needs Celery: pip install "channels-api[celery]".'
    default_code = "celery_missing"


class NotSubscribable(drf.APIException):
    """Rows that live can't read again one by one."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_detail = "This stream can't be subscribed to."
    default_code = "not_subscribable"


def error_reply(exc: BaseException, **where: object) -> tuple[int, list[Any]]:
    """The status and the `errors` array that a client gets for `exc`.

    Anything that is not meant for clients becomes a 500 with an error id; the id, the traceback and
    the text go to the log, with `where` it happened. The text goes to the client only with DEBUG.
    """
    exc = translate(exc)
    if isinstance(exc, FrameError):
        return exc.status, [exc.message]
    if isinstance(exc, (SuspiciousOperation, BadRequest)):
        # As Django answers them over HTTP: their text is for the log.
        logger.warning("Bad request: %s", exc)
        return status.HTTP_400_BAD_REQUEST, ["Bad Request"]
    if isinstance(exc, Http404):
        exc = drf.NotFound()
    elif isinstance(exc, DjangoPermissionDenied):
        # DRF shows these words over HTTP.
        exc = drf.PermissionDenied(*exc.args)
    if isinstance(exc, drf.APIException):
        return exc.status_code, format_errors(exc.detail)
    return status.HTTP_500_INTERNAL_SERVER_ERROR, _unexpected(exc, where)


KNOWN = (
    *(FrameError, drf.APIException, Http404, DjangoPermissionDenied),
    *(SuspiciousOperation, BadRequest),
)


def is_known(exc: BaseException) -> bool:
    """Whether `error_reply` has a status of its own for an exception."""
    return isinstance(exc, KNOWN) or _of_celery(exc) is not None


def translate(exc: BaseException) -> BaseException:
    """What clients are told of an exception of Celery's, or of its absence; else `exc` itself."""
    told = _of_celery(exc)
    if told is None:
        return exc
    logger.warning("%s (%s)", told.detail, exc)
    return told


def _of_celery(exc: BaseException) -> drf.APIException | None:
    kombu = sys.modules.get("kombu.exceptions")
    if kombu is not None and isinstance(exc, kombu.OperationalError):
        return BrokerUnavailable()
    if isinstance(exc, ModuleNotFoundError) and (exc.name or "").partition(".")[0] == "celery":
        return CeleryMissing()
    return None


def format_errors(detail: Any) -> list[Any]:
    """An `errors` array made of what DRF calls detail: a list as it is, anything else in a list."""
    return list(detail) if isinstance(detail, (list, tuple)) else [detail]


def _unexpected(exc: BaseException, where: dict[str, object]) -> list[Any]:
    error_id = uuid.uuid4().hex
    log_error("Internal server error %s", error_id, exc=exc, error_id=error_id, **where)
    reference = {"error_id": error_id}
    if django_settings.DEBUG:
        reference["exception"] = "".join(traceback.format_exception_only(type(exc), exc)).strip()
    return ["Internal server error", reference]
