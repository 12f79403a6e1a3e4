"""When a message is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch.retry import Decision, RetryPolicy, decide
from gateway.message import Deferred, InDoubt, Outcome, Reason, Rejected, Scope, Submitted

POLICY = RetryPolicy(retry_min=5, retry_max=600, max_attempts=4)
BUSY = Deferred("ESME_RSYSERR", Scope.MESSAGE, code=8)


@pytest.mark.parametrize("outcome", [Submitted(("1",)), Rejected(Reason.REFUSED_BY_PROVIDER, "x"), InDoubt("x")])
def test_every_outcome_but_deferred_stands(outcome: Outcome) -> None:
    assert decide(outcome, 3, POLICY, 100.0, 0.5) == (outcome, None, False)


def test_a_failure_of_the_carrier_puts_the_message_back_at_once_and_does_not_count() -> None:
    throttled = Deferred("ESME_RTHROTTLED", Scope.CARRIER)
    assert decide(throttled, 1000, POLICY, 100.0, 0.5) == (throttled, None, False)


def test_a_failure_of_the_message_waits_twice_as_long_each_time() -> None:
    waits = [decide(BUSY, deferrals, RetryPolicy(5, 600, 99), 100.0, 1.0).retry_at for deferrals in range(9)]
    assert waits == [105, 110, 120, 140, 180, 260, 420, 700, 700]


def test_the_last_failure_is_final_and_says_the_code() -> None:
    outcome, retry_at, _ = decide(BUSY, 3, POLICY, 100.0, 0.5)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.code, retry_at) == (Reason.ATTEMPTS_EXHAUSTED, 8, None)


def test_the_last_failure_but_one_is_not_final() -> None:
    decision = decide(BUSY, 2, POLICY, 100.0, 1.0)
    assert (decision.outcome, decision.counts) == (BUSY, True)
    assert decide(BUSY, 0, RetryPolicy(5, 600, 1), 100.0, 1.0).retry_at is None


def test_the_last_failure_is_final_though_the_provider_asks_to_wait() -> None:
    assert isinstance(decide(Deferred("x", Scope.MESSAGE, retry_after=50.0), 3, POLICY, 100.0, 0.0).outcome, Rejected)


def test_a_short_wait_that_the_provider_asks_for_does_not_shorten_ours() -> None:
    assert decide(Deferred("x", Scope.MESSAGE, retry_after=1.0), 3, RetryPolicy(5, 600, 99), 100.0, 1.0).retry_at == 140.0


def test_what_the_provider_asks_for_is_waited_for() -> None:
    assert decide(Deferred("x", Scope.MESSAGE, retry_after=50.0), 0, POLICY, 100.0, 0.0).retry_at == 150.0


def test_no_credits_are_waited_for_as_long_as_the_carrier_says_and_count_for_nothing() -> None:
    outcome = Deferred("code 97", Scope.ASIDE, 60.0, 97)
    for deferrals in (0, 3, 1000):
        assert decide(outcome, deferrals, POLICY, 100.0, 1.0) == Decision(outcome, 160.0)
    assert decide(Deferred("x", Scope.ASIDE), 0, RetryPolicy(5, 600, 20), 100.0, 1.0).retry_at == 105.0


@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0.1, 100), st.floats(1, 1000))
def test_a_pause_is_always_between_its_bounds(deferrals: int, jitter: float, shortest: float, factor: float) -> None:
    policy = RetryPolicy(shortest, shortest * factor, 10**7)
    retry_at = decide(BUSY, deferrals, policy, 0.0, jitter).retry_at
    assert retry_at is not None
    assert policy.retry_min <= retry_at <= policy.retry_max * 1.0000001
