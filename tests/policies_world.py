"""Who and what the tests of policies are about: five people and three questions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Permission, User

from tests.app.models import Question
from tests.client import login_headers

PASSWORD = "only for tests"

#: DRF's own words.
NO_CREDENTIALS = ["Authentication credentials were not provided."]
FORBIDDEN = ["You do not have permission to perform this action."]
NOT_FOUND = ["Not found."]


@dataclass(frozen=True)
class Person:
    """A user (None: nobody has logged in), as a browser with a socket and as a client of HTTP."""

    user: User | None = None
    headers: Mapping[str, str] | None = None

    @property
    def basic_auth(self) -> tuple[str, str] | None:
        return (self.user.username, PASSWORD) if self.user else None


def make_people() -> dict[str, Person]:
    """`plain` may nothing in particular, `editor` may change questions only."""
    users = {
        name: User.objects.create_user(name, password=PASSWORD)
        for name in ("plain", "editor", "owner")
    }
    users["staff"] = User.objects.create_superuser("staff", password=PASSWORD)
    users["editor"].user_permissions.add(Permission.objects.get(codename="change_question"))
    people = {name: Person(user, login_headers(user)) for name, user in users.items()}
    return {"anonymous": Person(), **people}


class Rows:
    """Three questions by name; `restore` makes them what they were, under the same keys."""

    def __init__(self, people: Mapping[str, Person]) -> None:
        # Keys that the database gave: it will not give them to another row.
        self._rows = [
            Question.objects.create(question_text="apple", votes=3),
            Question.objects.create(question_text="banana", votes=1, owner=people["owner"].user),
            Question.objects.create(
                question_text="cherry", votes=2, published=False, owner=people["staff"].user
            ),
        ]
        self._values = list(Question.objects.order_by("pk").values())
        self.pks = {row.question_text: row.pk for row in self._rows}

    def restore(self) -> None:
        Question.objects.all().delete()
        Question.objects.bulk_create(self._rows)

    def untouched(self) -> bool:
        """Whether `restore` would change nothing."""
        return list(Question.objects.order_by("pk").values()) == self._values

    def shown(self, name: str) -> dict[str, Any]:
        """A row as the serializer shows it."""
        row = next(row for row in self._rows if row.question_text == name)
        return {
            "id": row.pk,
            "question_text": row.question_text,
            "votes": row.votes,
            "published": row.published,
            "owner": row.owner_id,
        }


def reply(action: str, status: int, data: Any = None, errors: Any = ()) -> dict[str, Any]:
    """A whole payload, of a request with the id 1."""
    return {
        "action": action,
        "errors": list(errors),
        "data": data,
        "response_status": status,
        "request_id": 1,
    }
