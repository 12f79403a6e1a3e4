"""The timers of a session as frozen data: SMPP 3.4 s7.2. No clock: `now` is an argument, in monotonic seconds.

A session keeps one `SessionTimers`, replaces it on each happening that matters, and asks `tick(now)` what is due.

- session_init_timer: from the connection to the bind (and for an ESME, to the bind's response).
- enquire_link_timer: silence of the peer after which an enquire_link goes out. One is outstanding at most.
- enquire_link_timeout: how long that enquire_link waits for anything to arrive before the peer counts as dead.
- inactivity_timer: time without messages after which the session is unbound; off by default.
- response_timer: here, how long an unbind waits for its end. That of a single request is kept by the window.

Only what is received moves the dead-peer timer: what we send proves nothing about the peer.
"""

from enum import Enum, auto
from math import inf

from msgspec import Struct
from msgspec.structs import replace


class TimerAction(Enum):
    """Name what is due."""

    NONE = auto()
    SEND_ENQUIRE_LINK = auto()
    PEER_DEAD = auto()
    NOT_BOUND = auto()
    INACTIVE = auto()
    NOT_UNBOUND = auto()


class SessionTimers(Struct, frozen=True):
    """Hold the settings (seconds, inf = off) and the moments (monotonic seconds, None = not running)."""

    session_init_timer: float
    enquire_link_timer: float
    enquire_link_timeout: float
    inactivity_timer: float
    response_timer: float
    last_received: float
    opened: float | None = None
    probe_sent: float | None = None
    last_message: float | None = None
    unbind_began: float | None = None

    def received(self, now: float, *, message: bool = False) -> "SessionTimers":
        """Record that something arrived; `message` says that it counts as activity."""
        if message and self.last_message is not None:
            return replace(self, last_received=now, last_message=now)
        return replace(self, last_received=now)

    def bind_sent(self, now: float) -> "SessionTimers":
        """Give the bind's response its own time."""
        return replace(self, opened=now)

    def bound(self) -> "SessionTimers":
        """Stop the session_init_timer and start those of a bound session, from what was received last."""
        return replace(self, opened=None, last_message=self.last_received)

    def probe_went_out(self, now: float) -> "SessionTimers":
        """Record the one outstanding enquire_link."""
        return replace(self, probe_sent=now)

    def probe_answered(self) -> "SessionTimers":
        """Forget the outstanding enquire_link."""
        return replace(self, probe_sent=None)

    def unbinding(self, now: float) -> "SessionTimers":
        """Stop every timer but the one that bounds the end of the session."""
        return replace(self, opened=None, probe_sent=None, last_message=None, unbind_began=now)

    def next_deadline(self) -> float:
        """Return the earliest moment at which `tick` has something to do; inf for never."""
        return self._next()[0]

    def tick(self, now: float) -> tuple["SessionTimers", TimerAction]:
        """Return the timers after `now`, and what is due; call again until NONE."""
        deadline, action = self._next()
        if now < deadline:
            return self, TimerAction.NONE
        match action:
            case TimerAction.SEND_ENQUIRE_LINK:
                return replace(self, probe_sent=now), action
            case TimerAction.INACTIVE:
                return replace(self, last_message=None), action
            case _:
                return replace(self, opened=None, probe_sent=None, last_message=None, unbind_began=None), action

    def _next(self) -> tuple[float, TimerAction]:
        if self.unbind_began is not None:
            return self.unbind_began + self.response_timer, TimerAction.NOT_UNBOUND
        if self.opened is not None:
            return self.opened + self.session_init_timer, TimerAction.NOT_BOUND
        if self.last_message is None:
            return inf, TimerAction.NONE
        if self.probe_sent is None:
            alive = self.last_received + self.enquire_link_timer, TimerAction.SEND_ENQUIRE_LINK
        else:
            last_sign = max(self.probe_sent, self.last_received)
            alive = last_sign + self.enquire_link_timeout, TimerAction.PEER_DEAD
        idle = self.last_message + self.inactivity_timer
        return (idle, TimerAction.INACTIVE) if idle < alive[0] else alive
