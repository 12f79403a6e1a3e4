"""[3] Receipt or reply -> matched and told in one transaction -> the carrier is answered.

What a carrier reports is put on the journal's FIFO the moment it is read, so that it stays behind the responses that came before it; it is
acknowledged after the commit. Where the journal cannot commit in time the carrier is told to come again.

The journal hears which replies were answered, since what comes again unanswered may be a duplicate. It hears it afterwards and without
anything waiting for it: what a crash or a full disk keeps from it only makes a later, identical reply look like a possible duplicate.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import structlog

from gateway import logs
from gateway.carriers.base import Arrival, Reporter
from gateway.carriers.mailbox import Mailbox
from gateway.journal.base import Bells, Journal, JournalUnavailableError, Report
from gateway.message import Receipt, Reply
from gateway.metrics import Metrics

PATIENCE = 5.0  # s that a deliver_sm waits for the journal before it is answered ESME_RX_T_APPN
UNDER_WAY = 64  # batches

log = structlog.get_logger()


class Receipts:
    """The stage between what carriers report and the journal."""

    def __init__(
        self,
        carriers: Mapping[str, Reporter],
        journal: Journal,
        metrics: Metrics,
        bells: Bells,
        clock: Callable[[], float],
        *,
        patience: float = PATIENCE,
        patience_of: Mapping[str, float] = {},
    ) -> None:
        """Wait `patience` s for the journal, but for those named in `patience_of`."""
        self._carriers, self._journal, self._metrics, self._bells, self._clock = carriers, journal, metrics, bells, clock
        self._patience, self._patience_of = patience, patience_of
        self._under_way = 0
        self._answered: Mailbox[Reply] = Mailbox()
        self._unrecorded = 0  # replies that were answered

    async def run(self) -> None:
        """Serve every carrier until cancelled."""
        async with asyncio.TaskGroup() as group:
            for carrier in self._carriers.values():
                batches: asyncio.Queue[tuple[Awaitable[Report], Sequence[Arrival]]] = asyncio.Queue(UNDER_WAY)
                group.create_task(self._read(carrier, batches))
                group.create_task(self._acknowledge(carrier, batches))
            group.create_task(self._record_answered())

    @property
    def idle(self) -> bool:
        """Whether all that was read is answered, and the journal knows."""
        return self._under_way == 0 and self._unrecorded == 0

    async def _read(self, carrier: Reporter, batches: asyncio.Queue[tuple[Awaitable[Report], Sequence[Arrival]]]) -> None:
        patience = self._patience_of.get(carrier.name, self._patience)
        while True:
            arrivals = await carrier.inbound()
            self._under_way += 1
            if logs.debugging():
                _tell(arrivals, carrier.name)
            await batches.put((self._journal.match([arrival.item for arrival in arrivals], self._clock(), patience), arrivals))

    async def _acknowledge(self, carrier: Reporter, batches: asyncio.Queue[tuple[Awaitable[Report], Sequence[Arrival]]]) -> None:
        while True:
            matched, arrivals = await batches.get()
            tokens = [arrival.token for arrival in arrivals]
            try:
                self._count(await matched)
            except JournalUnavailableError:
                log.warning("receipts put off: the journal cannot commit", carrier=carrier.name, number=len(tokens))
                carrier.acknowledge(tokens, committed=False)
            else:
                written = carrier.acknowledge(tokens, committed=True)
                self._note([arrival.item for arrival, left in zip(arrivals, written, strict=True) if left])
            finally:
                self._under_way -= 1

    def _note(self, items: Sequence[Receipt | Reply]) -> None:
        replies = [item for item in items if isinstance(item, Reply)]
        self._unrecorded += len(replies)
        self._answered.put(replies)

    async def _record_answered(self) -> None:
        while True:
            replies = await self._answered.take()
            with suppress(JournalUnavailableError):
                await self._journal.answered(replies, self._patience)
            self._unrecorded -= len(replies)

    def _count(self, report: Report) -> None:
        self._metrics.count(report.counts.items())
        for name, seconds in report.receipt_latencies:
            self._metrics.receipt_latency.labels(name).observe(seconds)
        self._bells.ring()


def _tell(arrivals: Sequence[Arrival], reporter: str) -> None:
    """Say what came: never from or to whom, nor a text."""
    for item in (arrival.item for arrival in arrivals):
        if isinstance(item, Receipt):
            log.debug("receipt arrived", reporter=reporter, message_id=item.message_id, code=item.code, final=item.final)
        else:
            part = None if item.fragment is None else item.fragment.number
            log.debug("reply arrived", reporter=reporter, encoding=item.encoding, part=part)
