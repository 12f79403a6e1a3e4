"""What a carrier of requests says of itself, as metrics: its state, and the credits that the provider tells."""

from collections.abc import Sequence

from gateway.carriers.base import CarrierState
from gateway.metrics import Metrics
from gateway.provider.answers import CreditRow


class RequestMetrics:
    """Show one carrier."""

    def __init__(self, name: str, metrics: Metrics) -> None:
        self._name, self._metrics = name, metrics

    def state(self, state: CarrierState) -> None:
        """Show the carrier's state."""
        self._metrics.set_carrier_state(self._name, state.value)

    def credits(self, rows: Sequence[CreditRow]) -> None:
        """Show what each account has left."""
        self._metrics.set_credits(self._name, rows)
