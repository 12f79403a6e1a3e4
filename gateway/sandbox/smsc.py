"""An SMSC to try against: accepts binds, acts out `gateway.sandbox.scenario` for each message, sends receipts and replies.

`Smsc` is for tests and the demo, which run it in their own loop; `run` is for the command `mensageiro sandbox`. Built on the same sans-I/O
`Session` as the gateway, in the other role. It imports no stage, broker, carrier or journal.

How it behaves, beside the magic numbers:

- submit_sm and data_sm are taken alike. Receipts come as deliver_sm when registered_delivery asks for them, over any session of the same
  system_id that may receive, in turn. While there is none they wait, and come with the next bind, right behind its response.
- A deliver_sm that is refused for the moment (ESME_RX_T_APPN, ESME_RSYSERR, ESME_RMSGQFUL, ESME_RTHROTTLED) or not answered is sent again
  after `retry_delay`, `max_tries` times in all; one that a lost session left unanswered is sent again at once; any other refusal drops it.
- query_sm tells the state; cancel_sm cancels what is not final, and a receipt with code 4 follows. Both know the last `remember` messages.
- submit_multi and replace_sm are refused with ESME_RINVCMDID.
- Above `max_rate`, or with more than `window` messages unanswered in a session, a submit_sm is answered by ESME_RTHROTTLED.

Known limits: all state is in memory and dies with the process, but for the ledger; schedule_delivery_time and validity_period are ignored.
"""

import asyncio
import random
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from gateway.provider.dlr import DlrCode
from gateway.sandbox import messages
from gateway.sandbox.agenda import Agenda
from gateway.sandbox.ledger import Entry, Ledger
from gateway.sandbox.messages import Taken
from gateway.sandbox.rawstream import RawStream
from gateway.sandbox.scenario import Aftermath, Behaviour, PlannedReceipt, PlannedReply, Reaction, ReceiptForm, behaviour
from gateway.sandbox.settings import SmscSettings, Statistics
from gateway.smpp.codec import encode
from gateway.smpp.constants import CommandId, CommandStatus, Tag
from gateway.smpp.pdu import (
    Bind,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    CancelSm,
    DataSm,
    GenericNack,
    Pdu,
    QuerySm,
    ReplaceSm,
    SubmitMulti,
    SubmitSm,
)
from gateway.smpp.session import (
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    SessionClosed,
    SessionEvent,
    SessionSettings,
    Unbound,
)
from gateway.smpp.state import Role, SessionState
from gateway.smpp.stream import EventsCallback, SmppStream

__all__ = ["GARBAGE", "SYSTEM_ID", "Delivery", "Smsc", "SmscSettings", "run"]

SYSTEM_ID: Final = "MENSAGEIRO"
"""What the SMSC calls itself in bind responses."""

GARBAGE: Final = b"\xff" * 32
"""Octets that are no PDU: a command_length of 4 GiB."""

_TEMPORARY = frozenset(
    {CommandStatus.ESME_RX_T_APPN, CommandStatus.ESME_RSYSERR, CommandStatus.ESME_RMSGQFUL, CommandStatus.ESME_RTHROTTLED}
)
_RECEIVING = frozenset({SessionState.BOUND_RX, SessionState.BOUND_TRX})
_INTERFACE_VERSION = {int(Tag.SC_INTERFACE_VERSION): b"\x34"}


class Delivery(Struct, gc=False):
    """One deliver_sm to come: a receipt or a part of a reply."""

    message: Taken
    planned: PlannedReceipt | PlannedReply
    tries: int = 0


@dataclass(slots=True)
class Account:
    """Hold the sessions of one system_id, and what waits for one that may receive."""

    links: list["Link"] = field(default_factory=list)
    receivers: deque["Link"] = field(default_factory=deque)  # the next to use first
    waiting: deque[Delivery] = field(default_factory=deque)

    def free_receiver(self) -> "Link | None":
        """Return a session that can take a deliver_sm now; each in turn."""
        for _ in range(len(self.receivers)):
            link = self.receivers[0]
            self.receivers.rotate(-1)
            if link.can_receive:
                return link
        return None


