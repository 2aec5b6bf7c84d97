"""Plain Celery tasks with all kinds of states, results, errors and compositions."""

import datetime
import uuid
from decimal import Decimal

from celery import chain, chord, group, shared_task
from celery.exceptions import Ignore
from rest_framework.exceptions import ValidationError

from tests.app.tasks import double, fail, total, wait_for

#: What JSON of its own can't hold, or not in one frame.
VALUES = {
    "types": {
        "at": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        "day": datetime.date(2026, 1, 2),
        "price": Decimal("1.50"),
        "id": uuid.UUID(int=1),
    },
    "nan": {"nan": float("nan")},
    "bytes": b"\xff",
    "surrogate": ["\ud800"],
    "large": "x" * 2_000_000,
    "object": object(),
}


class UnpicklableError(Exception):
    """Can't be made again from its arguments, as some exceptions of libraries can't."""

    def __init__(self, reason, *, code):
        super().__init__(reason)
        self.code = code


ERRORS = {
    "detail": ValidationError({"year": ["No such year."]}),
    "large detail": ValidationError("x" * 2_000_000),
    "large": RuntimeError("x" * 2_000_000),
    "odd": UnpicklableError("secret", code=1),
}


@shared_task
def give(kind):
    return VALUES[kind]


@shared_task
def give_up(kind):
    raise ERRORS[kind]


@shared_task(bind=True)
def show(self, kind, wait):
    """A state of its own, until `wait` is there."""
    self.update_state(state="SHOWING", meta=VALUES.get(kind, kind))
    wait_for(wait)


@shared_task(bind=True)
def walk(self, steps):
    """`steps`: files to wait for and the name of the state that each begins."""
    for wait, state in steps:
        wait_for(wait)
        self.update_state(state=state)


@shared_task(bind=True)
def again(self, waits, countdown=0):
    """An attempt for each file to wait for; each but the last one asks for another."""
    wait_for(waits[self.request.retries])
    if self.request.retries < len(waits) - 1:
        raise self.retry(countdown=countdown)
    return self.request.retries


@shared_task(bind=True, max_retries=1)
def give_up_again(self):
    raise self.retry(exc=RuntimeError("secret"), countdown=0)


@shared_task(ignore_result=True)
def unheard(wait, kind=None):
    """Nobody keeps what it returns or raises."""
    wait_for(wait)
    if kind:
        raise ERRORS[kind]
    return "not kept"


@shared_task
def ignored(wait):
    wait_for(wait)
    raise Ignore


@shared_task(bind=True)
def failed_by_hand(self):
    """As people write it; Celery can't read that state again."""
    self.update_state(state="FAILURE", meta={"why": "secret"})
    raise Ignore


@shared_task(bind=True)
def replaced(self, kind, wait):
    signatures = {
        "task": double.s(21, wait),
        "chain": chain(double.s(5, wait), double.s()),
        "group": group(double.s(number, wait) for number in (1, 2)),
        "failure": fail.s("secret", wait),
    }
    return self.replace(signatures[kind])


@shared_task(bind=True)
def parent(self, wait):
    """Begins another task, which has states of its own."""
    child = show.delay("child", wait)
    self.update_state(state="WAITING", meta=child.id)
    wait_for(wait)
    return "parent"


@shared_task(bind=True)
def in_line(self, wait):
    """Runs another task as part of itself."""
    number = double.apply((4,)).result + double(1)
    self.update_state(state="WAITING", meta=number)
    wait_for(wait)
    return number


@shared_task(bind=True)
def flood(self, states, size, wait):
    """Many large states, one after another."""
    for number in range(states):
        self.update_state(state=f"STEP-{number}", meta={"number": number, "fill": "x" * size})
    wait_for(wait)
    return "the end"


def nothing_in_a_group():
    return group([]).delay()


def groups_in_a_group(first, second):
    inner = group(double.s(1, first), double.s(2, first))
    return group(inner, double.s(3, second)).delay()


def chains_in_a_group(first, second):
    return group(
        chain(double.s(1, first), double.s()), chain(double.s(2, second), double.s())
    ).delay()


def chain_to_a_group(first, second):
    return chain(double.s(1, first), group(double.s(second), double.s())).delay()


def chain_to_a_chord(first, second):
    header = group(double.s(first), double.s(second))
    return chain(double.s(1), chord(header, total.s())).delay()


def chain_from_a_group(first, second):
    """Celery makes a chord of it, with a step after its body."""
    header = group(double.s(1, first), double.s(2, second))
    return chain(header, total.s(), double.s()).delay()


def chord_of_chains(first, second):
    header = [chain(double.s(1, first), double.s()), chain(double.s(2, second), double.s())]
    return chord(header, total.s()).delay()


def chord_to_a_group(first, second):
    return chord([double.s(1, first), double.s(2, second)], group(total.s(), total.s())).delay()


def failing_chain(wait):
    return chain(fail.s("secret", wait), double.si(1), double.si(2)).delay()


def failing_group(wait):
    return group(double.s(1, wait), fail.s("secret", wait)).delay()


def failing_chord(wait):
    return chord([double.s(1, wait), fail.s("secret", wait)], total.s()).delay()


def failing_body(wait):
    return chord([double.s(1, wait), double.s(2, wait)], fail.si("secret")).delay()


def failing_chain_in_a_group(wait):
    return group(double.s(1, wait), chain(fail.s("secret", wait), double.si(1))).delay()


def failing_chain_in_a_chord(wait):
    header = [double.s(1, wait), chain(fail.s("secret", wait), double.si(1))]
    return chord(header, total.s()).delay()


def failing_before_a_group(wait):
    return chain(fail.s("secret", wait), group(double.si(1), double.si(2))).delay()


def failing_before_a_chord(wait):
    return chain(fail.s("secret", wait), chord([double.si(1), double.si(2)], total.s())).delay()


def failing_after_a_chord(wait):
    header = group(double.s(1, wait), double.s(2, wait))
    return chain(header, fail.si("secret"), double.si(1)).delay()


def failing_chord_with_a_step(wait):
    header = group(double.s(1, wait), fail.s("secret", wait))
    return chain(header, total.s(), double.s()).delay()


def refused_chain():
    return chain(give_up.s("detail"), double.si(1)).delay()


def refused_group():
    return group(double.s(1), give_up.s("detail")).delay()


def refused_chord():
    return chord([double.s(1), give_up.s("detail")], total.s()).delay()


def expired_chain():
    return chain(double.s(1).set(expires=0), double.si(1), double.si(2)).delay()


def expired_before_a_group():
    return chain(double.s(1).set(expires=0), group(double.si(1), double.si(2))).delay()


def ignored_chain(wait):
    return chain(ignored.si(wait), double.si(1)).delay()
