"""Frames about the socket itself, beside those of streams: pings and pongs, and a token."""

from __future__ import annotations

import re

from .exceptions import FrameError
from .protocol import loads


def ping_text(number: int, interval: float) -> str:
    """The frame of a ping; another follows within `interval` seconds."""
    return f'{{"ping":{number},"interval":{interval:g}}}'


# A ping's number has few digits; around it a client's JSON encoder may put spaces.
MAX_PONG_LENGTH = 40
PONG = re.compile(
    r'[ \t\r\n]*\{[ \t\r\n]*"pong"[ \t\r\n]*:[ \t\r\n]*([1-9][0-9]*)[ \t\r\n]*\}[ \t\r\n]*'
)


def parse_pong(text: str) -> int | None:
    """The number in a pong, or None for any other frame."""
    # The length first: a frame of any size may come here.
    match = PONG.fullmatch(text) if len(text) <= MAX_PONG_LENGTH else None
    return None if match is None else int(match[1])


# What may stand in an Authorization header (RFC 6750).
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
AUTHENTICATED_TEXT = '{"authenticated":true}'


def parse_token(text: str) -> str | None:
    """The token in `{"authenticate": "..."}`, the first frame of a client; None for another frame.

    Raises FrameError where there is such a key, and anything else that does not belong there.
    """
    if '"authenticate"' not in text:
        return None
    content = loads(text)
    if not isinstance(content, dict) or "stream" in content or "authenticate" not in content:
        return None
    token = content["authenticate"]
    if len(content) > 1 or not isinstance(token, str) or not TOKEN.fullmatch(token):
        raise FrameError("To authenticate, send a token as a string, and nothing beside it.")
    return token