class Smsc:
    """Run an SMSC on the running loop; `seed` makes ids and spreads repeatable."""

    def __init__(self, settings: SmscSettings, seed: int | None = None) -> None:
        self.settings = settings
        self.statistics = Statistics()
        self._random = random.Random(seed)  # noqa: S311  # nothing secret
        self._next_number = self._random.randrange(1, 4_000_000_000)
        self._ledger = Ledger(settings.ledger_path, keep=settings.keep_messages)
        self._accounts: dict[str, Account] = {}
        self._remembered: dict[str, Taken] = {}
        self._links: set[Link] = set()
        self._tokens = settings.max_rate
        self._refilled = 0.0
        self._server: asyncio.Server | None = None
        self.agenda: Agenda

    @property
    def port(self) -> int:
        """Return the port it listens on. Only after `start`."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def taken(self) -> list[Entry]:
        """Return every message taken, in order, where `keep_messages` says so."""
        return self._ledger.entries

    @property
    def sessions(self) -> int:
        """Count the connections, bound or not."""
        return len(self._links)

    async def start(self) -> None:
        """Listen. Raises OSError."""
        self.agenda = Agenda()
        session_settings = SessionSettings(
            window=self.settings.max_unacked_receipts,
            response_timeout=self.settings.deliver_timeout,
            enquire_link_interval=self.settings.enquire_link_interval,
        )
        self._server = await asyncio.get_running_loop().create_server(
            lambda: RawStream(Role.SMSC, session_settings, self._on_session), self.settings.host, self.settings.port
        )

    async def stop(self, grace: float = 0.0) -> None:
        """Stop listening and end every session: dropped at once, or unbound within `grace` seconds."""
        if self._server is not None:
            self._server.close()
        self.agenda.clear()
        streams = [link.stream for link in self._links]
        if grace:
            await asyncio.gather(*(stream.close(grace) for stream in streams))
        for stream in streams:
            stream.abort("the sandbox stops")
        await asyncio.gather(*(stream.wait_closed() for stream in streams))
        if self._server is not None:
            await self._server.wait_closed()
        self._ledger.close()

    def _on_session(self, stream: SmppStream) -> EventsCallback:
        assert isinstance(stream, RawStream)
        link = Link(self, stream)
        stream.on_writable = link.pump
        self._links.add(link)
        return link.on_events

    # --- binds ---

    def admit(self, bind: Bind) -> int:
        """Check a bind; return the command_status of its response."""
        settings = self.settings
        if settings.system_id and bind.system_id != settings.system_id:
            return CommandStatus.ESME_RINVSYSID
        if settings.password and bind.password != settings.password:
            return CommandStatus.ESME_RINVPASWD
        if len(self.account(bind.system_id).links) >= settings.max_binds:
            return CommandStatus.ESME_RALYBND
        return CommandStatus.ESME_ROK

    def account(self, system_id: str) -> Account:
        """Return the account of a system_id."""
        return self._accounts.setdefault(system_id, Account())

    def forget(self, link: "Link") -> None:
        """Take note that a connection is gone."""
        self._links.discard(link)

    # --- messages ---

    def throttles(self) -> bool:
        """Take a token of the bucket; tell whether there is none."""
        rate = self.settings.max_rate
        if not rate:
            return False
        now = time.monotonic()
        self._tokens = min(rate, self._tokens + (now - self._refilled) * rate)
        self._refilled = now
        if self._tokens < 1:
            return True
        self._tokens -= 1
        return False

    def behaviour_of(self, pdu: SubmitSm | DataSm) -> Behaviour:
        """Say what becomes of a message; a test may know more than its destination tells."""
        return behaviour(pdu.destination_addr)

    def take(self, pdu: SubmitSm | DataSm, system_id: str, scenario: Behaviour, at: float) -> Taken:
        """Make a message ours, in the ledger too."""
        number = self._next_number
        self._next_number += 1
        message = messages.take(pdu, number, system_id, scenario, at)
        self._remembered[message.message_id] = message
        if len(self._remembered) > self.settings.remember:
            del self._remembered[next(iter(self._remembered))]
        if self._ledger.wanted:
            reference = None if message.reference is None else int.from_bytes(message.reference, "big")
            self._ledger.add(Entry(message.destination_addr, messages.digest(pdu), reference, message.message_id, at))
        self.statistics.taken += 1
        return message

    def commit(self) -> None:
        """Write the ledger: from here on messages may be answered."""
        self._ledger.commit()

    def find(self, message_id: str, system_id: str) -> Taken | None:
        """Look up a message of this account."""
        message = self._remembered.get(message_id)
        return message if message is not None and message.account == system_id else None

    def plan(self, message: Taken) -> None:
        """Let everything happen, in its order, that the behaviour has in store."""
        delay = self.settings.receipt_delay
        due = self._random.random() * self.settings.receipt_spread if self.settings.receipt_spread else 0.0
        for planned in (*message.behaviour.receipts, *message.behaviour.replies):
            due += delay
            self.agenda.after(due, self.happen, message, planned)

    def happen(self, message: Taken, planned: PlannedReceipt | PlannedReply) -> None:
        """Change the message's state, and tell of it, or bring the reply; nothing happens to a cancelled message."""
        if message.cancelled:
            return
        if isinstance(planned, PlannedReceipt):
            message.turn(planned.code, time.time())
            if planned.form is ReceiptForm.UNTOLD or not message.wants(planned.code):
                return
        self.deliver(Delivery(message, planned))

    def cancel(self, message: Taken) -> bool:
        """Cancel a message, and tell of it by a receipt; False where it is final."""
        if message.final_at is not None:
            return False
        message.cancelled = True
        message.turn(DlrCode.DELETED, time.time())
        if message.wants(DlrCode.DELETED):
            self.agenda.after(self.settings.receipt_delay, self.deliver, Delivery(message, PlannedReceipt(DlrCode.DELETED)))
        return True

    # --- deliver_sm ---

    def deliver(self, delivery: Delivery) -> None:
        """Send a deliver_sm, or let it wait for a session that can take it."""
        account = self.account(delivery.message.account)
        if len(account.waiting) >= self.settings.backlog:
            self.statistics.dropped += 1
            return
        account.waiting.append(delivery)
        self.pump(account)

    def pump(self, account: Account) -> None:
        """Send what waits, as far as the sessions take it."""
        while account.waiting:
            link = account.free_receiver()
            if link is None:
                return
            link.send(account.waiting.popleft())

    def repeat(self, delivery: Delivery) -> None:
        """Send a deliver_sm again after a while, unless it was tried too often."""
        delivery.tries += 1
        if delivery.tries >= self.settings.max_tries:
            self.statistics.dropped += 1
            return
        self.statistics.repeated += 1
        self.agenda.after(self.settings.retry_delay, self.deliver, delivery)

    def put_back(self, account: Account, unanswered: list[tuple[Pdu, object]]) -> None:
        """Let what a lost session left unanswered wait again, before everything else and in its order."""
        lost = [context for _, context in unanswered if isinstance(context, Delivery)]
        self.statistics.repeated += len(lost)
        account.waiting.extendleft(reversed(lost))
        self.pump(account)


