"""One SMPP 3.4 session, either role, sans-I/O: octets and time go in, events and octets come out.

The caller owns the connection and the clock (`now`: monotonic seconds). It hands what it read to `receive`, calls
`tick` at `next_deadline()`, writes `data_to_send()` after each of these and after `send` and `respond`, closes when
`wants_close`, and reports the end with `connection_lost`. `gateway.smpp.stream` does that over asyncio.

The session answers enquire_link and unbind itself, in any state, and refuses what the peer may not send; every other
request becomes a RequestReceived, which the application must answer by `respond`. Each request of ours ends in exactly
one of ResponseReceived, Bound, BindFailed, RequestTimedOut (which a late ResponseReceived may follow) or the
`unanswered` of SessionClosed; unbind and the session's own enquire_link end in Unbound or in silence.

It never logs, never raises for anything a peer sends, and keeps no PDU of the peer: its memory is bounded by the window,
by one unfinished PDU, and by the octets that the caller has not fetched yet.
"""

from math import inf
from typing import Final, assert_never

from msgspec import Struct

from gateway.smpp import pdu as p
from gateway.smpp.codec import decode, encode
from gateway.smpp.constants import HEADER_LENGTH, RESPONSE_BIT, CommandId, CommandStatus, Tag, command_name, status_name
from gateway.smpp.errors import DecodeError, EncodeError, FramingError, IllegalStateError, PduHeader
from gateway.smpp.framing import FrameBuffer
from gateway.smpp.pdu import Pdu, UnknownPdu, type_of_response
from gateway.smpp.state import STATE_AFTER_BIND, Role, SessionState, legal_commands
from gateway.smpp.timers import SessionTimers, TimerAction
from gateway.smpp.tlv import tlv_int
from gateway.smpp.window import Pending, Window

_COUNTED: Final = frozenset({CommandId.SUBMIT_SM, CommandId.SUBMIT_MULTI, CommandId.DATA_SM, CommandId.DELIVER_SM})
_FOR_APPLICATION: Final = _COUNTED | {CommandId.QUERY_SM, CommandId.CANCEL_SM, CommandId.REPLACE_SM}
_UNANSWERABLE: Final = frozenset({CommandId.OUTBIND, CommandId.ALERT_NOTIFICATION})
_ROK: Final = int(CommandStatus.ESME_ROK)
_PROBE: Final = object()
"""The context of the enquire_link that the session sends by itself."""

_CLOSE_REASONS: Final = {
    TimerAction.PEER_DEAD: "no sign of life from the peer",
    TimerAction.NOT_BOUND: "not bound in time",
    TimerAction.NOT_UNBOUND: "not unbound in time",
}


class SessionSettings(Struct, frozen=True, kw_only=True):
    """Set the limits of a session; times in seconds, inf for never."""

    window: int = 50
    response_timeout: float = 30.0
    enquire_link_interval: float = 30.0
    enquire_link_timeout: float = 10.0
    inactivity_timeout: float = inf
    bind_timeout: float = 10.0
    max_pdu: int = 65536


class RequestReceived(Struct):
    """Hand over a request of the peer; the application must answer it by `respond`."""

    pdu: Pdu


class ResponseReceived(Struct):
    """Hand over a response (or generic_nack) with its request; `elapsed` in seconds, `late` after its time-out."""

    pdu: Pdu
    request: Pdu
    context: object
    elapsed: float
    late: bool


class RequestTimedOut(Struct):
    """Report that a request of ours had no response in time; a late one may follow."""

    request: Pdu
    context: object


class Bound(Struct):
    """Report that our bind succeeded; `system_id` is the SMSC's."""

    state: SessionState
    system_id: str
    sc_interface_version: int | None


class BindFailed(Struct):
    """Report that our bind was refused; the connection still stands."""

    command_status: int


class Unbound(Struct):
    """Report that the session ends in order; responses may still come until it is closed."""

    by_peer: bool


