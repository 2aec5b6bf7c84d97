"""Plain Celery tasks: they know of no socket."""

import contextlib
import os
import signal
import time
from pathlib import Path

from celery import chain, chord, group, shared_task
from celery.exceptions import Ignore
from rest_framework.exceptions import ValidationError

from tests.app.models import Question


def wait_for(path: str, seconds: float = 30) -> None:
    """Wait until the test makes a file: a task that goes on when it is told to."""
    deadline = time.monotonic() + seconds
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.01)


@shared_task
def double(number, wait=None):
    if wait:
        wait_for(wait)
    return number * 2


@shared_task(bind=True)
def report(self, steps):
    """`steps`: files to wait for, each followed by a state of progress."""
    for done, step in enumerate(steps, 1):
        wait_for(step)
        self.update_state(state="PROGRESS", meta={"current": done, "total": len(steps)})
    return {"steps": len(steps)}


@shared_task(bind=True)
def tick(self, wait, steps=1000):
    """Updates its state all the time, until `wait` is there."""
    for number in range(100_000):
        self.update_state(state="PROGRESS", meta={"current": number})
        if Path(wait).exists():
            return "done"
        time.sleep(0.02)
    return None


@shared_task
def fail(text="db password=secret", wait=None):
    if wait:
        wait_for(wait)
    raise RuntimeError(text)


@shared_task
def refuse():
    raise ValidationError({"year": ["No such year."]})


@shared_task(bind=True)
def retry(self, times=1, countdown=0):
    if self.request.retries < times:
        raise self.retry(countdown=countdown)
    return self.request.retries


@shared_task(ignore_result=True)
def forget():
    return "nobody hears of it"


@shared_task
def ignore():
    raise Ignore


@shared_task
def anything(kind):
    """Results that JSON of its own can't hold, or that are large."""
    if kind == "large":
        return "x" * 2_000_000
    return {"nan": float("nan")}


@shared_task
def total(numbers):
    return sum(numbers)


@shared_task
def die(wait):
    """Kills its own process, without a word."""
    wait_for(wait)
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task
def count_questions():
    return Question.objects.count()


@shared_task(bind=True)
def swallow(self, wait, done):
    """Goes on although it was cancelled."""
    wait_for(wait)
    for _ in range(50):
        with contextlib.suppress(Exception):
            self.update_state(state="PROGRESS", meta={})
        time.sleep(0.01)
    Path(done).touch()
    return "finished"


def in_a_chain(number, waits):
    return chain(double.s(number, waits[0]), double.s(waits[1])).delay()


def in_a_group(numbers, wait=None):
    return group(double.s(number, wait) for number in numbers).delay()


def in_a_chord(numbers, wait=None):
    return chord((double.s(number, wait) for number in numbers), total.s()).delay()
