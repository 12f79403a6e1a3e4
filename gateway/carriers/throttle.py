"""How fast a carrier may send: a token bucket whose rate gives way when the provider says "slower". Pure.

`AdaptiveRate` is what a carrier asks before it submits (`available`), tells what it sent (`take`), and tells of every answer that means
congestion (`slow_down`). Its law is AIMD, as TCP's: halve at once, climb back by a fixed step a second until the configured limit. Refusals
of what was written before the last cut belong to the same congestion: they cut nothing more.

Without a configured limit there is nothing to halve: the first cut starts from the rate that was observed, and the limit disappears again
when the climb reaches it.

Times are seconds of a monotonic clock, given by the caller; they must not go back. Known limit: any one second may see what the limit
admits in `burst` seconds more than the limit, which is what lets a batch leave together.
"""

import math

BURST = 0.05  # s of the limit that an idle bucket may hold
PAUSE = 1.0  # s of silence after a cut
CLIMB = 30.0  # s that the climb from nothing to the limit takes
FLOOR = 1.0  # PDUs a second below which no cut goes
BATCH = 0.005  # s of tokens that are worth waking up for


class AdaptiveRate:
    """Admit at most `limit` PDUs a second (0 = no limit), fewer for a while after each `slow_down`."""

    __slots__ = (
        "_burst",
        "_ceiling",
        "_cut_at",
        "_filled_at",
        "_limit",
        "_observed",
        "_paused_until",
        "_rate",
        "_seen",
        "_seen_at",
        "_tokens",
    )

    def __init__(self, limit: float, now: float, burst: float = BURST) -> None:
        self._limit = limit or math.inf
        self._burst = burst
        self._rate = self._ceiling = self._limit
        self._tokens = self._depth()
        self._filled_at = now
        self._cut_at = self._paused_until = -math.inf
        self._seen = 0  # PDUs sent since _seen_at
        self._seen_at = now
        self._observed = 0.0  # PDUs a second in the second before _seen_at

    def rate(self, now: float) -> float:
        """Return the PDUs a second admitted now, 0 where there is no limit."""
        self._fill(now)
        return 0.0 if self._rate == math.inf else self._rate

    def throttled(self, now: float) -> bool:
        """Tell whether the rate is still below its limit after a cut."""
        self._fill(now)
        return self._rate < self._ceiling or now < self._paused_until

    def available(self, now: float) -> float:
        """Return how many PDUs may leave now (a whole number, or infinity)."""
        if now < self._paused_until:
            return 0
        self._fill(now)
        return math.inf if self._rate == math.inf else math.floor(self._tokens)

    def take(self, count: int, now: float) -> None:
        """Record that `count` PDUs left."""
        if self._rate != math.inf:
            self._fill(now)
            self._tokens -= count
        else:
            self._observe(count, now)

    def delay(self, now: float) -> float:
        """Return the seconds until `available` is worth asking again; 0 where it is above 0 now."""
        if now < self._paused_until:
            return self._paused_until - now
        if self.available(now) >= 1:
            return 0.0
        wanted = max(1.0, min(self._rate * BATCH, self._depth()))
        return (wanted - self._tokens) / self._rate

    def slow_down(self, now: float, written_at: float) -> bool:
        """Halve the rate for a refusal of what was written at `written_at`; tell whether it was news."""
        if written_at < self._cut_at:
            return False
        self._fill(now)
        if self._rate == math.inf:
            self._rate = self._ceiling = max(FLOOR, self._observed, float(self._seen))
        self._rate = max(min(FLOOR, self._ceiling), self._rate / 2)
        self._tokens = 0.0
        self._cut_at = now
        self._paused_until = self._filled_at = now + PAUSE
        return True

    def change_limit(self, limit: float, now: float) -> None:
        """Admit at most `limit` from now on (0 = no limit); what a cut left is climbed back from all the same."""
        self._fill(now)
        self._limit = limit or math.inf
        if self._rate >= self._ceiling:
            self._rate = self._ceiling = self._limit
        elif limit:
            self._rate, self._ceiling = min(self._rate, limit), limit
        self._tokens = min(self._tokens, self._depth())

    def _depth(self) -> float:
        return max(1.0, self._rate * self._burst)

    def _fill(self, now: float) -> None:
        """Add the tokens and the climb of the time that passed."""
        passed = now - self._filled_at
        if passed <= 0:
            return
        self._filled_at = now
        if self._rate < self._ceiling:
            self._rate = min(self._ceiling, self._rate + passed * self._ceiling / CLIMB)
        if self._rate >= self._ceiling:
            self._rate = self._ceiling = self._limit
        self._tokens = min(self._depth(), self._tokens + passed * self._rate) if self._rate != math.inf else 0.0

    def _observe(self, count: int, now: float) -> None:
        passed = now - self._seen_at
        if passed >= 1.0:
            self._observed = self._seen / passed
            self._seen, self._seen_at = 0, now
        self._seen += count


class Tally:
    """How often in a row each of the messages under way was throttled; of too many the oldest are forgotten."""

    LIMIT = 10_000

    def __init__(self) -> None:
        self._times: dict[int, int] = {}

    def again(self, row: int) -> int:
        """Count one more; return how many there are."""
        times = self._times[row] = self._times.pop(row, 0) + 1
        if len(self._times) > self.LIMIT:
            del self._times[next(iter(self._times))]
        return times

    def forget(self, row: int) -> None:
        """Begin anew: it was taken."""
        self._times.pop(row, None)
