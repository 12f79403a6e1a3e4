"""The operations on cancels at the provider: hand out what waits, record what the provider said.

A cancel waits on its message's row: 1 = wanted, any later time = handed to the carrier then. It is handed out again after AGAIN_AFTER, in
case the answer was lost.
"""

from collections.abc import Sequence

from gateway.journal.base import Report
from gateway.journal.reporting import parts_of
from gateway.journal.transaction import Transaction, count
from gateway.message import CancelAnswer, Cancelled, CancelOrder, QueueState, Trigger

AGAIN_AFTER = 60.0
_CANCELLABLE = (QueueState.SUBMITTED, QueueState.IN_DOUBT)
_WANTED = "carrier = ? AND cancel <> 0 AND cancel <= ? AND state IN (4, 6) ORDER BY row LIMIT ?"


def cancels(tx: Transaction, carrier: str, limit: int, now: float) -> list[CancelOrder]:
    """Hand out cancels of messages that were taken, with all their ids: what was begun is finished, or ends, first.

    One that was taken without an id is handed out too: its carrier says that it cannot ask. Of one in doubt without an id, what becomes of
    it ends the wish too.
    """
    orders = []
    for record in tx.records(_WANTED, (carrier, now - AGAIN_AFTER, limit)):
        ids = tuple(part.message_id for part in parts_of(tx, record))
        record.cancel = now
        tx.save(record)
        if (ids or record.state is QueueState.SUBMITTED) and not record.begun:
            orders.append(CancelOrder(record.row, record.message.to, record.message.sender, ids))
    tx.finish()
    return orders


def settle_cancels(tx: Transaction, answers: Sequence[CancelAnswer], carrier: str, now: float) -> Report:
    """Record what the provider said. A message that ended meanwhile has told so already."""
    report = Report()
    for answer in answers:
        record = tx.record(answer.row)
        if record is None or record.state not in _CANCELLABLE or not record.cancel:
            continue
        if isinstance(answer.outcome, Cancelled):
            tx.move(record, Trigger.CANCELLED, now, carrier=carrier)
            count(report, "messages", carrier, "cancelled")
        else:
            record.cancel = 0
            tx.move(record, Trigger.CANCEL_FAILED, now, record.due_at, carrier=carrier, reason=answer.outcome.reason)
    tx.finish()
    return report
