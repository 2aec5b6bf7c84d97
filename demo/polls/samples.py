"""What a new demo holds: two accounts and a few polls."""

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from .models import Choice, Question

# The newest first. Votes are given, so that the bars show something from the start.
POLLS = [
    ("What's up?", {"Not much": 3, "The sky": 5, "Just hacking again": 8}),
    ("Tabs or spaces?", {"Tabs": 4, "Spaces": 6, "Whatever the formatter says": 11}),
    (
        "How do you keep pages up to date?",
        {"One WebSocket": 7, "Polling": 4, "Server-sent events": 2, "The reload button": 5},
    ),
    (
        "Where does your site run?",
        {"On one machine": 6, "On a few": 4, "On many": 3, "On my laptop": 6},
    ),
]


@transaction.atomic
def fill_in() -> None:
    """Add what is missing, and nothing twice.

    Polls come only where there are none at all: one that was deleted or renamed stays so.
    """
    users = get_user_model().objects
    if not users.filter(username="admin").exists():
        users.create_superuser("admin", password="admin")
    if not users.filter(username="demo").exists():
        users.create_user("demo", password="demo")
    if not Question.objects.exists():
        _add_polls()


def _add_polls() -> None:
    now = timezone.now()
    for hours, (text, choices) in enumerate(POLLS):
        question = Question.objects.create(
            question_text=text, pub_date=now - timedelta(hours=hours)
        )
        for choice_text, votes in choices.items():
            Choice.objects.create(question=question, choice_text=choice_text, votes=votes)
