"""The SMPP carrier: one account of an SMSC over one or more binds. SMPP 3.4 as ESME.

Beside this module: `smpp_submit` (message -> submit_sm), `smpp_inbound` (deliver_sm -> Receipt or Reply), `smpp_status` (command_status ->
outcome), `smpp_cancel` (cancel orders), `smpp_link` (connect, bind, bind again), `throttle` (rate). Here is what joins them: credit,
spreading over the binds, the way of an answer back to its message, acknowledgement, the carrier's state, and the end.

- Credit is what the windows of the bound, writable, transmit-capable sessions and the token bucket admit. Messages go round the binds; on
  one bind they keep their order.
- What was not written is `Deferred(CARRIER)`. What was written and not answered is `InDoubt`, when it times out or when its session ends;
  a response that comes late gives a second Answer. An ESME_ROK without a message_id is `Submitted(())`: taken, and its receipts can be
  matched by reference or destination only.
- RTHROTTLED and RMSGQFUL halve the rate, once a congestion; the messages are `Deferred(CARRIER)`, so that the journal puts them back in
  their places, but for one that was throttled STUBBORN times: it stands aside, or it would keep all others from ever going. RSYSERR,
  RX_T_APPN and other temporary refusals concern the message, until STREAK different messages got one with no success between: then the
  SMSC is ill, and they slow the link too instead of using up the messages' attempts.
- A deliver_sm is answered when the stage says that it is committed. Beyond MAX_UNACKNOWLEDGED of them a session is not read any more.
- cancel_sm goes out for each message_id, never for an empty one; it does not count against window and rate.
- Of a message of several parts one is submitted at a time: the journal hands the next one out when the one before it was taken. All go
  over the session of the first, as long as it lives: where that has no room a part waits here, and comes back Deferred if it ends.

No task, no log line and no await a message. Counts of PDUs, windows and rate go to the observer once in HOUSEKEEPING seconds.

Known limit: query_sm is not used.
"""

import asyncio
import random as randomness
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import cast
from zoneinfo import ZoneInfo

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger

from gateway.carriers.base import Arrival, CarrierState, Prepared
from gateway.carriers.mailbox import Mailbox
from gateway.carriers.smpp_cancel import Cancel, Cancels
from gateway.carriers.smpp_homes import Homes, has_room
from gateway.carriers.smpp_inbound import InboundReader
from gateway.carriers.smpp_link import Account, Connection, Link, binds_of, reason_of_end, tls_context
from gateway.carriers.smpp_metrics import SmppObserver
from gateway.carriers.smpp_status import Effect, cancel_outcome_of, meaning_of, refusal_of
from gateway.carriers.smpp_submit import Part, SubmitBuilder
from gateway.carriers.throttle import PAUSE, AdaptiveRate, Tally
from gateway.carriers.waiting import until_admitted
from gateway.config import Smpp
from gateway.message import (
    Answer,
    CancelAnswer,
    CancelFailed,
    CancelOrder,
    Deferred,
    InDoubt,
    Message,
    Outcome,
    Reason,
    Rejected,
    Scope,
    Submitted,
)
from gateway.smpp.constants import CommandStatus, command_name
from gateway.smpp.errors import EncodeError, SmppError
from gateway.smpp.pdu import DataSm, DeliverSm, Pdu, SubmitSmResp
from gateway.smpp.session import (
    BindFailed,
    Bound,
    ProtocolViolation,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    SessionClosed,
    SessionEvent,
    Unbound,
)
from gateway.smpp.state import SessionState

MAX_UNACKNOWLEDGED = 2000  # deliver_sm a session that wait for the stage
STUBBORN = 3  # times that one message is throttled before others may pass it
ASIDE = 10.0  # s that it then waits: it may be its destination that is throttled, not the link
STREAK = 10  # messages with a temporary refusal in a row that make it the SMSC's trouble
HOUSEKEEPING = 1.0  # s

_ROK = int(CommandStatus.ESME_ROK)
_LATER = int(CommandStatus.ESME_RX_T_APPN)
_STATUS_CLASSES = {_ROK: "ok", int(CommandStatus.ESME_RTHROTTLED): "throttled", int(CommandStatus.ESME_RMSGQFUL): "throttled"}

