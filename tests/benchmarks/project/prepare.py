"""Fill a database: `python -m tests.benchmarks.project.prepare ROWS USERS NOTES`.

Makes so many questions, users, and notes for each user that nobody else sees; the first note of all
is everybody's. Prints the session keys of the users as a JSON list.
"""

import json
import sys
from importlib import import_module

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import get_user_model, login  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.management.color import no_style  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.http import HttpRequest  # noqa: E402

from tests.benchmarks.project.models import Note, Question  # noqa: E402


def make_questions(rows: int) -> None:
    """Exactly so many, with the keys from 1 on."""
    Question.objects.all().delete()
    Question.objects.bulk_create(
        Question(pk=number, question_text=f"What is the meaning of question number {number}?")
        for number in range(1, rows + 1)
    )


def make_readers(users: int, notes: int) -> list[str]:
    """The users and their notes; the session keys."""
    model = get_user_model()
    people = [model.objects.create(username=f"reader{number}") for number in range(users)]
    Note.objects.create(text="Everybody's").readers.set(people)
    for person in people:
        own = Note.objects.bulk_create(Note(text="My own") for _ in range(notes))
        person.note_set.add(*own)
    return [_log_in(person) for person in people]


def reset_sequences() -> None:
    """PostgreSQL's do not notice keys that were given."""
    with connection.cursor() as cursor:
        for sql in connection.ops.sequence_reset_sql(no_style(), [Question]):
            cursor.execute(sql)


def _log_in(person) -> str:
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore()
    login(request, person, backend="django.contrib.auth.backends.ModelBackend")
    request.session.save()
    return request.session.session_key


if __name__ == "__main__":
    rows, users, notes = map(int, sys.argv[1:])
    call_command("migrate", verbosity=0)
    with transaction.atomic():
        make_questions(rows)
        reset_sequences()
        keys = make_readers(users, notes)
    sys.stdout.write(json.dumps(keys))
