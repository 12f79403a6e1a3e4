"""When a message is tried again. Pure: time and randomness are arguments.

A failure that is the carrier's puts the message back in its place at once: the carrier's credit says when it goes. Where the account has no
credits for such messages, they wait as long as the carrier says, and it counts for nothing. A failure that is the
message's own counts, and waits twice as long each time, between `retry_min` and `retry_max`, with jitter; after `max_attempts` it is final.
"""

from dataclasses import dataclass
from typing import NamedTuple, assert_never

from gateway.message import Deferred, Outcome, Reason, Rejected, Scope


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The settings of retries; seconds."""

    retry_min: float = 5.0
    retry_max: float = 600.0
    max_attempts: int = 20


class Decision(NamedTuple):
    """What becomes of an outcome."""

    outcome: Outcome
    retry_at: float | None = None  # None for Deferred = at once, in its old place
    counts: bool = False


def decide(outcome: Outcome, deferrals: int, policy: RetryPolicy, now: float, jitter: float) -> Decision:
    """Say when a deferred message is tried again; every other outcome stands. `jitter` is 0 to 1."""
    if not isinstance(outcome, Deferred):
        return Decision(outcome)
    match outcome.scope:
        case Scope.CARRIER:
            return Decision(outcome)
        case Scope.ASIDE:
            return Decision(outcome, now + (outcome.retry_after or policy.retry_min))
        case Scope.MESSAGE:
            return _again(outcome, deferrals, policy, now, jitter)
        case _:
            assert_never(outcome.scope)


def _again(outcome: Deferred, deferrals: int, policy: RetryPolicy, now: float, jitter: float) -> Decision:
    if deferrals + 1 >= policy.max_attempts:
        detail = f"refused {deferrals + 1} times, last: {outcome.detail}"
        return Decision(Rejected(Reason.ATTEMPTS_EXHAUSTED, detail, outcome.code))
    return Decision(outcome, now + max(outcome.retry_after or 0.0, _pause(deferrals, policy, jitter)), counts=True)


def _pause(deferrals: int, policy: RetryPolicy, jitter: float) -> float:
    """Return between half and the whole of the doubled pause."""
    whole = min(policy.retry_max, policy.retry_min * 2.0 ** min(deferrals, 30))
    return max(policy.retry_min, whole * (0.5 + jitter / 2))
