"""A broker that does not answer: how many threads it may hold."""

import pytest
from celery import Celery
from django.test import override_settings
from kombu.exceptions import OperationalError

from channels_api.background.submission import Submission, count_hanging, submitting
from channels_api.celery.worker import track


def nothing():
    """A task that is never run."""


@pytest.fixture
def task():
    app = Celery("apart", broker="memory://", backend="cache+memory://", set_as_current=False)
    track(app)
    return app.task(nothing, name="apart.nothing")


@pytest.mark.parametrize(("threads", "most"), [(6, 3), (1, 1), (0, 1)])
def test_a_broker_that_hangs_holds_half_of_the_threads(task, threads, most):
    """With all of them, no action of the process would run."""
    hanging = [Submission() for _ in range(most)]
    with override_settings(CHANNELS_API={"THREADS": threads}):
        for each in hanging:
            with submitting(Submission()):
                task.delay()
            each.mark("task")
            each.give_up()
        with submitting(Submission()), pytest.raises(OperationalError):
            task.delay()
        # It is no business of who publishes outside of handlers.
        task.delay()
        hanging[0].publishing_ended()
        with submitting(Submission()):
            task.delay()
    for each in hanging:
        each.publishing_ended()
    assert count_hanging() == 0


def test_a_publish_that_ends_just_then_holds_nothing():
    submission = Submission()
    submission.mark("task")
    submission.publishing_ended()
    submission.give_up()
    assert count_hanging() == 0
