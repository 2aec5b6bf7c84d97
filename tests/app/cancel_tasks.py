"""Tasks that are to be cancelled. Each writes down that it ran: a line in a file of the test's."""

import os
import time
from pathlib import Path

from celery import chain, chord, group, shared_task

from tests.app.tasks import wait_for


def write_down(path):
    """A line with the process id: that it ran, and where."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")


def update_until(task, path, wait):
    write_down(path)
    while not Path(wait).exists():
        task.update_state(state="PROGRESS", meta={})
        time.sleep(0.02)
    write_down(f"{path}.done")
    return "done"


@shared_task
def touch(path, wait=None):
    """Is done at once, or when `wait` is there; never updates its state."""
    write_down(path)
    if wait:
        wait_for(wait)
    return "done"


@shared_task(ignore_result=True)
def touch_unheard(path, wait):
    write_down(path)
    wait_for(wait)


@shared_task(bind=True)
def tick(self, path, wait):
    """Updates its state all the time, until `wait` is there."""
    return update_until(self, path, wait)


@shared_task(bind=True)
def again(self, path, countdown):
    """Fails the first time, and is tried again after `countdown` seconds."""
    write_down(path)
    if not self.request.retries:
        raise self.retry(countdown=countdown)
    return "done"


@shared_task(bind=True)
def stubborn(self, path, done):
    """Goes on although it is told to end, and tries to change its state again."""
    write_down(path)
    attempts = 0
    while attempts < 3:
        try:
            self.update_state(state="PROGRESS", meta={})
        except Exception:
            attempts += 1
        time.sleep(0.02)
    write_down(done)
    return "finished"


@shared_task(bind=True)
def spawn(self, path, wait, child_path):
    """Has a child of its own at work, and another one waiting."""
    tick.delay(child_path, wait)
    touch.apply_async((child_path + ".later",), countdown=0.5)
    return update_until(self, path, wait)


@shared_task(bind=True)
def brief(self, steps):
    """So many steps of 10 ms."""
    for number in range(steps):
        self.update_state(state="PROGRESS", meta={"step": number})
        time.sleep(0.01)
    return "done"


# The same work as a canvas: which of its tasks ran can be told by the files. A task that is given
# what to wait for ticks.


def step(path, wait=None):
    return tick.si(path, wait) if wait else touch.si(path)


def in_a_chain(paths, wait=None, last=None):
    """`wait` is for the first."""
    waits = [wait, *[None] * (len(paths) - 2), last]
    return chain(step(*each) for each in zip(paths, waits, strict=True)).delay()


def in_a_group(paths, wait=None):
    return group(step(path, wait) for path in paths).delay()


def in_a_chord(paths, wait=None, last=None):
    """The last is the body."""
    *header, body = paths
    return chord([step(path, wait) for path in header], step(body, last)).delay()


def with_another(path, other_path, wait):
    """Two tasks, and only the first is the answer."""
    tick.delay(other_path, wait)
    return tick.delay(path, wait)