class ProtocolViolation(Struct):
    """Tell what the peer did against the specification; informational. The evidence is a header at most."""

    reason: str
    evidence_hex: str


class AlertReceived(Struct):
    """Hand over an alert_notification; it has no response."""

    pdu: p.AlertNotification


class OutbindReceived(Struct):
    """Hand over an outbind; it has no response, a bind is expected. Its password must be checked by the caller."""

    pdu: p.Outbind


class SessionClosed(Struct):
    """Report the end, once and last, with every request that has no response, oldest first."""

    reason: str
    unanswered: list[tuple[Pdu, object]]


SessionEvent = (
    RequestReceived
    | ResponseReceived
    | RequestTimedOut
    | Bound
    | BindFailed
    | Unbound
    | ProtocolViolation
    | AlertReceived
    | OutbindReceived
    | SessionClosed
)


class Session:
    """Hold one session from the connection to its end."""

    def __init__(self, role: Role, settings: SessionSettings, now: float, first_sequence_number: int = 1) -> None:
        self.role = role
        self.settings = settings
        self.close_reason = ""
        self._state = SessionState.OPEN
        self._legal_for_us = legal_commands(SessionState.OPEN, role)
        self._legal_for_peer = legal_commands(SessionState.OPEN, role.peer)
        self._window = Window(settings.window, settings.response_timeout, first_sequence_number)
        self._frames = FrameBuffer(settings.max_pdu)
        self._output: list[bytes] = []
        self._to_answer = 0
        self._bind_pending = False
        self._peer_bind: Pdu | None = None
        self._unbind_confirmed = False
        self._framing_lost = False
        self._timers = SessionTimers(
            session_init_timer=settings.bind_timeout,
            enquire_link_timer=settings.enquire_link_interval,
            enquire_link_timeout=settings.enquire_link_timeout,
            inactivity_timer=settings.inactivity_timeout,
            response_timer=settings.response_timeout,
            last_received=now,
            opened=now,
        )

    @property
    def state(self) -> SessionState:
        """Return the state, as Table 2-1 names it for what we may send."""
        return self._state

    @property
    def window_free(self) -> int:
        """Return how many messages (submit_sm, submit_multi, data_sm, deliver_sm) may be sent now."""
        return self._window.free

    @property
    def window_used(self) -> int:
        """Return how many messages of ours are unanswered."""
        return self._window.used

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing waits for an answer, neither from the peer nor from the application."""
        return not self._to_answer and not len(self._window)

    @property
    def wants_close(self) -> bool:
        """Tell whether the connection should be closed once the output is written."""
        return bool(self.close_reason) or (self._unbind_confirmed and self.is_idle)

    # --- sending ---

    def send(self, pdu: Pdu, now: float, context: object = None) -> int:
        """Queue a request of ours and return its sequence_number; `context` comes back with its response.

        outbind and alert_notification, which have no response, are numbered but not awaited. Raises
        IllegalStateError, WindowFullError or EncodeError; then nothing was queued or registered.
        """
        command_id = pdu.command_id
        if command_id & RESPONSE_BIT or command_id not in self._legal_for_us:
            raise IllegalStateError(f"{self.role.name} cannot send {command_name(command_id)} in {self._state.name}")
        if command_id in _COUNTED:
            return self._register(pdu, context, now, counted=True)
        if command_id in _UNANSWERABLE:
            self._output.append(encode(pdu))
            return pdu.sequence_number
        return self._send_session_request(pdu, context, now)

    def unbind(self, now: float) -> None:
        """Ask the peer to end the session; nothing new may be sent from here on. Does nothing a second time."""
        if CommandId.UNBIND in self._legal_for_us:
            self.send(p.Unbind(), now)

    def respond(self, request: Pdu, command_status: int = 0, **fields: object) -> None:
        """Queue the response to `request`; `fields` are those of its class (message_id=..., system_id=..., tlvs=...).

        An ESME_ROK to a bind moves the state. Does nothing when the session is over: a response cannot cross a
        connection, and the peer will ask again. Raises EncodeError.
        """
        if self._state is SessionState.CLOSED:
            return
        response_type = type_of_response[request.command_id]
        response = response_type(
            command_status=command_status,
            sequence_number=request.sequence_number,
            **fields,
        )
        self._output.append(encode(response))
        if self._to_answer:
            self._to_answer -= 1
        if request is self._peer_bind:
            self._peer_bind = None
            if command_status == _ROK:
                self._enter(STATE_AFTER_BIND[request.command_id])

    def data_to_send(self) -> bytes:
        """Return, once, the octets that are to be written now."""
        output = self._output
        if not output:
            return b""
        self._output = []
        return output[0] if len(output) == 1 else b"".join(output)

    def _send_session_request(self, pdu: Pdu, context: object, now: float) -> int:
        """Send a request that is no message: bind, unbind, enquire_link, query_sm, cancel_sm, replace_sm."""
        command_id = pdu.command_id
        if command_id in STATE_AFTER_BIND and self._bind_pending:
            raise IllegalStateError("a bind is unanswered already")
        if command_id == CommandId.ENQUIRE_LINK and self._timers.probe_sent is not None:
            raise IllegalStateError("an enquire_link is unanswered already")
        sequence_number = self._register(pdu, context, now, counted=False)
        if command_id in STATE_AFTER_BIND:
            self._bind_pending = True
            self._timers = self._timers.bind_sent(now)
        elif command_id == CommandId.ENQUIRE_LINK:
            self._timers = self._timers.probe_went_out(now)
        elif command_id == CommandId.UNBIND:
            self._state = SessionState.UNBOUND
            self._legal_for_us = legal_commands(SessionState.UNBOUND, self.role)
            self._timers = self._timers.unbinding(now)
        return sequence_number

    def _register(self, pdu: Pdu, context: object, now: float, *, counted: bool) -> int:
        sequence_number = self._window.register(pdu, context, now, counted=counted)
        try:
            self._output.append(encode(pdu))
        except EncodeError:
            self._window.settle(sequence_number)
            raise
        return sequence_number

    # --- receiving ---

    def receive(self, data: bytes, now: float) -> list[SessionEvent]:
        """Take what was read from the connection, at any split, and return what it means, in order."""
        events: list[SessionEvent] = []
        if self._framing_lost or self._state is SessionState.CLOSED:
            return events
        framing_error: FramingError | None = None
        try:
            frames = self._frames.feed(data)
        except FramingError as error:
            frames, framing_error = error.frames, error
        for frame in frames:
            self._on_frame(frame, now, events)
        if framing_error is not None:
            self._on_framing_lost(framing_error, events)
        self._timers = self._timers.received(now, message=bool(events))
        return events

    def _on_frame(self, frame: bytes, now: float, events: list[SessionEvent]) -> None:
        try:
            pdu = decode(frame)
        except DecodeError as error:
            self._refuse_undecodable(error, frame, events)
            return
        command_id = pdu.command_id
        if type(pdu) is UnknownPdu:  # cheaper than isinstance
            self._refuse_unknown(pdu, frame, events)
        elif command_id & RESPONSE_BIT:
            self._on_response(pdu, frame, now, events)
        elif command_id not in self._legal_for_peer:
            self._on_illegal_request(pdu, frame, now, events)
        elif command_id in _FOR_APPLICATION:
            self._to_answer += 1
            events.append(RequestReceived(pdu))
        else:
            self._on_session_request(pdu, now, events)

    def _on_session_request(self, pdu: Pdu, now: float, events: list[SessionEvent]) -> None:
        """Handle a legal request that is about the session, or has no response."""
        if isinstance(pdu, p.EnquireLink):
            self._answer(pdu, CommandStatus.ESME_ROK)
        elif isinstance(pdu, p.Unbind):
            self._on_unbind(pdu, now, events)
        elif isinstance(pdu, p.AlertNotification):
            events.append(AlertReceived(pdu))
        elif isinstance(pdu, p.Outbind):
            events.append(OutbindReceived(pdu))
        elif self._peer_bind is not None:
            self._answer(pdu, CommandStatus.ESME_RALYBND)
        else:
            self._peer_bind = pdu
            self._to_answer += 1
            events.append(RequestReceived(pdu))

    def _on_unbind(self, pdu: Pdu, now: float, events: list[SessionEvent]) -> None:
        self._answer(pdu, CommandStatus.ESME_ROK)
        if self._unbind_confirmed:
            return
        self._timers = self._timers.unbinding(now)
        self._end_by_unbind(by_peer=True, events=events)

    def _end_by_unbind(self, *, by_peer: bool, events: list[SessionEvent]) -> None:
        self._unbind_confirmed = True
        self._enter_for_both(SessionState.UNBOUND)
        events.append(Unbound(by_peer))

    def _on_illegal_request(self, pdu: Pdu, frame: bytes, now: float, events: list[SessionEvent]) -> None:
        """Refuse what Table 2-1 does not allow; only unbind is answered well in any state."""
        if isinstance(pdu, p.Unbind):
            self._on_unbind(pdu, now, events)
            return
        already_bound = pdu.command_id in STATE_AFTER_BIND and self._state.is_bound
        self._answer(pdu, CommandStatus.ESME_RALYBND if already_bound else CommandStatus.ESME_RINVBNDSTS)
        events.append(_violation(f"{command_name(pdu.command_id)} in {self._state.name}", frame))

    def _refuse_undecodable(self, error: DecodeError, frame: bytes, events: list[SessionEvent]) -> None:
        header = error.header
        self._answer(header, error.command_status_to_answer)
        events.append(_violation(str(error), frame))

    def _refuse_unknown(self, pdu: UnknownPdu, frame: bytes, events: list[SessionEvent]) -> None:
        if not pdu.command_id & RESPONSE_BIT:  # a response is never answered, or two peers could nack for ever
            self._nack(CommandStatus.ESME_RINVCMDID, pdu.sequence_number)
        events.append(_violation(f"unknown command_id {command_name(pdu.command_id)}", frame))

    def _on_framing_lost(self, error: FramingError, events: list[SessionEvent]) -> None:
        self._framing_lost = True
        self._nack(CommandStatus.ESME_RINVCMDLEN, 0)  # s4.3.1: no sequence_number where the PDU cannot be told
        self.close_reason = self.close_reason or f"framing lost: {error.reason}"
        events.append(_violation(error.reason, error.evidence))

    def _answer(self, request: Pdu | PduHeader, command_status: int) -> None:
        """Answer a request that the application never sees; alert_notification and outbind have no response."""
        response_type = type_of_response.get(request.command_id)
        if response_type is not None:
            response = response_type(command_status=command_status, sequence_number=request.sequence_number)
            self._output.append(encode(response))

    def _nack(self, command_status: int, sequence_number: int) -> None:
        self._output.append(encode(p.GenericNack(command_status=command_status, sequence_number=sequence_number)))

    # --- responses ---

    def _on_response(self, pdu: Pdu, frame: bytes, now: float, events: list[SessionEvent]) -> None:
        sequence_number = pdu.sequence_number
        pending = self._window.find(sequence_number)
        if pending is None or not _answers(pdu, pending.request):
            name, status = command_name(pdu.command_id), status_name(pdu.command_status)
            events.append(_violation(f"{name} ({status}) answers no request of ours", frame))
            return
        late = self._window.settle(sequence_number)
        if pending.counted or not self._on_session_response(pdu, pending, events):
            events.append(ResponseReceived(pdu, pending.request, pending.context, now - pending.sent_at, late))

    def _on_session_response(self, pdu: Pdu, pending: Pending, events: list[SessionEvent]) -> bool:
        """Handle the response to a request about the session; return False where the application should see it."""
        match pending.request:
            case p.EnquireLink():
                self._timers = self._timers.probe_answered()
                return pending.context is _PROBE
            case p.Unbind():
                if not self._unbind_confirmed:
                    self._end_by_unbind(by_peer=False, events=events)
                return True
            case p.BindTransmitter() | p.BindReceiver() | p.BindTransceiver():
                if self._state is SessionState.OPEN and not self.close_reason:
                    self._on_bind_response(pdu, pending.request, events)
                return True
        return False

    def _on_bind_response(self, pdu: Pdu, bind: Pdu, events: list[SessionEvent]) -> None:
        self._bind_pending = False
        if not isinstance(pdu, p.BindResp) or pdu.command_status != _ROK:
            events.append(BindFailed(pdu.command_status or CommandStatus.ESME_RBINDFAIL))
            return
        state = STATE_AFTER_BIND[bind.command_id]
        self._enter(state)
        events.append(Bound(state, pdu.system_id, tlv_int(pdu, Tag.SC_INTERFACE_VERSION)))

    # --- time and the end ---

    def tick(self, now: float) -> list[SessionEvent]:
        """Do what is due: time out requests, probe the peer, give up on it."""
        events: list[SessionEvent] = []
        for pending in self._window.expire(now):
            self._on_time_out(pending, events)
        action: TimerAction | None = None
        while action is not TimerAction.NONE:
            self._timers, action = self._timers.tick(now)
            self._on_timer(action, now)
        return events

    def next_deadline(self) -> float | None:
        """Return when `tick` is to be called next, None for never."""
        if self._state is SessionState.CLOSED:
            return None
        deadline = min(self._timers.next_deadline(), self._window.next_deadline())
        return None if deadline == inf else deadline

    def connection_lost(self, reason: str) -> list[SessionEvent]:
        """Take note that the connection is gone, for `reason` unless the session knows better; nothing happens after."""
        if self._state is SessionState.CLOSED:
            return []
        unanswered = [
            (pending.request, pending.context)
            for pending in self._window.drain()
            if pending.context is not _PROBE and not isinstance(pending.request, p.Unbind)
        ]
        self._enter_for_both(SessionState.CLOSED)
        self._output.clear()
        self._to_answer = 0
        return [SessionClosed(self.close_reason or ("unbound" if self._unbind_confirmed else reason), unanswered)]

    def _on_time_out(self, pending: Pending, events: list[SessionEvent]) -> None:
        request = pending.request
        if isinstance(request, p.EnquireLink):
            self._timers = self._timers.probe_answered()
        if isinstance(request, p.Bind):
            self.close_reason = self.close_reason or "no response to the bind"
        if pending.context is not _PROBE and not isinstance(request, p.Unbind):
            events.append(RequestTimedOut(request, pending.context))

    def _on_timer(self, action: TimerAction, now: float) -> None:
        match action:
            case TimerAction.NONE:
                pass
            case TimerAction.SEND_ENQUIRE_LINK:
                self._register(p.EnquireLink(), _PROBE, now, counted=False)
            case TimerAction.INACTIVE:
                self.unbind(now)
            case TimerAction.PEER_DEAD | TimerAction.NOT_BOUND | TimerAction.NOT_UNBOUND:
                self.close_reason = self.close_reason or _CLOSE_REASONS[action]
            case _:
                assert_never(action)

    def _enter(self, state: SessionState) -> None:
        """Become bound."""
        self._enter_for_both(state)
        self._timers = self._timers.bound()

    def _enter_for_both(self, state: SessionState) -> None:
        self._state = state
        self._legal_for_us = legal_commands(state, self.role)
        self._legal_for_peer = legal_commands(state, self.role.peer)


def _answers(response: Pdu, request: Pdu) -> bool:
    command_id = response.command_id
    return command_id == request.command_id | RESPONSE_BIT or command_id == CommandId.GENERIC_NACK


def _violation(reason: str, evidence: bytes) -> ProtocolViolation:
    """Keep the header alone as evidence: what follows may hold a text, a number or a password."""
    return ProtocolViolation(reason, evidence[:HEADER_LENGTH].hex())
