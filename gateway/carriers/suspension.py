"""When a carrier without a session may send: what answers and silences make of it, and how long it then rests. Pure.

A carrier that sends requests learns how it stands from what becomes of them. `Standing` keeps that:

- It begins, and begins again after every trouble, *unproven*: one message at a time, until one is answered in a way that shows that the
  account sends. So a provider that went wrong gets one message into doubt, not as many as would fit.
- `unreachable`: nothing was written. DOWN, and looked for again after a pause by a call that sends nothing (`probe`).
- `silent`: written, and no answer that can be read. After SILENCES in a row, or one when it was not proven since the last trouble: DOWN.
- `refused`: the account is at fault, or the provider said that it is. SUSPENDED until a pause is over; then one message is the probe, or
  before one comes a call that tells of the account.
- `not_here`: a message was refused for this carrier alone. Nothing by itself; STREAK in a row without an accepted one is the account's
  trouble, and suspends.
- `answered`: READY, pauses begin anew. `taken` also ends the streak.

Pauses double, from 1 s to 1 min where nothing is reached, else from 30 s to 30 min: hammering locks accounts.

Requests overlap: what was written before a trouble began tells nothing about whether it is over, and does not make its pause grow; hence
`written_at`. Times are seconds of a monotonic clock, given by the caller. `Purses` does the same for what the account may run out of.
"""

from collections.abc import Callable, Collection, Hashable
from typing import Generic, TypeVar

from gateway.carriers.base import CarrierState

REACH = (1.0, 60.0)  # s: the first pause after nothing could be reached, and the longest
REST = (30.0, 1800.0)  # s: after refusals and silences
CREDIT = (60.0, 600.0)  # s: after "not enough credits"
SILENCES = 3
STREAK = 10

K = TypeVar("K", bound=Hashable)


class Pause:
    """A rest that doubles each time that it is taken, until `over` forgets it."""

    __slots__ = ("_longest", "_next", "_shortest", "until")

    def __init__(self, shortest: float, longest: float) -> None:
        self._shortest, self._longest = shortest, longest
        self._next = shortest
        self.until = 0.0

    def take(self, now: float) -> None:
        """Rest from now on, twice as long as the last time."""
        self.until = now + self._next
        self._next = min(self._longest, 2 * self._next)

    def over(self) -> None:
        """Begin with the shortest again."""
        self._next = self._shortest


class Standing:
    """How one carrier stands. `patience` scales its pauses, for tests."""

    def __init__(self, now: float, patience: float = 1.0) -> None:
        self._state = CarrierState.READY
        self._since = now  # of the last trouble, or of the start
        self._reach = Pause(*(patience * seconds for seconds in REACH))
        self._rest = Pause(*(patience * seconds for seconds in REST))
        self._until = now
        self._proven = False
        self._troubled = False  # since the last proof
        self._silences = self._streak = 0

    @property
    def state(self) -> CarrierState:
        """READY, SUSPENDED or DOWN."""
        return self._state

    @property
    def proven(self) -> bool:
        """Whether more than one message at a time may leave."""
        return self._proven and self._state is CarrierState.READY

    def may_send(self, now: float) -> bool:
        """Tell whether a message may leave: always when READY, as a probe when a suspension's pause is over."""
        return self._state is CarrierState.READY or (self._state is CarrierState.SUSPENDED and now >= self._until)

    def wants_probe(self, now: float) -> bool:
        """Tell whether to look if a carrier that is DOWN can be reached, or if one that is SUSPENDED is so still."""
        return self._state is not CarrierState.READY and now >= self._until

    def rests(self, now: float) -> float:
        """Return the seconds until a pause is over; 0 where there is none."""
        return 0.0 if self._state is CarrierState.READY else max(0.0, self._until - now)

    def taken(self, written_at: float) -> None:
        """Note that a message was accepted."""
        self._streak = 0
        self.answered(written_at)

    def answered(self, written_at: float) -> None:
        """Note an answer about a message that shows that the account sends."""
        if written_at < self._since:
            return
        self._state = CarrierState.READY
        self._proven, self._troubled, self._silences = True, False, 0
        self._reach.over()
        self._rest.over()

    def unreachable(self, now: float, written_at: float) -> None:
        """Note that nothing could be written."""
        if written_at >= self._since:
            self._trouble(CarrierState.DOWN, self._reach, now)

    def reached(self, asked_at: float) -> None:
        """Note that a probe found it, and the account: messages are tried, one at a time. Pauses go on growing until one is answered."""
        if asked_at >= self._since:
            self._state = CarrierState.READY

    def silent(self, now: float, written_at: float) -> None:
        """Note a request without an answer that can be read."""
        if written_at < self._since:
            return
        self._silences += 1
        if self._troubled or self._silences >= SILENCES:
            self._trouble(CarrierState.DOWN, self._rest, now)
        else:
            self._proven = False

    def refused(self, now: float, written_at: float) -> None:
        """Note that the account may not send, or that the provider is ill."""
        if written_at >= self._since:
            self._trouble(CarrierState.SUSPENDED, self._rest, now)

    def not_here(self, now: float, written_at: float) -> None:
        """Note that a message was refused for this carrier alone."""
        self._streak += 1
        if self._streak >= STREAK:
            self.refused(now, written_at)
        else:
            self.answered(written_at)

    def _trouble(self, state: CarrierState, pause: Pause, now: float) -> None:
        pause.take(now)
        self._state, self._until, self._since = state, pause.until, now
        self._proven, self._troubled, self._silences = False, True, 0


class _Purse:
    __slots__ = ("pause", "probing", "since")

    def __init__(self, pause: Pause, now: float) -> None:
        self.pause = pause
        self.since = now
        self.probing = False


class Purses(Generic[K]):
    """Which kinds of messages the account has no credits for. A kind comes back by a probing message, or by `filled`."""

    def __init__(self, patience: float = 1.0) -> None:
        self._patience = patience
        self._empty: dict[K, _Purse] = {}

    def __bool__(self) -> bool:
        return bool(self._empty)

    def empty(self, key: K, now: float, written_at: float) -> float:
        """Note an answer to what was written at `written_at` that says so. Return the seconds until it is worth another try."""
        purse = self._empty.get(key)
        if purse is None:
            purse = self._empty[key] = _Purse(Pause(*(self._patience * seconds for seconds in CREDIT)), now)
        elif written_at < purse.since:
            return max(0.0, purse.pause.until - now)
        purse.pause.take(now)
        purse.since, purse.probing = now, False
        return purse.pause.until - now

    def admit(self, key: K, now: float) -> float:
        """Return the seconds that messages of this kind must wait; 0 = this one may leave, as a probe where credits had run out."""
        purse = self._empty.get(key)
        if purse is None:
            return 0.0
        if now < purse.pause.until:
            return purse.pause.until - now
        if purse.probing:
            return CREDIT[0] * self._patience / 4
        purse.probing = True
        return 0.0

    def ended(self, key: K, written_at: float, *, paid: bool) -> bool:
        """Note the end of what left while the kind was empty. Return whether it is so no more.

        `paid` = ended by an answer other than "no credits"; else the next one probes.
        """
        purse = self._empty.get(key)
        if purse is None or written_at < purse.since:
            return False
        purse.probing = False
        if paid:
            del self._empty[key]
        return paid

    def filled(self, has_credits: Callable[[K], bool], now: float) -> Collection[K]:
        """Let kinds be tried at once that the provider says to have credits again. Return them."""
        found = [key for key, purse in self._empty.items() if purse.pause.until > now and has_credits(key)]
        for key in found:
            self._empty[key].pause.until = now
        return found
