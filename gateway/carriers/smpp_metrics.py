"""What an SMPP carrier says of itself, and how it becomes metrics.

`SmppObserver` is the carrier's side: called on changes, and once a second for what changes all the time. `SmppMetrics` is the one that the
gateway uses; its labels are the configured bind numbers and closed lists.
"""

from typing import Protocol

from gateway.carriers.base import CarrierState
from gateway.carriers.smpp_link import ReconnectReason
from gateway.metrics import Metrics


class SmppObserver(Protocol):
    """What the carrier says of itself, for metrics. `bind` counts from 0; a transmitter and its receiver are one bind.

    Response latencies are in `Answer.latency`.
    """

    def pdu(self, direction: str, command: str, status: str, number: int) -> None:
        """Count PDUs: direction in or out, command by its name, status ok, throttled or error."""
        ...

    def bound(self, bind: int, up: bool) -> None:
        """Tell that a bind came up or went down."""
        ...

    def window(self, bind: int, used: int, size: int) -> None:
        """Tell how many submit_sm are unanswered, and how many may be."""
        ...

    def rate(self, limit: float) -> None:
        """Tell how many submit_sm a second are admitted now; 0 = no limit."""
        ...

    def reconnect(self, bind: int, reason: ReconnectReason) -> None:
        """Count a connection that will be tried anew."""
        ...

    def state(self, state: CarrierState) -> None:
        """Tell the carrier's state, each time that it changes and once at the start."""
        ...


class SmppMetrics:
    """Show one carrier's binds as `<carrier>/<bind>`."""

    def __init__(self, name: str, metrics: Metrics) -> None:
        self._name = name
        self._metrics = metrics
        self._rate = 0.0

    def pdu(self, direction: str, command: str, status: str, number: int) -> None:
        """Count PDUs."""
        self._metrics.pdus.labels(direction, command, status).inc(number)

    def bound(self, bind: int, up: bool) -> None:
        """Show whether a bind is up."""
        self._metrics.smpp_bound.labels(self._label(bind)).set(up)

    def window(self, bind: int, used: int, size: int) -> None:
        """Show a bind's window, and the rate that all binds share."""
        label = self._label(bind)
        self._metrics.smpp_window_used.labels(label).set(used)
        self._metrics.smpp_window_size.labels(label).set(size)
        self._metrics.smpp_rate_limit.labels(label).set(self._rate)

    def rate(self, limit: float) -> None:
        """Remember the rate; `window` shows it."""
        self._rate = limit

    def reconnect(self, bind: int, reason: ReconnectReason) -> None:
        """Count a connection that is tried anew."""
        self._metrics.smpp_reconnects.labels(self._label(bind), reason).inc()

    def state(self, state: CarrierState) -> None:
        """Show the carrier's state."""
        self._metrics.set_carrier_state(self._name, state.value)

    def _label(self, bind: int) -> str:
        return f"{self._name}/{bind}"
