"""What becomes of cancel orders over SMPP: one cancel_sm for each message_id, one answer an order. SMPP 3.4 s4.9

`SmppCarrier` writes the PDUs (`write`) and hands their responses back with the `Cancel` they were for.
"""

from collections.abc import Callable, Iterable

import msgspec

from gateway.message import CancelAnswer, CancelFailed, Cancelled, CancelOrder, CancelOutcome


class Cancel(msgspec.Struct):
    """A cancel order under way."""

    row: int
    unanswered: int
    outcome: CancelOutcome


class Cancels:
    """Send orders by `write`, which says whether it could, and `tell` the answer of each once all of its parts have theirs."""

    def __init__(
        self, write: Callable[[CancelOrder, str, Cancel], bool], tell: Callable[[CancelAnswer], None], clock: Callable[[], float]
    ) -> None:
        self._write = write
        self._tell = tell
        self._clock = clock

    def send(self, orders: Iterable[CancelOrder]) -> None:
        """Send a cancel_sm for each message_id of each order. Where none can go, the answer is `unknown`."""
        for order in orders:
            message_ids = [message_id for message_id in order.message_ids if message_id]
            cancel = Cancel(order.row, len(message_ids), Cancelled() if message_ids else CancelFailed("unknown"))
            for message_id in message_ids:
                if not self._write(order, message_id, cancel):
                    self.answered(cancel, CancelFailed("unknown"))
            if not message_ids:
                self._tell(CancelAnswer(order.row, cancel.outcome, self._clock()))

    def answered(self, cancel: Cancel, outcome: CancelOutcome) -> None:
        """Take one part's answer: the order is cancelled when every part is."""
        cancel.unanswered -= 1
        if isinstance(cancel.outcome, Cancelled):
            cancel.outcome = outcome
        if not cancel.unanswered:
            self._tell(CancelAnswer(cancel.row, cancel.outcome, self._clock()))
