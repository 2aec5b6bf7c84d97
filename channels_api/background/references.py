"""References: the signed ids by which clients name tasks, and to whom each belongs."""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass, field
from functools import cached_property
from typing import Any

from django.conf import settings as django_settings
from django.core.signing import BadSignature, Signer
from django.utils.crypto import constant_time_compare, salted_hmac
from rest_framework.exceptions import NotFound

SALT = "channels_api.task"


@dataclass(frozen=True)
class TaskReference:
    """Which task a client means. Nothing of it is stored: the id itself carries it, signed.

    `task_id` is the task whose state counts; of a group, the group's. `job` is the mark of what
    was published with it, empty for a task that no handler has published. `group` is the group
    whose members are counted, itself or a chord's header. `owner` is a digest of who began it,
    empty where whoever holds the id may see it. `view` is the HTTP view that began it,
    empty for a socket. `others` are tasks of the same job that are not part of this one.
    """

    task_id: str
    job: str = ""
    group: str = ""
    owner: str = ""
    view: str = ""
    others: tuple[str, ...] = ()
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def is_group(self) -> bool:
        """Whether the members are all there is to see."""
        return self.group == self.task_id

    @property
    def age(self) -> float:
        """Seconds since it was made."""
        return time.time() - self.created

    def sign(self) -> str:
        """The id for clients: text that fits into an URL."""
        return self._signed

    @cached_property
    def _signed(self) -> str:
        # Asked for twice by each task that is begun.
        return Signer(salt=SALT).sign_object(astuple(self))


def read_reference(signed: Any, owner: str) -> TaskReference:
    """The reference in an id that a client sent.

    Raises NotFound for what was never signed here, and for what belongs to somebody else.
    """
    if not isinstance(signed, str):
        raise NotFound
    try:
        task_id, job, group, its_owner, view, others, created = Signer(salt=SALT).unsign_object(
            signed
        )
    except (BadSignature, ValueError, TypeError):
        raise NotFound from None
    if its_owner:
        if not any(constant_time_compare(its_owner, each) for each in _digests(owner)):
            raise NotFound
        # Of today's key: what is signed anew outlives the key that it was made with.
        its_owner = owner_digest(owner)
    return TaskReference(task_id, job, group, its_owner, view, tuple(others), created)


def owner_of(user: Any, session: Any, cookies: Any) -> str:
    """Who somebody is, whichever door they come through: a user, or a browser; else nobody.

    The session counts only if the client has its cookie. One that is made while a socket is open
    never reaches the client, so it would know nobody the next time.
    """
    if user is not None and user.is_authenticated:
        return f"user:{user.pk}"
    key = cookies.get(django_settings.SESSION_COOKIE_NAME)
    if key and session is not None and session.session_key == key:
        return f"session:{key}"
    return ""


def owner_digest(owner: str) -> str:
    """What an id says of its owner; nothing for nobody."""
    return _digest(owner, django_settings.SECRET_KEY)


def _digests(owner: str) -> list[str]:
    """What ids say of an owner that were made with any of the project's keys."""
    keys = [django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS]
    return [_digest(owner, key) for key in keys]


def _digest(owner: str, key: Any) -> str:
    if not owner:
        return ""
    return salted_hmac(SALT, owner, secret=key, algorithm="sha256").hexdigest()[:32]
