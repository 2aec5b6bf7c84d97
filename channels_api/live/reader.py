"""What live needs of a binding: who sees the same, and how rows are read for them."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import NamedTuple, Protocol

from .log import Topic

# Rows per query.
CHUNK = 500


class Rows:
    """The rows that a reader may see, as JSON text by pk, in the order in which they were read.

    `failed` are rows that may be seen and could not be made into text: nothing is known of them.
    `large` are those of them whose text no frame can hold.
    `personal` is True where the rows of a shared reader turned out to depend on the user: they
    must then be shown to nobody. Not `complete`: there are more than were asked for.
    """

    def __init__(
        self,
        texts: dict[int | str, str],
        *,
        personal: bool = False,
        failed: Iterable[int | str] = (),
        large: Iterable[int | str] = (),
        complete: bool = True,
    ) -> None:
        self.texts = texts
        self.personal = personal
        self.failed = set(failed)
        self.large = set(large)
        self.complete = complete


class Visible(NamedTuple):
    """The pks that a reader may see; not `complete` where there were too many to list."""

    pks: set[int | str]
    complete: bool


class Reader(Protocol):
    """Reads rows with a subscriber's queryset, permissions and serializer. Sync code."""

    stream: str
    topic: Topic
    # Whose turn it is in the thread pool when a subscription begins; one for each socket.
    owner: Hashable
    # Whether a row of the topic may be hidden from the reader.
    restricted: bool
    # The topic of the users, where what is seen depends on one of them, and who it is.
    user_topic: Topic | None
    user_pk: int | str | None

    @property
    def is_over(self) -> bool:
        """Whether its user is not logged in any more."""

    @property
    def is_shared(self) -> bool:
        """Whether others may be shown what is read here."""

    @property
    def key(self) -> Hashable:
        """Equal for readers that see the same; it may change from shared to personal."""

    def read(self, pks: Collection[int | str]) -> Rows:
        """The rows among `pks` that may be seen now."""

    def snapshot(self, limit: int) -> Rows:
        """Up to `limit` of all rows that may be seen now, in the order of a list."""

    def visible(self, limit: int) -> Visible:
        """The pks of up to `limit` rows that may be seen now. Raises what refuses the user."""

    def visible_among(self, pks: Collection[int | str]) -> set[int | str]:
        """Those of the rows that may be seen now. Raises what refuses the user."""

    def find(self, pk: object) -> int | str:
        """The primary key for a look-up value. Raises NotFound where it can't be seen."""

    def authorize(self) -> None:
        """Load the user again. Raises what refuses them what the reader's key stands for."""

    def renew(self) -> bool:
        """Load the user again; whether what the reader's key stands for is still theirs to see."""
