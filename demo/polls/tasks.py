"""A plain Celery task: it knows of no socket and no request."""

import os
import time

from celery import shared_task

from .models import Question

# Counting a few votes takes no time. With this, it is like the reports that do.
STEPS = 20
SECONDS = float(os.environ.get("DEMO_REPORT_SECONDS", "6"))


@shared_task(bind=True)
def count_votes(self):
    """The choice that leads each poll, and how many votes there are."""
    for step in range(STEPS):
        self.update_state(state="PROGRESS", meta={"current": step, "total": STEPS})
        time.sleep(SECONDS / STEPS)
    leaders = []
    for question in Question.objects.prefetch_related("choices"):
        choices = sorted(question.choices.all(), key=lambda choice: -choice.votes)
        if choices:
            leader = {"choice": choices[0].choice_text, "votes": choices[0].votes}
            leaders.append({"question": question.question_text, **leader})
    return {**Question.objects.all().totals(), "leaders": leaders}
