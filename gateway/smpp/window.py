"""The requests of ours that wait for a response, by sequence_number. SMPP 3.4 s2.9, s5.1.4. No clock: `now` is given.

A request is registered before its octets are handed out, so no response can be faster. Every request here has the same
time-out, so the order of registering is the order of deadlines, and expiry looks at the oldest alone, however many wait.
What timed out is remembered for a while (`MEMORY_SECONDS`, at most `MEMORY_SLOTS`): a late response still carries the
message_id, and finds its request. A sequence_number in use or remembered is not given out again.
"""

from collections import OrderedDict
from math import inf
from typing import Final

from msgspec import Struct

from gateway.smpp.constants import MAX_SEQUENCE_NUMBER
from gateway.smpp.errors import WindowFullError
from gateway.smpp.pdu import Pdu

MEMORY_SECONDS: Final = 600.0
MEMORY_SLOTS: Final = 10_000
UNCOUNTED_LIMIT: Final = 1_000
"""Unanswered requests that do not count against the window (query_sm, cancel_sm, ...); a bound on memory only."""


class Pending(Struct):
    """Hold a request that waits: the PDU, the caller's context, when it was sent, whether it fills the window."""

    request: Pdu
    context: object
    sent_at: float
    counted: bool


class Window:
    """Number and register requests, match their responses, expire them.

    `size` is how many counted requests may wait at once, `timeout` the seconds each may.
    """

    def __init__(self, size: int, timeout: float, first_sequence_number: int = 1) -> None:
        self.size = size
        self.used = 0
        self._timeout = timeout
        self._next_sequence_number = first_sequence_number
        # OrderedDict: a dict whose oldest keys are always the ones deleted walks over their graves to find the first.
        self._pending: OrderedDict[int, Pending] = OrderedDict()
        self._timed_out: OrderedDict[int, tuple[Pending, float]] = OrderedDict()

    def __len__(self) -> int:
        """Count the requests that wait, counted or not."""
        return len(self._pending)

    @property
    def free(self) -> int:
        """Return how many more counted requests may be sent now."""
        return max(0, self.size - self.used)

    def register(self, request: Pdu, context: object, now: float, *, counted: bool) -> int:
        """Give `request` its sequence_number and let it wait; raise WindowFullError where there is no room."""
        if counted:
            if self.used >= self.size:
                raise WindowFullError(f"{self.used} requests are unanswered, the window is {self.size}")
            self.used += 1
        elif len(self._pending) - self.used >= UNCOUNTED_LIMIT:
            raise WindowFullError(f"{UNCOUNTED_LIMIT} requests outside the window are unanswered")
        sequence_number = self._take_sequence_number()
        request.sequence_number = sequence_number
        self._pending[sequence_number] = Pending(request, context, now, counted)
        return sequence_number

    def find(self, sequence_number: int) -> Pending | None:
        """Return the request that waits, or timed out, under this number; it stays where it is."""
        pending = self._pending.get(sequence_number)
        if pending is None and sequence_number in self._timed_out:
            return self._timed_out[sequence_number][0]
        return pending

    def settle(self, sequence_number: int) -> bool:
        """Free the slot of an answered request; return whether the answer is late."""
        pending = self._pending.pop(sequence_number, None)
        if pending is None:
            del self._timed_out[sequence_number]
            return True
        self.used -= pending.counted
        return False

    def expire(self, now: float) -> list[Pending]:
        """Take out what waited too long, oldest first, and remember it for a late response."""
        expired: list[Pending] = []
        while self._pending:
            sequence_number, pending = next(iter(self._pending.items()))
            if pending.sent_at + self._timeout > now:
                break
            del self._pending[sequence_number]
            self.used -= pending.counted
            self._timed_out[sequence_number] = pending, now
            expired.append(pending)
        self._forget(now)
        return expired

    def next_deadline(self) -> float:
        """Return when the oldest request times out; inf where none waits."""
        for pending in self._pending.values():
            return pending.sent_at + self._timeout
        return inf

    def drain(self) -> list[Pending]:
        """Take out every request that waits, oldest first: the session is over."""
        pending = list(self._pending.values())
        self._pending.clear()
        self._timed_out.clear()
        self.used = 0
        return pending

    def _take_sequence_number(self) -> int:
        number = self._next_sequence_number
        while number in self._pending or number in self._timed_out:
            number = number % MAX_SEQUENCE_NUMBER + 1
        self._next_sequence_number = number % MAX_SEQUENCE_NUMBER + 1
        return number

    def _forget(self, now: float) -> None:
        while self._timed_out:
            sequence_number, (_, timed_out_at) = next(iter(self._timed_out.items()))
            if len(self._timed_out) <= MEMORY_SLOTS and timed_out_at + MEMORY_SECONDS > now:
                break
            del self._timed_out[sequence_number]
