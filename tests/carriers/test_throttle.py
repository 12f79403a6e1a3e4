"""The adaptive rate: a token bucket under AIMD, by a clock that the tests move."""

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.carriers.throttle import BURST, CLIMB, FLOOR, PAUSE, AdaptiveRate, Tally


def test_an_idle_bucket_holds_a_short_burst_and_fills_at_the_rate() -> None:
    rate = AdaptiveRate(100.0, 0.0)
    assert rate.available(0.0) == 5
    rate.take(5, 0.0)
    assert rate.available(0.0) == 0
    assert rate.available(0.02) == 2
    assert rate.available(60.0) == 5


def test_a_rate_below_one_a_second_still_admits_one() -> None:
    rate = AdaptiveRate(0.5, 0.0)
    assert rate.available(0.0) == 1
    rate.take(1, 0.0)
    assert rate.delay(0.0) == 2.0
    assert rate.available(1.9) == 0
    assert rate.available(2.0) == 1


def test_after_the_delay_something_is_available() -> None:
    for limit in (0.3, 1.0, 7.0, 100.0, 5000.0):
        rate = AdaptiveRate(limit, 10.0)
        rate.take(int(rate.available(10.0)), 10.0)
        delay = rate.delay(10.0)
        assert delay > 0
        assert rate.available(10.0 + delay + 1e-9) >= 1
        assert rate.delay(10.0 + delay + 1e-9) == 0


def test_no_limit_admits_everything() -> None:
    rate = AdaptiveRate(0.0, 0.0)
    rate.take(1_000_000, 0.0)
    assert rate.available(0.0) == float("inf")
    assert rate.rate(0.0) == 0.0
    assert not rate.throttled(0.0)
    assert rate.delay(0.0) == 0.0


def test_a_cut_halves_pauses_and_climbs_back_by_a_fixed_step() -> None:
    rate = AdaptiveRate(90.0, 0.0)
    assert rate.slow_down(10.0, 9.9)
    assert rate.rate(10.0) == 45.0
    assert rate.available(10.0 + PAUSE / 2) == 0
    assert rate.delay(10.0) == PAUSE
    assert rate.throttled(10.0)
    assert rate.rate(10.0 + PAUSE + 1.0) == 45.0 + 90.0 / CLIMB
    assert rate.rate(10.0 + PAUSE + 2.0) == 45.0 + 2 * 90.0 / CLIMB
    assert not rate.throttled(10.0 + PAUSE + CLIMB)
    assert rate.rate(10.0 + PAUSE + CLIMB) == 90.0


def test_refusals_of_what_was_written_before_the_cut_cut_nothing_more() -> None:
    rate = AdaptiveRate(80.0, 0.0)
    assert rate.slow_down(10.0, 9.9)
    assert not rate.slow_down(10.1, 9.95)
    assert rate.rate(10.1) == 40.0
    assert rate.slow_down(12.0, 11.5)
    assert rate.rate(12.0) < 40.0


def test_cuts_stop_at_the_floor() -> None:
    rate = AdaptiveRate(8.0, 0.0)
    for second in range(10, 100, 2):
        rate.slow_down(float(second), float(second))
    assert FLOOR <= rate.rate(100.0) < 2 * FLOOR + 1


def test_without_a_limit_a_cut_starts_from_what_was_observed_and_the_limit_goes_again() -> None:
    rate = AdaptiveRate(0.0, 0.0)
    for step in range(21):
        rate.take(10, step / 10)
    assert rate.slow_down(2.0, 1.9)
    assert 45.0 <= rate.rate(2.0) <= 55.0
    assert rate.throttled(2.0)
    assert rate.rate(2.0 + PAUSE + CLIMB) == 0.0
    assert rate.available(2.0 + PAUSE + CLIMB) == float("inf")


def test_a_rate_that_has_just_climbed_back_to_no_limit_admits_everything_at_once() -> None:
    rate = AdaptiveRate(0.0, 0.0)
    rate.take(100, 0.0)
    assert rate.slow_down(1.5, 1.5)
    assert rate.delay(1.5 + PAUSE + 2 * CLIMB) == 0.0
    assert rate.available(1.5 + PAUSE + 2 * CLIMB) == float("inf")


def test_a_changed_limit_counts_at_once_and_what_a_cut_left_is_still_climbed_back_from() -> None:
    rate = AdaptiveRate(100.0, 0.0)
    rate.change_limit(10.0, 0.0)
    assert (rate.rate(0.0), rate.available(0.0), rate.throttled(0.0)) == (10.0, 1, False)
    rate.change_limit(0.0, 1.0)
    assert (rate.rate(1.0), rate.available(1.0)) == (0.0, float("inf"))
    rate.change_limit(80.0, 2.0)
    assert rate.rate(2.0) == 80.0
    rate.slow_down(2.0, 2.0)
    rate.change_limit(60.0, 2.0)
    assert (rate.rate(2.0), rate.throttled(2.0)) == (40.0, True)
    rate.change_limit(20.0, 2.0)
    assert rate.rate(2.0) == 20.0
    rate.change_limit(0.0, 2.0)
    assert rate.available(2.0) == 0, "the pause is the provider's wish"
    assert rate.available(2.0 + PAUSE) == float("inf")


@given(st.lists(st.tuples(st.floats(0.0, 0.5), st.integers(0, 50), st.booleans()), max_size=60), st.floats(1.0, 1000.0))
@hypothesis_settings(deadline=None, max_examples=150)
def test_no_run_exceeds_the_limit_by_more_than_the_burst(steps: list[tuple[float, int, bool]], limit: float) -> None:
    rate = AdaptiveRate(limit, 0.0)
    now, sent = 0.0, 0
    for passed, wanted, refused in steps:
        now += passed
        count = int(min(wanted, rate.available(now)))
        rate.take(count, now)
        sent += count
        if refused:
            rate.slow_down(now, now)
        assert sent <= limit * now + max(1.0, limit * BURST) + 1e-6


def test_a_tally_counts_each_message_by_itself_and_forgets_the_oldest_of_too_many() -> None:
    tally = Tally()
    assert [tally.again(1), tally.again(2), tally.again(1)] == [1, 1, 2]
    tally.forget(1)
    assert tally.again(1) == 1
    for row in range(10, 10 + Tally.LIMIT):
        tally.again(row)
    assert (tally.again(2), tally.again(1)) == (1, 1)