class Link:
    """Serve one session."""

    def __init__(self, smsc: Smsc, stream: RawStream) -> None:
        self.stream = stream
        self._smsc = smsc
        self._system_id = ""
        self._account: Account | None = None
        self._unanswered = 0
        self._taken: list[tuple[SubmitSm | DataSm, Taken]] = []  # of this batch of events, to be answered behind the ledger

    @property
    def can_receive(self) -> bool:
        """Tell whether a deliver_sm may be sent now."""
        return self.stream.writable and self.stream.window_free > 0 and self.stream.state in _RECEIVING

    def send(self, delivery: Delivery) -> None:
        """Send a deliver_sm; `can_receive` was asked before."""
        planned = delivery.planned
        if isinstance(planned, PlannedReceipt):
            pdu = messages.receipt(delivery.message, planned, time.time())
        else:
            pdu = messages.reply(delivery.message, planned, self._smsc.settings.reply_way)
        self.stream.send(pdu, delivery)

    def on_events(self, events: list[SessionEvent]) -> None:
        """Act on what the session reports."""
        at = time.time()
        for event in events:
            match event:
                case RequestReceived(pdu=pdu):
                    self._on_request(pdu, at)
                case ResponseReceived(pdu=response, context=Delivery() as delivery, late=late):
                    self._on_delivered(response, delivery, late=late)
                case RequestTimedOut(context=Delivery() as delivery):
                    self._smsc.repeat(delivery)
                case Unbound():
                    self._stop_receiving()
                case SessionClosed(unanswered=unanswered):
                    self._on_closed(unanswered)
                case _:
                    pass  # protocol violations: the session has answered them
        if self._taken:
            self._answer_taken()
        self.pump()

    def pump(self) -> None:
        """Send what waits for this account, if any."""
        if self._account is not None and self._account.waiting:
            self._smsc.pump(self._account)

    # --- requests ---

    def _on_request(self, pdu: Pdu, at: float) -> None:
        match pdu:
            case SubmitSm() | DataSm():
                self._on_message(pdu, at)
            case QuerySm():
                self._on_query(pdu)
            case CancelSm():
                self.stream.respond(pdu, self._cancel(pdu))
            case SubmitMulti() | ReplaceSm():
                self.stream.respond(pdu, CommandStatus.ESME_RINVCMDID)
            case BindTransmitter() | BindReceiver() | BindTransceiver():
                self._on_bind(pdu)
            case _:
                self.stream.respond(pdu, CommandStatus.ESME_RINVCMDID)

    def _on_bind(self, pdu: Bind) -> None:
        status = self._smsc.admit(pdu)
        self.stream.respond(pdu, status, system_id=SYSTEM_ID, tlvs=dict(_INTERFACE_VERSION))
        if status != CommandStatus.ESME_ROK:
            self._smsc.statistics.binds_refused += 1
            return
        self._smsc.statistics.binds += 1
        self._system_id = pdu.system_id
        self._account = self._smsc.account(pdu.system_id)
        self._account.links.append(self)
        if not isinstance(pdu, BindTransmitter):
            self._account.receivers.append(self)

    def _on_message(self, pdu: SubmitSm | DataSm, at: float) -> None:
        smsc = self._smsc
        if self._unanswered >= smsc.settings.window or smsc.throttles():
            smsc.statistics.throttled += 1
            self.stream.respond(pdu, CommandStatus.ESME_RTHROTTLED)
            return
        scenario = smsc.behaviour_of(pdu)
        if scenario.takes:
            self._unanswered += 1
            self._taken.append((pdu, smsc.take(pdu, self._system_id, scenario, at)))
        else:
            smsc.statistics.refused += 1
            self._refuse(pdu, scenario)

    def _refuse(self, pdu: SubmitSm | DataSm, scenario: Behaviour) -> None:
        if scenario.reaction is Reaction.NACK:
            self.stream.write_raw(encode(GenericNack(command_status=CommandStatus.ESME_RINVCMDID, sequence_number=pdu.sequence_number)))
        elif scenario.reaction is not Reaction.SILENCE:
            self.stream.respond(pdu, scenario.command_status)

    def _answer_taken(self) -> None:
        """Answer the messages of this batch, once the ledger has them."""
        taken, self._taken = self._taken, []
        self._smsc.commit()
        delay = self._smsc.settings.response_delay
        for pdu, message in taken:
            match message.behaviour.reaction:
                case Reaction.RESPOND if not delay:
                    self._respond(pdu, message)
                case Reaction.RESPOND:
                    self._smsc.agenda.after(delay, self._respond, pdu, message)
                case Reaction.RESPOND_LATE:
                    self._smsc.agenda.after(self._smsc.settings.slow_response, self._respond, pdu, message)
                case Reaction.RECEIPT_FIRST:
                    for planned in message.behaviour.receipts:
                        self._smsc.happen(message, planned)
                    self._respond(pdu, message)
                case _:
                    self.stream.abort("the scenario says so")
            if message.behaviour.reaction is not Reaction.RECEIPT_FIRST:
                self._smsc.plan(message)

    def _respond(self, pdu: SubmitSm | DataSm, message: Taken) -> None:
        self._unanswered -= 1
        self.stream.respond(pdu, message_id=message.message_id)
        match message.behaviour.aftermath:
            case Aftermath.UNBIND:
                self.stream.unbind()
                self._stop_receiving()
            case Aftermath.GARBAGE:
                self.stream.write_raw(GARBAGE)
            case Aftermath.NOTHING:
                pass

    def _on_query(self, pdu: QuerySm) -> None:
        message = self._smsc.find(pdu.message_id, self._system_id)
        if message is None:
            self.stream.respond(pdu, CommandStatus.ESME_RINVMSGID)
            return
        final_date = "" if message.final_at is None else messages.absolute_time(message.final_at)
        self.stream.respond(pdu, message_id=pdu.message_id, final_date=final_date, message_state=int(message.state))

    def _cancel(self, pdu: CancelSm) -> int:
        message = self._smsc.find(pdu.message_id, self._system_id)
        if message is None:
            return CommandStatus.ESME_RINVMSGID
        if pdu.source_addr != message.source_addr:
            return CommandStatus.ESME_RINVSRCADR
        if pdu.destination_addr not in {"", message.destination_addr}:
            return CommandStatus.ESME_RINVDSTADR
        return CommandStatus.ESME_ROK if self._smsc.cancel(message) else CommandStatus.ESME_RCANCELFAIL

    # --- responses, and the end ---

    def _on_delivered(self, response: Pdu, delivery: Delivery, *, late: bool) -> None:
        if late:
            return  # it was sent again at its time-out
        if response.command_status == CommandStatus.ESME_ROK:
            self._smsc.statistics.delivered += 1
        elif response.command_status in _TEMPORARY and response.command_id == CommandId.DELIVER_SM_RESP:
            self._smsc.repeat(delivery)
        else:
            self._smsc.statistics.dropped += 1

    def _stop_receiving(self) -> None:
        if self._account is not None and self in self._account.receivers:
            self._account.receivers.remove(self)

    def _on_closed(self, unanswered: list[tuple[Pdu, object]]) -> None:
        self._smsc.forget(self)
        self._stop_receiving()
        if self._account is not None:
            self._account.links.remove(self)
            self._smsc.put_back(self._account, unanswered)
            self._account = None


async def run(settings: SmscSettings) -> None:
    """Start an SMSC and run it until cancelled; prints nothing. Raises OSError where it cannot listen."""
    smsc = Smsc(settings)
    await smsc.start()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await smsc.stop(grace=1.0)
