"""A carrier without a session: each request takes messages along, and its answer settles them. The HTTP API and the web service are such.

`RequestCarrier` is the machinery; `wire.Wire` is the way: how a message is put, how messages are gathered, what an answer says.
Beside it: `http_client` (one request, three ends), `verdicts` (answers -> outcomes), `suspension` (how the carrier stands), `throttle`.

- Credit is what free requests and the rate admit: nothing while suspended or down, one message at a time until the account is proven. Under
  load the rate is handed out in helpings of GATHER seconds, so that work gathers into batches; an idle carrier sends at once.
- A provider that hangs takes along what is under way, not what would still fit: after STALL seconds without any answer nothing is begun.
- What was not written is `Deferred(CARRIER)`: before that, the carrier is left for DOWN, so it does not come back at once. What was written
  and not answered, or not in words that can be read, is `InDoubt`. Nothing is ever sent twice.
- A batch that is refused for its shape was not taken: its messages go again one by one, from here. To put them back into the journal would
  gather them into the same batch; and here nothing has to be remembered, since they never leave the carrier.
- Account trouble suspends the carrier; when the pause is over `credit` is 1 although the state says SUSPENDED: one message is the probe,
  while other carriers go on with the rest. DOWN is probed by a call that sends nothing; so is SUSPENDED where that call tells of the
  account, since perhaps no message comes.
- Kinds without credits wait: their messages come back `Deferred(ASIDE)` without being sent, until one of them gets through. `refilled`
  tells when they need not wait out their pause: the provider tells of credits, one got through, or an earlier run may have put them aside.
- Receipts and replies do not come this way: call-backs have their own listener. `inbound` never returns.

Known limit: requests go side by side, so two messages to one number may arrive in either order.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import aiohttp
import msgspec
import structlog
from structlog.typing import FilteringBoundLogger

from gateway.carriers.base import Arrival, CarrierState, Prepared
from gateway.carriers.mailbox import Mailbox
from gateway.carriers.suspension import Purses, Standing
from gateway.carriers.throttle import AdaptiveRate
from gateway.carriers.verdicts import Effect, Verdict
from gateway.carriers.waiting import until_admitted
from gateway.carriers.wire import Load, Purse, Wire
from gateway.message import (
    Answer,
    CancelAnswer,
    CancelFailed,
    Cancelled,
    CancelOrder,
    CancelOutcome,
    Deferred,
    InDoubt,
    Message,
    Outcome,
    Rejected,
    Scope,
    Submitted,
)
from gateway.provider.answers import CreditRow

CONNECTIONS = 10  # requests at a time
GATHER = 1.0  # s of the rate that may leave together; half of it is worth a request
HOUSEKEEPING = 1.0  # s
STALL = 3.0  # s without any answer while one is waited for, after which nothing more is begun
LOOK = 0.25  # s between looks at whether a probe is due
CREDITS_EVERY = 300.0  # s between looks at the credits
CREDITS_SOON = 60.0  # the same, while some kind has none

NEVER_SENT = Deferred("the carrier stopped sending before its turn", Scope.CARRIER)
STOPPED = InDoubt("stopped before the answer")


class RequestObserver(Protocol):
    """What the carrier says of itself, for metrics."""

    def state(self, state: CarrierState) -> None:
        """Tell the carrier's state, each time that it changes and once at the start."""
        ...

    def credits(self, rows: Sequence[CreditRow]) -> None:
        """Tell what the account has left."""
        ...


