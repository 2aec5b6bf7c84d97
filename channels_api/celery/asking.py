"""Where the result backend is asked for a client that waits for the answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from rest_framework.exceptions import APIException

from ..exceptions import ResultsUnavailable
from ..logs import log_sometimes

#: Whether a client waits: then nothing is tried again for ever.
client_waits: ContextVar[bool] = ContextVar("channels_api_client_waits", default=False)


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """What fails in here fails at once, whatever `result_backend_always_retry` says."""
    token = client_waits.set(True)
    try:
        yield
    finally:
        client_waits.reset(token)


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """What fails in here is told as 503."""
    try:
        with impatient():
            yield
    except APIException:
        raise
    except Exception as exc:
        log_sometimes("The result backend can't be asked")
        raise ResultsUnavailable from exc
