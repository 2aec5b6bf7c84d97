"""What the tests of several nodes write: in a server, in a Celery worker, in a command."""

import random
import time

from celery import shared_task
from django.db import transaction

from channels_api.live import watch
from tests.app.models import Question

# In a worker and in a command nothing else of the test project imports a binding.
watch(Question)


def write(label, count, owners=(None,), remove=()):
    """Make rows, change each of them, and delete some that were there before.

    Each begins as the one owner's and ends as the next one's. Published: nothing more happens
    to it.
    """
    for number in range(count):
        owner, next_owner = (owners[(number + step) % len(owners)] for step in (0, 1))
        row = Question(question_text=f"{label} {number}", published=False, owner_id=owner)
        row.save()
        row.votes, row.owner_id = number % 7, next_owner
        row.save()
        row.published = True
        row.save()
    for row in Question.objects.filter(pk__in=remove):
        row.delete()


def churn(count, seed):
    """Make so many changes of any kind to any rows; some hundred rows are left."""
    chance = random.Random(seed)  # noqa: S311
    for number in range(count):
        pks = list(Question.objects.values_list("pk", flat=True))
        if chance.random() < 0.6 - len(pks) / 400:
            Question.objects.create(question_text=f"{seed} {number}")
            continue
        with transaction.atomic():
            # Another node may have deleted it.
            row = Question.objects.select_for_update().filter(pk=chance.choice(pks)).first()
            if row is None:
                continue
            if chance.random() < 0.3:
                row.delete()
            else:
                row.votes = chance.randrange(10)
                row.save()


def time_saves(count):
    """Save rows; the seconds that the slowest of them took."""
    slowest = 0.0
    for number in range(count):
        began = time.monotonic()
        Question.objects.create(question_text=f"timed {number}")
        slowest = max(slowest, time.monotonic() - began)
    return slowest


@shared_task(ignore_result=True)
def write_later(**plan):
    write(**plan)