NEVER_WRITTEN = Deferred("no bind had room for it", Scope.CARRIER)


class _Submission(msgspec.Struct, frozen=True, gc=False):
    """What a submit_sm was for; comes back with its response."""

    row: int
    attempt: int
    part: int
    parts: int
    encoding: str
    deferrals: int
    replaced: dict[str, str]


class SmppCarrier:
    """An SMPP account as `carriers.base.Carrier`.

    `clock` is wall time, `monotonic` what rates and back-off go by; `patience` scales the long waits after refused binds. Raises OSError
    where a TLS file cannot be read.
    """

    def __init__(
        self,
        name: str,
        settings: Smpp,
        password: str,
        *,
        time_zone: ZoneInfo,
        observer: SmppObserver,
        clock: Callable[[], float] = time.time,
        random: randomness.Random | None = None,
        log: FilteringBoundLogger | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        patience: float = 1.0,
    ) -> None:
        self._name = name
        self._settings = settings
        self._observer = observer
        self._clock, self._monotonic = clock, monotonic
        self._log = (log or structlog.get_logger()).bind(carrier=name)
        self._builder = SubmitBuilder(settings)
        self._reader = InboundReader(name, settings, time_zone)
        self._rate = AdaptiveRate(settings.max_rate, monotonic())
        self._outcomes: Mailbox[Answer | CancelAnswer] = Mailbox()
        self._arrivals: Mailbox[Arrival] = Mailbox()
        self._cancels = Cancels(self._write_cancel, self._outcomes.add, clock)
        self._account = Account(
            name=name,
            settings=settings,
            password=password,
            tls=tls_context(settings),
            draw=random or randomness.Random(),  # noqa: S311  # jitter
            monotonic=monotonic,
            log=log or structlog.get_logger(),
            patience=patience,
            handler=self._on_events,
            changed=self._on_change,
            reconnecting=observer.reconnect,
        )
        self._links = [Link(number, bind_type, self._account) for number, bind_type in binds_of(settings)]
        self._senders: deque[Connection] = deque()
        self._homes = Homes()
        self._up = [False] * settings.binds
        self._announced: CarrierState | None = None
        self._streak = 0
        self._throttles = Tally()
        self._stopping = False
        self._freed = asyncio.Event()
        self._violations = 0
        self._disagreements_told = 0
        self._pdus: Counter[tuple[str, int, int]] = Counter()
        self._tasks: list[asyncio.Task[None]] = []

    # --- what the stages ask ---

    @property
    def name(self) -> str:
        """Its configured name."""
        return self._name

    @property
    def state(self) -> CarrierState:
        """Whether it can be used now: by its transmit-capable binds, its rate and its credentials."""
        if self._senders:
            return CarrierState.THROTTLED if self._rate.throttled(self._monotonic()) else CarrierState.READY
        return CarrierState.SUSPENDED if self._account.gate.suspended else CarrierState.DOWN

    @property
    def ready_to_cancel(self) -> bool:
        """Whether a bind is up that cancels can go over."""
        return bool(self._senders) and not self._stopping

    def prepare(self, message: Message) -> Prepared | Rejected:
        """Say how `message` would be sent, or why it cannot be. Pure."""
        return self._builder.prepare(message)

    def credit(self) -> int:
        """Return how many submit_sm windows and rate admit now."""
        if self._stopping:
            return 0
        free = 0
        for connection in self._senders:
            if connection.stream.writable:
                free += connection.stream.window_free
        return int(min(free, self._rate.available(self._monotonic()))) if free else 0

    async def wait_credit(self) -> None:
        """Return when credit() is above 0."""
        await until_admitted(self.credit, self._delay, self._freed)

    def _delay(self) -> float:
        """Return the seconds until the rate admits the next; 0 where a session must come first."""
        return self._rate.delay(self._monotonic()) if self._senders and not self._stopping else 0.0

    def change_rate(self, max_rate: float) -> None:
        """Send at most so many PDUs a second from now on; 0 = no limit."""
        self._rate.change_limit(max_rate, self._monotonic())
        self._freed.set()

    def refilled(self) -> bool:
        """Tell never: nothing is put aside here."""
        return False

    async def outcomes(self) -> list[Answer | CancelAnswer]:
        """Wait for the next answers, in order of arrival."""
        return await self._outcomes.take()

    async def inbound(self) -> list[Arrival]:
        """Wait for the next receipts and replies, in order of arrival."""
        return await self._arrivals.take()

    # --- submit ---

    def submit(self, batch: Sequence[tuple[Message, Prepared]]) -> None:
        """Write each message's submit_sm, as far as credit goes; what is not written is answered Deferred."""
        now = self._clock()
        admitted = self.credit()
        written = 0
        refused: list[Answer | CancelAnswer] = []
        for message, prepared in batch:
            outcome = self._submit_one(message, prepared, now) if written < admitted else NEVER_WRITTEN
            if outcome is None:
                written += 1
            else:
                refused.append(Answer(message.row, message.attempt, outcome, now, part=message.part, parts=len(prepared.parts)))
        if written:
            self._rate.take(written, self._monotonic())
            self._pdus["out", 4, _ROK] += written
        self._outcomes.put(refused)

    def _submit_one(self, message: Message, prepared: Prepared, now: float) -> Outcome | None:
        """Hand one submit_sm to the bind of its message, or to the next one with room. Return None, or why it was not written."""
        home = self._homes.of(message.row)
        if home is not None:
            if not has_room(home):
                self._homes.wait(home, (message, prepared))
                return None
            outcome = self._write(home, message, prepared, now)
            if outcome is not NEVER_WRITTEN:
                return outcome
        senders = self._senders
        for _ in range(len(senders)):
            connection = senders[0]
            senders.rotate(-1)
            if has_room(connection) and (outcome := self._write(connection, message, prepared, now)) is not NEVER_WRITTEN:
                return outcome
        return NEVER_WRITTEN

    def _write(self, connection: Connection, message: Message, prepared: Prepared, now: float) -> Outcome | None:
        number, total = message.part, len(prepared.parts)
        part = cast("Part", prepared.parts[number - 1])
        context = _Submission(message.row, message.attempt, number, total, prepared.encoding, message.deferrals, prepared.replaced)
        try:
            connection.stream.send(self._builder.submit_sm(message, part, now), context)
        except EncodeError as error:
            return Rejected(Reason.NO_ROUTE, f"{error.field}: {error.reason}")
        except SmppError:  # the session ended, and its event is still to come
            return NEVER_WRITTEN
        if total > 1:
            self._homes.settle(message.row, connection, last=number == total)
        return None

    def _send_waiting(self, connection: Connection) -> None:
        """Write parts that waited for room in their session."""
        for message, prepared in self._homes.ready(connection):
            outcome = self._write(connection, message, prepared, self._clock())
            if outcome is not None:
                self._give_back([(message, prepared)], outcome)

    def _send_all_waiting(self) -> None:
        """Write what waits for sessions that tell nothing when their peer reads again."""
        for connection in self._homes.awaited:
            self._send_waiting(connection)
        self._outcomes.wake()

    def _give_back(self, items: Iterable[tuple[Message, Prepared]], outcome: Outcome) -> None:
        now = self._clock()
        for message, prepared in items:
            self._outcomes.add(Answer(message.row, message.attempt, outcome, now, None, message.part, len(prepared.parts)))

    def _on_response(self, connection: Connection, event: ResponseReceived) -> None:
        context = event.context
        pdu = event.pdu
        self._pdus["in", pdu.command_id, pdu.command_status] += 1
        if type(context) is _Submission:
            outcome = self._outcome_of(connection, pdu, context, event.elapsed)
            if context.part < context.parts and isinstance(outcome, Rejected):
                self._homes.leave(context.row)
            self._outcomes.add(Answer(context.row, context.attempt, outcome, self._clock(), event.elapsed, context.part, context.parts))
        elif type(context) is Cancel and not event.late:
            self._cancels.answered(context, cancel_outcome_of(pdu.command_status))

    def _outcome_of(self, connection: Connection, pdu: Pdu, submission: _Submission, elapsed: float) -> Outcome:
        if pdu.command_status == _ROK and isinstance(pdu, SubmitSmResp):
            self._streak = 0
            self._throttles.forget(submission.row)
            return Submitted((pdu.message_id,) if pdu.message_id else (), submission.encoding, replaced=submission.replaced)
        return self._refusal_of(connection, pdu.command_status, submission, elapsed)

    def _refusal_of(self, connection: Connection, command_status: int, submission: _Submission, elapsed: float) -> Outcome:
        outcome = refusal_of(command_status, pause=PAUSE)
        match meaning_of(command_status).effect:
            case Effect.CONGESTED:
                self._slow_down(elapsed)
                if isinstance(outcome, Deferred) and self._throttles.again(submission.row) >= STUBBORN:
                    return Deferred(outcome.detail, Scope.ASIDE, ASIDE, command_status)
            case Effect.SESSION | Effect.ACCOUNT:
                connection.end("refused")
            case Effect.TEMPORARY:
                self._streak += submission.deferrals == 0
                if self._streak >= STREAK and isinstance(outcome, Deferred):
                    self._slow_down(elapsed)
                    return Deferred(outcome.detail, Scope.CARRIER, PAUSE, command_status)
            case _:
                pass
        return outcome

    def _slow_down(self, elapsed: float) -> None:
        now = self._monotonic()
        if self._rate.slow_down(now, now - elapsed):
            self._observer.rate(self._rate.rate(now))
            self._announce()

    def _unanswered(self, context: object, detail: str) -> None:
        if type(context) is _Submission:
            self._outcomes.add(Answer(context.row, context.attempt, InDoubt(detail), self._clock(), None, context.part, context.parts))
        elif type(context) is Cancel:
            self._cancels.answered(context, CancelFailed("unknown"))

    # --- cancel ---

    def cancel(self, orders: Sequence[CancelOrder]) -> None:
        """Send a cancel_sm for each message_id of each order. Without a bind they get no answer, and are handed out again."""
        if self.ready_to_cancel:
            self._cancels.send(orders)

    def _write_cancel(self, order: CancelOrder, message_id: str, cancel: Cancel) -> bool:
        if not self.ready_to_cancel:
            return False
        try:
            self._senders[0].stream.send(self._builder.cancel_sm(order, message_id), cancel)
        except SmppError:  # too many unanswered, a broken id, or the session has just ended
            return False
        self._pdus["out", 8, _ROK] += 1
        self._senders.rotate(-1)
        return True

    # --- inbound ---

    def _on_request(self, connection: Connection, event: RequestReceived) -> None:
        pdu = cast("DeliverSm | DataSm", event.pdu)  # the session hands an ESME no other request
        self._pdus["in", pdu.command_id, _ROK] += 1
        self._arrivals.add(Arrival(self._reader.read(pdu, self._clock(), connection.number), (connection, pdu)))
        connection.unacknowledged += 1
        if connection.unacknowledged > MAX_UNACKNOWLEDGED and not connection.paused:
            connection.paused = True
            connection.stream.pause_reading()

    def acknowledge(self, tokens: Sequence[object], *, committed: bool) -> list[bool]:
        """Answer deliver_sm and data_sm: ESME_ROK, or ESME_RX_T_APPN for "come again". Return which sessions were there to be answered."""
        command_status = _ROK if committed else _LATER
        answered: list[bool] = []
        for connection, pdu in cast("Sequence[tuple[Connection, Pdu]]", tokens):
            answered.append(connection.stream.state is not SessionState.CLOSED)
            connection.stream.respond(pdu, command_status)
            connection.unacknowledged -= 1
            self._pdus["out", pdu.command_id | 0x80000000, command_status] += 1
            if connection.paused and connection.unacknowledged <= MAX_UNACKNOWLEDGED // 2:
                connection.paused = False
                connection.stream.resume_reading()
        return answered

    # --- the sessions ---

    def _on_events(self, connection: Connection, events: list[SessionEvent]) -> None:
        for event in events:
            match event:
                case ResponseReceived():
                    self._on_response(connection, event)
                case RequestReceived():
                    self._on_request(connection, event)
                case RequestTimedOut():
                    self._unanswered(event.context, "no response in time")
                case _:
                    self._on_session(connection, event)
        self._send_waiting(connection)
        self._outcomes.wake()  # before the arrivals: a receipt must not overtake its response
        self._arrivals.wake()
        self._freed.set()

    def _on_session(self, connection: Connection, event: SessionEvent) -> None:
        match event:
            case Bound():
                connection.became_bound()
            case BindFailed():
                connection.refused(event.command_status)
            case Unbound():
                connection.end("unbound" if event.by_peer else "lost")
            case SessionClosed():
                connection.end(reason_of_end(event.reason))
                self._give_back(self._homes.abandon(connection), NEVER_WRITTEN)
                for _, context in event.unanswered:
                    self._unanswered(context, "the session ended before the response")
            case ProtocolViolation():
                self._on_violation(connection, event)
            case _:  # alert_notification, outbind: nothing here asks for them
                pass

    def _on_violation(self, connection: Connection, event: ProtocolViolation) -> None:
        """Log the 1st, 2nd, 4th, 8th ... of them: a peer must not be able to flood the log."""
        self._violations += 1
        if not self._violations & (self._violations - 1):
            what = {"reason": event.reason, "header": event.evidence_hex, "number": self._violations}
            self._log.warning("the SMSC broke the protocol", bind=connection.link.number, **what)

    def _on_change(self) -> None:
        """Take note that a link became bound, lost its bind, or was refused."""
        usable = [link.connection for link in self._links if link.bound and link.submits and link.connection is not None]
        kept = [connection for connection in self._senders if connection in usable]
        self._senders = deque([*kept, *(connection for connection in usable if connection not in kept)])
        for number, was_up in enumerate(self._up):
            up = all(link.bound for link in self._links if link.number == number)
            if up != was_up:
                self._up[number] = up
                self._observer.bound(number, up)
        self._announce()
        self._freed.set()

    def _announce(self) -> None:
        """Log and show the state where it has changed."""
        state = self.state
        if state is self._announced:
            return
        expected = state is CarrierState.READY or self._announced is None or self._stopping  # nothing fails at a start or a stop
        complain = self._log.info if expected else self._log.warning
        complain("carrier state", state=state.value, rate=self._rate.rate(self._monotonic()))
        self._announced = state
        self._observer.state(state)

    # --- run and stop ---

    async def run(self) -> None:
        """Keep the binds up until stopped or cancelled."""
        self._announce()
        self._observe()
        try:
            async with asyncio.TaskGroup() as group:
                self._tasks = [group.create_task(link.run()) for link in self._links]
                keeper = group.create_task(self._keep_house())
                await asyncio.wait(self._tasks)
                keeper.cancel()
        finally:
            self._observe()

    async def stop(self, timeout: float) -> None:
        """Submit nothing more, wait for answers, unbind, close. What is unanswered then comes back as InDoubt."""
        self._stopping = True
        self._account.stopping.set()
        self._give_back(self._homes.abandon_all(), NEVER_WRITTEN)
        self._outcomes.wake()
        for link, task in zip(self._links, self._tasks, strict=False):
            if link.connection is None:
                task.cancel()
        await self._close(timeout * 0.75, submit=True)
        await self._close(timeout * 0.25, submit=False)

    async def _close(self, timeout: float, *, submit: bool) -> None:
        """Close the sessions that submit, or those that only receive: each waits for what is unanswered, then unbinds."""
        connections = [link.connection for link in self._links if link.connection is not None and link.submits is submit]
        await asyncio.gather(*(connection.stream.close(timeout) for connection in connections))

    async def _keep_house(self) -> None:
        """Show what changes too often to be shown at once, and notice that the rate has climbed back."""
        while True:
            await asyncio.sleep(HOUSEKEEPING)
            self._observe()
            self._announce()
            self._send_all_waiting()
            self._freed.set()
            disagreements = self._reader.disagreements
            if disagreements > 2 * self._disagreements_told:
                self._disagreements_told = disagreements
                self._log.warning("receipts whose message_state and stat: disagree; message_state counts", number=disagreements)

    def _observe(self) -> None:
        observer = self._observer
        for (direction, command_id, command_status), number in self._pdus.items():
            observer.pdu(direction, command_name(command_id), _STATUS_CLASSES.get(command_status, "error"), number)
        self._pdus.clear()
        observer.rate(self._rate.rate(self._monotonic()))
        for link in self._links:
            if link.submits:
                used = link.connection.stream.session.window_used if link.connection is not None else 0
                observer.window(link.number, used, self._settings.window)
