"""What one socket may ask: rates and faults, by a clock that the tests turn themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_api.limits import (
    BAD_FRAMES,
    FAULT_SECONDS,
    LARGE_FRAMES,
    REFUSED_FRAMES,
    Strikes,
    TokenBucket,
)

# Any start: what counts is the time between two frames.
START = 1000.0


def passed(bucket: TokenBucket, now: float, frames: int) -> int:
    """How many of so many frames at one moment pass."""
    return sum(bucket.take(now) == 0 for _ in range(frames))


class TestTokenBucket:
    def test_a_burst_passes_and_no_more(self):
        bucket = TokenBucket(100, 200, START)
        assert passed(bucket, START, 500) == 200

    def test_fills_up_at_its_rate(self):
        bucket = TokenBucket(100, 200, START)
        passed(bucket, START, 200)
        assert passed(bucket, START + 0.5, 500) == 50
        assert passed(bucket, START + 1.0, 500) == 50

    def test_holds_no_more_than_a_burst(self):
        bucket = TokenBucket(100, 200, START)
        assert passed(bucket, START + 3600, 500) == 200

    def test_says_how_long_to_wait(self):
        bucket = TokenBucket(4, 1, START)
        assert bucket.take(START) == 0
        assert bucket.take(START) == 0.25
        assert bucket.take(START + 0.125) == 0.125
        assert bucket.take(START + 0.25) == 0

    def test_a_refused_frame_costs_nothing(self):
        """Who asks again and again while waiting does not wait longer."""
        bucket = TokenBucket(4, 1, START)
        bucket.take(START)
        assert passed(bucket, START + 0.125, 1000) == 0
        assert bucket.take(START + 0.25) == 0

    @pytest.mark.parametrize(("rate", "burst"), [(None, 200), (100, None), (None, None), (None, 0)])
    def test_none_is_no_limit(self, rate, burst):
        assert passed(TokenBucket(rate, burst, START), START, 10_000) == 10_000

    @given(
        st.integers(1, 1000),
        st.integers(1, 1000),
        st.lists(st.floats(0, 10), min_size=1, max_size=200),
    )
    def test_never_more_than_the_burst_and_the_rate(self, rate, burst, pauses):
        bucket, now, frames = TokenBucket(rate, burst, START), START, 0
        for pause in pauses:
            now += pause
            frames += passed(bucket, now, 3)
            assert frames <= burst + rate * (now - START) + 1e-6

    @given(st.integers(1, 1000), st.integers(1, 1000))
    def test_after_the_wait_that_it_told_a_frame_passes(self, rate, burst):
        bucket = TokenBucket(rate, burst, START)
        passed(bucket, START, burst)
        wait = bucket.take(START)
        assert 0 < wait <= 1 / rate
        # A microsecond for the rounding of floats.
        assert bucket.take(START + wait + 1e-6) == 0


class TestStrikes:
    @pytest.mark.parametrize("limit", [1, 10, 100])
    def test_out_at_the_limit(self, limit):
        strikes = Strikes(limit)
        assert [strikes.out(START) for _ in range(limit)] == [False] * (limit - 1) + [True]

    def test_within_the_time(self):
        strikes = Strikes(10)
        assert not any(strikes.out(START) for _ in range(9))
        assert strikes.out(START + FAULT_SECONDS)

    def test_old_ones_are_forgotten(self):
        strikes = Strikes(10)
        assert not any(strikes.out(START) for _ in range(9))
        assert not strikes.out(START + FAULT_SECONDS + 0.001)

    def test_the_time_slides(self):
        """Nine at the end of one ten seconds and one at the start of the next are ten."""
        strikes = Strikes(10)
        assert not strikes.out(START)
        assert not any(strikes.out(START + FAULT_SECONDS - 1) for _ in range(8))
        assert not strikes.out(START + FAULT_SECONDS + 1)
        assert strikes.out(START + FAULT_SECONDS + 2)

    def test_one_now_and_then_is_never_out(self):
        strikes = Strikes(10)
        assert not any(strikes.out(START + 1.2 * number) for number in range(1000))

    def test_what_is_promised(self):
        assert (BAD_FRAMES, LARGE_FRAMES, REFUSED_FRAMES, FAULT_SECONDS) == (10, 10, 100, 10.0)
