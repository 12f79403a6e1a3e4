"""[2] Claim what carriers have credit for, submit it, settle what they answer.

For each carrier one task claims (which opens the attempts in the journal before a byte leaves) and submits, and one settles answers.
Answers are put on the journal's FIFO the moment they come; their commits are awaited apart, so that a receipt never overtakes its response.
Policy lives in `routing` and `retry`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
import structlog

from gateway import logs
from gateway.carriers.base import Carrier, CarrierState, Prepared
from gateway.dispatch.retry import RetryPolicy, decide
from gateway.dispatch.routing import Health, Route, chosen, noted, probing, routes_of, subsets
from gateway.journal.base import Bells, Journal, Plan, Report, Selection, Settlement
from gateway.message import Answer, CancelAnswer, Message, Reason, Rejected
from gateway.metrics import Metrics

CLAIM_LIMIT = 500  # messages a claim: of each its next part
UNDER_WAY = 64  # settlements whose commit is awaited
IDLE_CHECK = 1.0  # s: how often a waiting carrier looks whether routing has changed
CANCEL_BATCH = 50
WOKEN = 10_000  # messages that need not wait any more, at a time: the rest comes when its pause is over
USABLE = (CarrierState.READY, CarrierState.THROTTLED)

log = structlog.get_logger()


class Dispatcher:
    """The stage between the journal and the carriers."""

    def __init__(
        self,
        carriers: Mapping[str, Carrier],
        journal: Journal,
        metrics: Metrics,
        bells: Bells,
        *,
        preference: Route,
        failover_after: float,
        retry: RetryPolicy,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._carriers, self._journal, self._metrics, self._bells = carriers, journal, metrics, bells
        self._failover_after, self._retry = failover_after, retry
        self._clock, self._monotonic, self._jitter = clock, monotonic, jitter
        self._preference = preference
        self._serving = preference[0] if preference else ""
        self._routes: set[Route] = subsets(preference)
        self._in_flight: dict[tuple[int, int], Message] = {}
        self._health = {name: Health(usable=False, unusable_since=monotonic()) for name in carriers}
        self._wake = {name: asyncio.Event() for name in carriers}
        self._reports: asyncio.Queue[Awaitable[Report]] = asyncio.Queue(UNDER_WAY)
        self._claims = 0  # under way
        self._unsettled = 0
        self._feeding = True

    async def run(self) -> None:
        """Serve every carrier until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ring())
            group.create_task(self._watch())
            group.create_task(self._report())
            for carrier in self._carriers.values():
                group.create_task(self._feed(carrier))
                group.create_task(self._settle(carrier))
                group.create_task(self._cancel(carrier))

    def stop_feeding(self) -> None:
        """Claim nothing more; answers are still settled."""
        self._feeding = False

    @property
    def idle(self) -> bool:
        """Whether every answer that came is committed, and nothing that was claimed, or is being claimed, waits for one."""
        return self._unsettled == self._claims == 0 and not self._in_flight

    async def _ring(self) -> None:
        while True:
            await self._bells.queue.wait()
            self._bells.queue.clear()
            for event in self._wake.values():
                event.set()

    async def _watch(self) -> None:
        """See carriers come, go and have credits again, and learn the routes of messages of an earlier run or of other settings."""
        while True:
            self._observe(self._monotonic())
            for carrier in self._carriers.values():
                if carrier.refilled():
                    await self._wake_deferred(carrier.name)
            self._routes = subsets(self._preference) | set(await self._journal.routes())
            await asyncio.sleep(IDLE_CHECK)

    async def _wake_deferred(self, carrier: str) -> None:
        """Have what a carrier put aside tried now; what was put off for itself comes along."""
        if await self._journal.retry(Selection(state="deferred", carrier=carrier, limit=WOKEN), self._clock()):
            self._bells.ring()

    async def _feed(self, carrier: Carrier) -> None:
        wake = self._wake[carrier.name]
        while True:
            await carrier.wait_credit()
            wake.clear()
            if await self._claim(carrier) == 0:
                await _wait(wake, IDLE_CHECK)

    async def _claim(self, carrier: Carrier) -> int:
        """Claim and submit what credit admits. Return how many messages."""
        routes = self._routes_now(carrier.name)
        credit = min(carrier.credit(), CLAIM_LIMIT)
        if not routes or credit <= 0 or not self._feeding or not self._journal.available:
            return 0
        self._claims += 1
        try:
            claimed = await self._journal.claim(carrier.name, routes, credit, self._clock())
            await self._submit(carrier, claimed)
        finally:
            self._claims -= 1
        return len(claimed)

    async def _submit(self, carrier: Carrier, claimed: Sequence[Message]) -> None:
        batch: list[tuple[Message, Prepared]] = []
        changed: list[tuple[Message, Prepared]] = []
        refused: list[Answer] = []
        for message in claimed:
            self._in_flight[message.row, message.attempt] = message
            prepared = _prepare(carrier, message)
            if isinstance(prepared, Rejected):  # settings have changed since it was taken
                refused.append(Answer(message.row, message.attempt, prepared, self._clock(), part=message.part, parts=message.parts))
            elif _is_planned(message, prepared):
                batch.append((message, prepared))
            else:
                changed.append((message, prepared))
        if changed:
            batch += await self._replan(carrier, changed)
        carrier.submit(batch)
        if logs.debugging():
            _tell(batch, carrier.name)
        now = self._clock()
        latency = self._metrics.submit_latency.labels(carrier.name)
        for message in (message for message, _ in batch if message.part == 1):
            latency.observe(max(0.0, now - max(message.received_at, message.schedule_at or 0.0)))
        if refused:
            await self._reports.put(self._put(refused, carrier.name))

    async def _replan(self, carrier: Carrier, changed: Sequence[tuple[Message, Prepared]]) -> list[tuple[Message, Prepared]]:
        """Have the journal know how many parts there are now before the first one leaves."""
        plans = [Plan(message.row, len(prepared.parts), prepared.cut) for message, prepared in changed]
        messages = await self._journal.replan(carrier.name, plans, self._clock())
        for message in messages:
            self._in_flight[message.row, message.attempt] = message
        return [(message, prepared) for message, (_, prepared) in zip(messages, changed, strict=True)]

    def _routes_now(self, name: str) -> list[Route]:
        now = self._monotonic()
        self._observe(now)
        # A suspended carrier that admits a message all the same wants it as a probe.
        suspended = self._carriers[name].state is CarrierState.SUSPENDED
        health = probing(name, self._health) if suspended else self._health
        return routes_of(name, self._routes, health, now, self._failover_after)

    def _observe(self, now: float) -> None:
        for name, carrier in self._carriers.items():
            self._health[name] = noted(self._health[name], carrier.state in USABLE, now, self._failover_after)
        self._note_switch(now)

    def _note_switch(self, now: float) -> None:
        """Tell once when what a message goes by, unless it names its routes, has changed."""
        name = chosen(self._preference, self._health, now, self._failover_after)
        if name is None or name == self._serving:
            return
        log.warning("carrier switch", carrier=name, instead_of=self._serving)
        self._metrics.carrier_switches.labels(name).inc()
        self._serving = name

    async def _settle(self, carrier: Carrier) -> None:
        while True:
            answers = await carrier.outcomes()
            outcomes = [answer for answer in answers if isinstance(answer, Answer)]
            cancels = [answer for answer in answers if isinstance(answer, CancelAnswer)]
            if outcomes:
                await self._reports.put(self._put(outcomes, carrier.name))
            if cancels:
                self._unsettled += 1
                await self._reports.put(self._journal.settle_cancels(cancels, carrier.name, self._clock()))

    def _put(self, answers: Sequence[Answer], carrier: str) -> Awaitable[Report]:
        self._unsettled += 1
        settlements = [self._settlement(answer, carrier) for answer in answers]
        latency = self._metrics.response_latency.labels(carrier)
        for answer in answers:
            if answer.latency is not None:
                latency.observe(answer.latency)
        return self._journal.settle(settlements, self._clock())

    def _settlement(self, answer: Answer, carrier: str) -> Settlement:
        message = self._in_flight.pop((answer.row, answer.attempt), None)
        deferrals = message.deferrals if message else 0
        outcome, retry_at, counts = decide(answer.outcome, deferrals, self._retry, self._clock(), self._jitter())
        if message is not None and logs.debugging():
            what = {"source": message.source, "id": message.id, "attempt": answer.attempt, "part": answer.part}
            log.debug("message answered", carrier=carrier, **what, outcome=type(outcome).__name__.lower(), retry_at=retry_at)
        answer = answer if outcome is answer.outcome else msgspec.structs.replace(answer, outcome=outcome)
        return Settlement(answer, carrier, retry_at, counts)

    async def _report(self) -> None:
        while True:
            settled = await self._reports.get()
            self._metrics.count((await settled).counts.items())
            self._unsettled -= 1
            self._bells.ring()

    async def _cancel(self, carrier: Carrier) -> None:
        while True:
            if carrier.ready_to_cancel:
                carrier.cancel(await self._journal.cancels(carrier.name, CANCEL_BATCH, self._clock()))
            await asyncio.sleep(IDLE_CHECK)


def _prepare(carrier: Carrier, message: Message) -> Prepared | Rejected:
    """Prepare a message, or refuse one of which something has left, or may have, that the rest would not fit any more."""
    prepared = carrier.prepare(message)
    left = message.part > 1 or message.possible_duplicate
    if left and isinstance(prepared, Prepared) and not _is_planned(message, prepared):
        return Rejected(Reason.INCOMPLETE, "the settings were changed while parts of it were sent")
    return prepared


def _is_planned(message: Message, prepared: Prepared) -> bool:
    """Say whether a message makes the parts that the journal knows of: settings may have changed since it came."""
    return len(prepared.parts) == message.parts and message.cut in (0, prepared.cut)


def _tell(batch: Sequence[tuple[Message, Prepared]], carrier: str) -> None:
    for message, prepared in batch:
        what = {"source": message.source, "id": message.id, "attempt": message.attempt}
        log.debug("message submitted", carrier=carrier, **what, part=message.part, parts=len(prepared.parts), encoding=prepared.encoding)


async def _wait(event: asyncio.Event, timeout: float) -> None:
    try:
        async with asyncio.timeout(timeout):
            await event.wait()
    except TimeoutError:
        return
