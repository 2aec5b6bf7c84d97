"""Views of viewsets as coroutines: an answer is held, or given up, without a thread."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Collection
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections, transaction
from django.http import JsonResponse

from .background.publishing import PublishTimer
from .background.references import TaskReference
from .background.submission import Submission
from .exceptions import BrokerUnavailable
from .handover import wait_until_final
from .layers.sender import get_sender
from .results import atomic_requests
from .spawn import current_task
from .threads import close_connections, give_back_thread


def awaitable(view: Any) -> Any:
    """A view as a coroutine, so that an answer can be held without a thread that waits with it."""

    @functools.wraps(view)
    async def answer(request: Any, *args: Any, **kwargs: Any) -> Any:
        # For the viewset: its handler's tasks are published in a thread.
        request.task_submission = submission = Submission()
        PublishTimer(submission, asyncio.get_running_loop(), current_task())
        try:
            response = await sync_to_async(_in_transaction)(view, without, request, *args, **kwargs)
        except asyncio.CancelledError:
            if not submission.is_given_up:
                raise
            return _unavailable()
        wait = getattr(response, "task_wait", None)
        if wait is not None:
            reference, seconds = wait
            give_back_thread()
            await _wait(request, reference, seconds)
            settle = response.renderer_context["view"]._settle  # noqa: SLF001
            await sync_to_async(settle)(response, reference, seconds)
        return response

    # Django refuses an async view where ATOMIC_REQUESTS is set; the sync part has its transaction,
    # but for the databases that the viewset itself leaves out.
    without = frozenset(vars(answer).pop("_non_atomic_requests", ()))
    for alias in connections:
        transaction.non_atomic_requests(alias)(answer)
    return answer


async def _wait(request: Any, reference: TaskReference, seconds: float) -> None:
    waiting = wait_until_final(reference, seconds)
    if isinstance(request, ASGIRequest):
        await waiting
    else:
        # Under WSGI each request has an event loop of its own, and Redis' layer is heard in one.
        loop = get_sender().loop
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(waiting, loop))


def _in_transaction(
    view: Any, without: Collection[str], request: Any, *args: Any, **kwargs: Any
) -> Any:
    with atomic_requests(without):
        response = view(request, *args, **kwargs)
    if hasattr(response, "task_wait"):
        close_connections()  # that of the user's session, for one: nobody needs it for so long
    return response


def _unavailable() -> JsonResponse:
    """The answer of who hangs in a thread, and will hang there as long as the broker does."""
    give_back_thread()
    exc = BrokerUnavailable()
    return JsonResponse({"detail": exc.detail}, status=exc.status_code)
