"""What a carrier of requests says of itself, as metrics: its state, and the credits that the provider tells.

The provider names users and cost centres by number, and may have any number of them: ACCOUNTS of them get a series, the first that are told;
the others are added up in one. A row that is told no more keeps its last value.
"""

from collections import Counter
from collections.abc import Sequence

from gateway.carriers.base import CarrierState
from gateway.metrics import CREDIT_KINDS, Metrics
from gateway.provider.answers import CreditRow

ACCOUNTS = 50
GENERAL, OTHERS = "general", "other"


class RequestMetrics:
    """Show one carrier."""

    def __init__(self, name: str, metrics: Metrics) -> None:
        self._name, self._metrics = name, metrics
        self._accounts: set[str] = {GENERAL}

    def state(self, state: CarrierState) -> None:
        """Show the carrier's state."""
        self._metrics.set_carrier_state(self._name, state.value)

    def credits(self, rows: Sequence[CreditRow]) -> None:
        """Show what each account has left."""
        left: Counter[tuple[str, str]] = Counter()
        for row in rows:
            account = self._account(row)
            for kind in CREDIT_KINDS:
                left[kind, account] += getattr(row, kind)
        for (kind, account), number in left.items():
            self._metrics.credits.labels(self._name, kind, account).set(number)

    def _account(self, row: CreditRow) -> str:
        account = GENERAL if row.distribution == 0 else str(row.id)
        if account not in self._accounts:
            if len(self._accounts) > ACCOUNTS:
                return OTHERS
            self._accounts.add(account)
        return account
