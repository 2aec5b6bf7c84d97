"""Names for types: valid identifiers, each given once."""

from __future__ import annotations

import re
from itertools import count

# What TypeScript lets no interface be called.
KEYWORDS = """
any as await bigint boolean break case catch class const continue debugger default delete do else
enum export extends false finally for function if implements import in instanceof interface let
never new null number object package private protected public return static string super switch
symbol this throw true try type typeof undefined unknown var void while with yield
"""


class Names:
    """The identifiers of one file."""

    def __init__(self) -> None:
        self._taken = set(KEYWORDS.split())

    def give(self, wanted: str) -> str:
        """An identifier like `wanted` that nobody has yet."""
        name = "".join(letter if f"_{letter}".isidentifier() else "_" for letter in wanted)
        if not name.isidentifier():
            name = f"_{name}"
        candidates = (name if number == 1 else f"{name}{number}" for number in count(1))
        given = next(candidate for candidate in candidates if candidate not in self._taken)
        self._taken.add(given)
        return given


def capitalized(text: str) -> str:
    """`live-questions` as the begin of a type's name: `LiveQuestions`."""
    words = re.findall(r"[^\W_]+", text)
    return "".join(word[0].upper() + word[1:] for word in words)
