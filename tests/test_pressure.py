"""When one more thread is worth it, with clocks that the test moves."""

import pytest

from channels_api.pressure import SATURATED, Pressure


class Clocks:
    """Seconds that have passed, and that the processor was used for."""

    def __init__(self) -> None:
        self.now = 100.0
        self.used = 50.0

    def __call__(self) -> Pressure:
        pressure = Pressure(lambda: self.now, lambda: self.used)
        pressure.look(0)
        return pressure

    def go_on(self, seconds: float, used: float) -> None:
        self.now += seconds
        self.used += used


@pytest.fixture
def clocks():
    return Clocks()


def test_work_that_computes_needs_no_thread(clocks):
    pressure = clocks()
    for done in range(1, 5):
        clocks.go_on(0.01, 0.01)
        assert not pressure.look(done)


def test_work_that_is_not_done_needs_one(clocks):
    """What holds the only thread may compute for seconds: others are not to wait for it."""
    pressure = clocks()
    clocks.go_on(0.01, 0.01)
    assert not pressure.look(1)
    clocks.go_on(0.01, 0.01)
    assert pressure.look(1)


def test_a_processor_with_time_to_spare_needs_one(clocks):
    """Queries of a database far away: each is soon done, and nothing was computed meanwhile."""
    pressure = clocks()
    clocks.go_on(0.01, 0.002)
    assert pressure.look(7)


def test_only_what_came_since_the_last_look_counts(clocks):
    pressure = clocks()
    clocks.go_on(10, 0)
    assert pressure.look(7)
    clocks.go_on(0.01, 0.01)
    assert not pressure.look(8)
    clocks.go_on(10, 0)
    assert pressure.look(9)


@pytest.mark.parametrize(("share", "needs_one"), [(-0.01, True), (0.01, False)])
def test_where_the_line_is(clocks, share, needs_one):
    pressure = clocks()
    clocks.go_on(1, SATURATED + share)
    assert pressure.look(1) is needs_one