class RequestCarrier:
    """An account reached by requests, as `carriers.base.Carrier`.

    `clock` is wall time, `monotonic` what rates and pauses go by; `patience` scales the pauses.
    """

    def __init__(
        self,
        name: str,
        wire: Wire,
        *,
        max_rate: float,
        observer: RequestObserver,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        log: FilteringBoundLogger | None = None,
        patience: float = 1.0,
    ) -> None:
        self._name, self._wire, self._observer = name, wire, observer
        self._clock, self._monotonic, self._patience = clock, monotonic, patience
        self._log = (log or structlog.get_logger()).bind(carrier=name)
        self._rate = AdaptiveRate(max_rate, monotonic(), GATHER)
        self._standing = Standing(monotonic(), patience)
        self._purses: Purses[Purse] = Purses(patience)
        self._outcomes: Mailbox[Answer | CancelAnswer] = Mailbox()
        self._requests: asyncio.Queue[tuple[Load, ...]] = asyncio.Queue()
        self._cancels: asyncio.Queue[CancelOrder] = asyncio.Queue()
        self._under_way: list[float] = []  # when each request began, oldest first
        self._heard = monotonic()  # when the last request ended
        self._cancelling = False
        self._session: aiohttp.ClientSession | None = None
        self._announced: CarrierState | None = None
        self._reason = ""  # of the last trouble
        self._credits_due = monotonic()
        self._credits_known = self._refilled = False
        self._stopping = False
        self._freed = asyncio.Event()  # credit may have changed
        self._ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # --- what the stages ask ---

    @property
    def name(self) -> str:
        """Its configured name."""
        return self._name

    @property
    def state(self) -> CarrierState:
        """Whether it can be used now."""
        if self._session is None:
            return CarrierState.DOWN
        state = self._standing.state
        throttled = state is CarrierState.READY and self._rate.throttled(self._monotonic())
        return CarrierState.THROTTLED if throttled else state

    @property
    def ready_to_cancel(self) -> bool:
        """Whether cancels can be sent now: one request of them at a time. Who may not send may cancel: what waits there may leave."""
        return self.state is not CarrierState.DOWN and not self._cancelling and not self._stopping

    def prepare(self, message: Message) -> Prepared | Rejected:
        """Say how `message` would be sent, or why it cannot be. Pure."""
        return self._wire.prepare(message)

    def credit(self) -> int:
        """Return how many messages requests and rate admit now."""
        now = self._monotonic()
        if self._session is None or self._stopping or not self._standing.may_send(now) or self._stalled(now):
            return 0
        admitted = self._rate.available(now)
        if admitted < self._helping(now):
            return 0
        busy = len(self._under_way) + self._requests.qsize()
        if not self._standing.proven:
            return 0 if busy else 1
        return int(min(admitted, max(0, CONNECTIONS - busy) * self._wire.batch))

    async def wait_credit(self) -> None:
        """Return when credit() is above 0."""
        await until_admitted(self.credit, self._delay, self._freed)

    def change_rate(self, max_rate: float) -> None:
        """Send at most so many messages a second from now on; 0 = no limit."""
        self._rate.change_limit(max_rate, self._monotonic())
        self._freed.set()

    def refilled(self) -> bool:
        """Tell once that there may be credits for what was put aside."""
        refilled, self._refilled = self._refilled, False
        return refilled

    async def outcomes(self) -> list[Answer | CancelAnswer]:
        """Wait for the next answers, in order of arrival."""
        return await self._outcomes.take()

    async def inbound(self) -> list[Arrival]:
        """Wait for ever: what the provider reports comes to the call-backs' listener."""
        await asyncio.Event().wait()
        return []

    def acknowledge(self, tokens: Sequence[object], *, committed: bool) -> list[bool]:
        """Answer nothing: nothing arrives here."""
        return [True] * len(tokens)

    def _stalled(self, now: float) -> bool:
        return bool(self._under_way) and now - max(self._under_way[0], self._heard) > STALL

    def _helping(self, now: float) -> float:
        """Return how many messages are worth a request under load."""
        rate = self._rate.rate(now)
        return max(1.0, min(float(self._wire.batch), rate * GATHER / 2)) // 1 if rate else 1.0

    def _delay(self) -> float:
        """Return the seconds until credit may come by itself; 0 where something else must happen first."""
        now = self._monotonic()
        rests = self._standing.rests(now)
        if rests:
            return rests
        rate = self._rate.rate(now)
        missing = self._helping(now) - self._rate.available(now)
        return max(self._rate.delay(now), missing / rate) if rate and missing > 0 else 0.0

    # --- submit ---

    def submit(self, batch: Sequence[tuple[Message, Prepared]]) -> None:
        """Gather messages into requests and put these in line; kinds without credits come back at once."""
        now = self._monotonic()
        admitted: list[Load] = []
        for message, prepared in batch:
            purse = Purse(message.kind, message.cost_centre or self._wire.default_cost_centre)
            load = Load(message.row, message.attempt, purse, prepared)
            if self._stopping:  # the claim was under way, and perhaps nobody takes requests any more
                self._answer(load, NEVER_SENT)
            elif waits := self._purses.admit(purse, now):
                self._answer(load, Deferred("not enough credits for such messages", Scope.ASIDE, waits))
            else:
                admitted.append(load)
        for request in self._wire.plan(admitted):
            self._requests.put_nowait(request)
        self._rate.take(len(admitted), now)
        self._outcomes.wake()

    async def _work(self, session: aiohttp.ClientSession) -> None:
        """Make one request after the other."""
        while True:
            loads = await self._requests.get()
            if self._may_leave():
                await self._deliver(session, loads)
            else:
                self._give_back(loads, NEVER_SENT)
            self._freed.set()

    def _may_leave(self) -> bool:
        """Ask again, since a request that waited in line may have been overtaken by trouble."""
        now = self._monotonic()
        if self._stopping or not self._standing.may_send(now) or self._stalled(now):
            return False
        return self._standing.proven or not self._under_way

    async def _deliver(self, session: aiohttp.ClientSession, loads: tuple[Load, ...]) -> None:
        written_at = self._monotonic()
        self._under_way.append(written_at)
        try:
            verdicts = await self._wire.submit(session, loads)
        except asyncio.CancelledError:
            self._give_back(loads, STOPPED)
            raise
        finally:
            self._under_way.remove(written_at)
            self._heard = self._monotonic()
        self._learn(verdicts, written_at)
        latency = self._monotonic() - written_at
        for load, (outcome, effect) in zip(loads, verdicts, strict=True):
            if outcome is None:
                self._requests.put_nowait((load,))
            else:
                self._answer(load, self._completed(load, outcome, effect, written_at), latency)
        self._outcomes.wake()
        self._announce()

    def _completed(self, load: Load, outcome: Outcome, effect: Effect, written_at: float) -> Outcome:
        """Keep account of the kinds without credits, and add to an outcome what its answer cannot tell."""
        if effect is Effect.NO_CREDITS and isinstance(outcome, Deferred):
            now = self._monotonic()
            retry_after = self._purses.empty(load.purse, now, written_at)
            self._credits_due = min(self._credits_due, now + self._patience * CREDITS_SOON)
            return msgspec.structs.replace(outcome, retry_after=retry_after)
        self._refilled |= self._purses.ended(load.purse, written_at, paid=effect is Effect.TAKEN)
        if isinstance(outcome, Submitted):
            return msgspec.structs.replace(outcome, encoding=load.prepared.encoding, replaced=load.prepared.replaced)
        return outcome

    def _give_back(self, loads: Sequence[Load], outcome: Outcome) -> None:
        now = self._monotonic()
        for load in loads:
            self._purses.ended(load.purse, now, paid=False)
            self._answer(load, outcome)
        self._outcomes.wake()

    def _answer(self, load: Load, outcome: Outcome, latency: float | None = None) -> None:
        self._outcomes.add(Answer(load.row, load.attempt, outcome, self._clock(), latency))

    def _learn(self, verdicts: Sequence[Verdict], written_at: float) -> None:
        """Take note of what the answers tell of the carrier. Messages of a batch that went unanswered beside others are no silence."""
        told = [verdict for verdict in verdicts if verdict.effect is not Effect.SILENT]
        for outcome, effect in told or verdicts[:1]:
            if effect not in {Effect.TAKEN, Effect.ANSWERED}:
                self._reason = getattr(outcome, "detail", "")
            self._take_effect(effect, written_at)

    def _take_effect(self, effect: Effect, written_at: float) -> None:
        now = self._monotonic()
        standing = self._standing
        match effect:
            case Effect.TAKEN:
                standing.taken(written_at)
            case Effect.ANSWERED | Effect.NO_CREDITS:
                standing.answered(written_at)
            case Effect.NOT_HERE:
                standing.not_here(now, written_at)
            case Effect.CONGESTED if standing.state is CarrierState.READY:
                self._rate.slow_down(now, written_at)
            case Effect.REFUSED | Effect.CONGESTED:
                standing.refused(now, written_at)
            case Effect.SILENT:
                standing.silent(now, written_at)
            case Effect.UNREACHABLE:
                standing.unreachable(now, written_at)

    # --- cancel ---

    def cancel(self, orders: Sequence[CancelOrder]) -> None:
        """Put cancels in line. Without an id the answer is `unknown`; what cannot be asked gets none, and is handed out again."""
        for order in orders:
            if any(order.message_ids):
                self._cancels.put_nowait(order)
            else:
                self._cancelled(order, CancelFailed("unknown"))
        self._cancelling = self._cancelling or not self._cancels.empty()
        self._outcomes.wake()

    async def _work_cancels(self, session: aiohttp.ClientSession) -> None:
        """Ask for what has gathered, in one go."""
        while True:
            orders = [await self._cancels.get()]
            while not self._cancels.empty():
                orders.append(self._cancels.get_nowait())
            asked_at, ids = self._monotonic(), list(dict.fromkeys(_ids(orders)))
            outcomes: Mapping[str, CancelOutcome] = dict.fromkeys(ids, CancelFailed("unknown"))  # if it is stopped before the answer
            try:
                outcomes = await self._wire.cancel(session, ids)
            finally:
                for order in orders:
                    if outcomes.keys() >= set(_ids([order])):
                        self._cancelled(order, _joined([outcomes[message_id] for message_id in _ids([order])]))
                self._cancelling = False
                self._outcomes.wake()
                self._freed.set()
            if outcomes.keys() < set(ids):
                self._reason = "a cancel found no connection"
                self._take_effect(Effect.UNREACHABLE, asked_at)
                self._announce()

    def _cancelled(self, order: CancelOrder, outcome: CancelOutcome) -> None:
        self._outcomes.add(CancelAnswer(order.row, outcome, self._clock()))

    # --- run and stop ---

    async def run(self) -> None:
        """Send what is put in line, until stopped or cancelled."""
        async with self._wire.connect(CONNECTIONS) as session:
            self._session = session
            self._announce()
            self._freed.set()
            try:
                async with asyncio.TaskGroup() as group:
                    parts = (*[self._work(session) for _ in range(CONNECTIONS)], self._work_cancels(session))
                    self._tasks = [group.create_task(part) for part in (*parts, self._look(session), self._keep_house())]
                    await self._ended.wait()
                    for task in self._tasks:
                        task.cancel()
            finally:
                self._session = None
                self._announce()

    async def stop(self, timeout: float) -> None:
        """Submit nothing more and wait for answers; what is unanswered then comes back as InDoubt."""
        self._stopping = True
        self._freed.set()
        while not self._requests.empty():
            self._give_back(self._requests.get_nowait(), NEVER_SENT)
        try:
            async with asyncio.timeout(timeout * 0.9):
                while self._under_way or self._cancelling:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            self._log.warning("stopped while requests were unanswered", requests=len(self._under_way))
        self._ended.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout * 0.1)

    async def _keep_house(self) -> None:
        """Notice that a pause is over or that the rate has climbed back."""
        while True:
            await asyncio.sleep(HOUSEKEEPING)
            self._announce()
            self._freed.set()

    async def _look(self, session: aiohttp.ClientSession) -> None:
        """Look for a provider that is down, and at the credits."""
        while True:
            now = self._monotonic()
            if self._wants_probe(now):
                await self._probe(session)
            elif now >= self._credits_due and self._standing.state is CarrierState.READY:
                await self._read_credits(session)
            await asyncio.sleep(LOOK * self._patience)

    def _wants_probe(self, now: float) -> bool:
        """Tell whether to look; what of a suspended carrier a message is about to find out needs no look."""
        tells = self._standing.state is CarrierState.DOWN or (self._wire.knows_account and not self._under_way)
        return tells and self._standing.wants_probe(now)

    async def _probe(self, session: aiohttp.ClientSession) -> None:
        began = self._monotonic()
        effect, detail = await self._wire.probe(session)
        if effect is Effect.ANSWERED:
            self._standing.reached(began)
        else:
            self._reason = detail
            self._take_effect(effect, began)
        self._announce()
        self._freed.set()

    async def _read_credits(self, session: aiohttp.ClientSession) -> None:
        rows = await self._wire.credits(session)
        now = self._monotonic()
        self._credits_due = now + self._patience * (CREDITS_SOON if self._purses else CREDITS_EVERY)
        if rows is None:
            return
        self._observer.credits(rows)
        filled = self._purses.filled(lambda purse: self._wire.pays(rows, purse), now)
        self._refilled |= bool(filled) or not self._credits_known
        self._credits_known = True
        for purse in filled:
            self._log.info("there are credits again", kind=purse.kind, cost_centre=purse.cost_centre)

    def _announce(self) -> None:
        """Log and show the state where it has changed."""
        state = self.state
        if state is self._announced:
            return
        self._announced = state
        self._observer.state(state)
        if state is CarrierState.READY or self._stopping:
            self._log.info("carrier state", state=state.value)
        else:
            rests = round(self._standing.rests(self._monotonic()), 1)
            self._log.warning("carrier state", state=state.value, reason=self._reason, seconds=rests)


def _ids(orders: Sequence[CancelOrder]) -> list[str]:
    return [message_id for order in orders for message_id in order.message_ids if message_id]


def _joined(outcomes: Sequence[CancelOutcome]) -> CancelOutcome:
    """An order is cancelled when each of its ids is; else the first failure says why."""
    return next((outcome for outcome in outcomes if not isinstance(outcome, Cancelled)), Cancelled())
