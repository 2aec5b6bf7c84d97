"""Fill a database: `python -m tests.benchmarks.project.prepare [rows] [users]`.

Prints the session cookies of the users as a JSON list. Every note has all users as its readers,
and each user one more that nobody else sees.
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
from django.db import connection  # noqa: E402
from django.http import HttpRequest  # noqa: E402

from tests.benchmarks.project.models import Note, Question  # noqa: E402


def make_questions(rows: int) -> None:
    """Exactly so many, with the keys from 1 on."""
    Question.objects.all().delete()
    Question.objects.bulk_create(
        Question(pk=number, question_text=f"What is the meaning of question number {number}?")
        for number in range(1, rows + 1)
    )
    with connection.cursor() as cursor:
        for sql in connection.ops.sequence_reset_sql(no_style(), [Question]):
            cursor.execute(sql)


def make_readers(users: int) -> list[str]:
    """A shared note and one's own for each; the session keys."""
    model = get_user_model()
    people = [model.objects.create(username=f"reader{number}") for number in range(users)]
    Note.objects.create(pk=1, text="Everybody's").readers.set(people)
    for number, person in enumerate(people, 2):
        Note.objects.create(pk=number, text="My own").readers.add(person)
    return [_log_in(person) for person in people]


def _log_in(person) -> str:
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore()
    login(request, person, backend="django.contrib.auth.backends.ModelBackend")
    request.session.save()
    return request.session.session_key


if __name__ == "__main__":
    rows, users = map(int, sys.argv[1:])
    call_command("migrate", run_syncdb=True, verbosity=0)
    make_questions(rows)
    sys.stdout.write(json.dumps(make_readers(users)))
