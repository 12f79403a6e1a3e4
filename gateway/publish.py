"""[4] Outbox -> PUBLISH QoS 1 -> PUBACK -> deleted.

Reads the outbox in order, publishes within the broker's credit, and deletes a row on its positive PUBACK alone. A row that the broker
refuses stays and is tried again; a row that is in flight at several disconnects is set aside by the journal: it may be what ends them.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from gateway import logs
from gateway.broker import envelope, topics
from gateway.broker.base import CONNECTION_LOST, NO_MATCHING_SUBSCRIBERS, REFUSED_FROM, Broker, Outbound, PublishResult
from gateway.journal.base import Bells, Journal, OutboxRow
from gateway.metrics import Metrics

BATCH = 500
RETRY_REFUSED = 30.0  # s until rows that were refused or cut are read again

log = structlog.get_logger()


class Publish:
    """The stage between the journal and the broker."""

    def __init__(
        self,
        broker: Broker,
        journal: Journal,
        metrics: Metrics,
        bells: Bells,
        clock: Callable[[], float],
        *,
        topic_prefix: str,
        cloudevents: bool,
        retry_refused: float = RETRY_REFUSED,
    ) -> None:
        self._broker, self._journal, self._metrics, self._bells, self._clock = broker, journal, metrics, bells, clock
        self._prefix, self._cloudevents, self._retry_refused = topic_prefix, cloudevents, retry_refused
        self._cursor = 0
        self._in_flight: set[int] = set()
        self._again = False  # rows below the cursor wait
        self._warned = False
        self._progress = asyncio.Event()

    async def run(self) -> None:
        """Publish until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send())
            group.create_task(self._settle())
            group.create_task(self._come_back())

    async def drained(self) -> None:
        """Return when the outbox holds nothing that could be published now."""
        while self._broker.connected and (self._in_flight or await self._journal.outbox(self._cursor, 1)):
            self._progress.clear()
            await self._progress.wait()

    async def _send(self) -> None:
        while True:
            await self._broker.wait_credit()
            self._bells.outbox.clear()
            if self._again:
                self._again, self._cursor = False, 0
            rows = await self._journal.outbox(self._cursor, min(self._broker.credit, BATCH))
            if not rows:
                await self._bells.outbox.wait()
                continue
            self._publish(rows)

    def _publish(self, rows: Sequence[OutboxRow]) -> None:
        """Send as much as the credit of this moment admits; it may have shrunk while the rows were read."""
        waiting = [row for row in rows if row.row not in self._in_flight]
        admitted, left = waiting[: self._broker.credit], waiting[self._broker.credit :]
        self._cursor = left[0].row - 1 if left else rows[-1].row
        self._in_flight.update(row.row for row in admitted)
        self._broker.publish([self._outbound(row) for row in admitted])
        if logs.debugging():
            _tell(admitted)

    def _outbound(self, row: OutboxRow) -> Outbound:
        topic = row.topic if row.topic is not None else topics.event(self._prefix, row.type, row.source)
        return envelope.outbound(row.row, topic, row.payload, cloudevents=self._cloudevents, correlation=row.correlation)

    async def _settle(self) -> None:
        while True:
            results = await self._broker.results()
            await self._delete([result.token for result in results if 0 <= result.reason < REFUSED_FROM])
            await self._keep(results)
            self._count(results)
            if logs.debugging():
                _tell_results(results)
            self._in_flight.difference_update(result.token for result in results)
            self._progress.set()

    async def _delete(self, rows: Sequence[int]) -> None:
        if rows:
            await self._journal.published(rows)

    async def _keep(self, results: Sequence[PublishResult]) -> None:
        refused = [result.token for result in results if result.reason >= REFUSED_FROM]
        cut = [result.token for result in results if result.reason == CONNECTION_LOST]
        if not refused and not cut:
            return
        for row in await self._journal.unpublished(refused, cut, self._clock()):
            log.warning("event set aside: the broker refuses it or ends the connection at it", outbox_row=row)
        if cut:
            self._again = True
            self._bells.outbox.set()

    def _count(self, results: Sequence[PublishResult]) -> None:
        classes = Counter(_class(result.reason) for result in results if result.reason != CONNECTION_LOST)
        for name, number in classes.items():
            self._metrics.broker_pubacks.labels(name).inc(number)
        if "no_subscribers" in classes:
            self._warn_once()

    def _warn_once(self) -> None:
        if not self._warned:
            self._warned = True
            log.warning("nobody subscribes to an event topic: the broker drops these events", topics=f"{self._prefix}/event/#")

    async def _come_back(self) -> None:
        """Read again, now and then, what was refused."""
        while True:
            await asyncio.sleep(self._retry_refused)
            self._again = True
            self._bells.outbox.set()


def _tell(rows: Sequence[OutboxRow]) -> None:
    for row in rows:
        event = envelope.attributes(row.payload)
        log.debug("event sent", outbox_row=row.row, type=row.type, source=row.source, id=event.id, event_id=event.event_id)


def _tell_results(results: Sequence[PublishResult]) -> None:
    for result in results:
        log.debug("event answered", outbox_row=result.token, reason=result.reason)


def _class(reason: int) -> str:
    if reason >= REFUSED_FROM:
        return "refused"
    return "no_subscribers" if reason == NO_MATCHING_SUBSCRIBERS else "ok"
