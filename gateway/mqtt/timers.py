"""The keep alive of one connection as data: when to send PINGREQ, when to give the broker up. MQTT 5 s3.1.2.10 and s3.12.

Called by `session`; times are seconds of any monotonic clock. Two mistakes of other clients are avoided: what we send proves nothing about
the peer, so it never delays the verdict; and one PINGREQ is outstanding at most, with a deadline of its own.
"""

import math
from dataclasses import dataclass
from enum import Enum, auto

_PROBE_AT = 0.8
"""Part of the keep alive after which PINGREQ goes out, so that it arrives in time."""

_ANSWER_WITHIN = 0.5
"""Part of the keep alive that the broker has to answer a PINGREQ."""


class TimerAction(Enum):
    """What a tick asks for."""

    NONE = auto()
    PING = auto()
    GIVE_UP = auto()


@dataclass(slots=True)
class KeepAlive:
    """When something was last sent and received; an interval of 0 turns the keep alive off."""

    interval: float
    last_sent: float
    last_received: float
    ping_sent: float | None = None

    def received(self, now: float) -> None:
        """Note that bytes came: whatever they were, the broker lives."""
        self.last_received = now
        self.ping_sent = None

    @property
    def due(self) -> float:
        """Return when to call `tick` next."""
        if not self.interval:
            return math.inf
        if self.ping_sent is not None:
            return self.ping_sent + self.interval * _ANSWER_WITHIN
        return min(self.last_sent, self.last_received) + self.interval * _PROBE_AT

    def tick(self, now: float, *, listening: bool) -> TimerAction:
        """Say what is to be done at `now`; while we do not listen, an answer that is missing proves nothing."""
        if now < self.due:
            return TimerAction.NONE
        if self.ping_sent is None:
            self.ping_sent = now
            return TimerAction.PING
        if listening:
            return TimerAction.GIVE_UP
        self.received(now)
        return TimerAction.NONE
