"""Who may send which PDU in which state of a session: SMPP 3.4 Table 2-1 (s2.3), as data.

`LEGAL` holds (state, role of the sender, command_id); what is not in it is illegal. It is the specification's table with
four additions, each of which real peers need:

- enquire_link, its response and generic_nack are legal in every open state (SMSCs probe before the bind).
- unbind is legal in OPEN, so that a session which never bound can be ended in order.
- replace_sm is legal for a transceiver (the table names BOUND_TX alone; s4.1.5 gives a transceiver both sets).
- UNBOUND, not in the table: after an unbind went out nothing new may be asked, what is in flight may be answered.
"""

from enum import Enum, auto
from functools import cache
from typing import Final

from gateway.smpp.constants import CommandId

_C = CommandId


class Role(Enum):
    """Tell which end of the session is meant. SMPP 3.4 s1.2."""

    ESME = auto()
    SMSC = auto()

    @property
    def peer(self) -> "Role":
        """Name the other end."""
        return Role.SMSC if self is Role.ESME else Role.ESME


class SessionState(Enum):
    """Name the states of a session. SMPP 3.4 s2.2, and UNBOUND: unbind went out, the connection still stands."""

    CLOSED = auto()
    OPEN = auto()
    BOUND_TX = auto()
    BOUND_RX = auto()
    BOUND_TRX = auto()
    UNBOUND = auto()

    @property
    def is_bound(self) -> bool:
        """Tell whether messages may pass."""
        return self in _BOUND


_BOUND: Final = frozenset({SessionState.BOUND_TX, SessionState.BOUND_RX, SessionState.BOUND_TRX})

STATE_AFTER_BIND: Final[dict[int, SessionState]] = {
    _C.BIND_TRANSMITTER: SessionState.BOUND_TX,
    _C.BIND_RECEIVER: SessionState.BOUND_RX,
    _C.BIND_TRANSCEIVER: SessionState.BOUND_TRX,
}
"""The state that each bind leads to when it succeeds."""

_ALWAYS: Final = frozenset({_C.ENQUIRE_LINK, _C.ENQUIRE_LINK_RESP, _C.GENERIC_NACK})
_EITHER_BOUND: Final = _ALWAYS | {_C.UNBIND, _C.UNBIND_RESP, _C.DATA_SM, _C.DATA_SM_RESP}

_SUBMITS: Final = frozenset({_C.SUBMIT_SM, _C.SUBMIT_MULTI, _C.QUERY_SM, _C.CANCEL_SM, _C.REPLACE_SM})
_SUBMIT_RESPS: Final = frozenset({_C.SUBMIT_SM_RESP, _C.SUBMIT_MULTI_RESP, _C.QUERY_SM_RESP, _C.CANCEL_SM_RESP, _C.REPLACE_SM_RESP})
_DELIVERS: Final = frozenset({_C.DELIVER_SM, _C.ALERT_NOTIFICATION})
_DELIVER_RESPS: Final = frozenset({_C.DELIVER_SM_RESP})
_BINDS: Final = frozenset({_C.BIND_TRANSMITTER, _C.BIND_RECEIVER, _C.BIND_TRANSCEIVER})
_BIND_RESPS: Final = frozenset({_C.BIND_TRANSMITTER_RESP, _C.BIND_RECEIVER_RESP, _C.BIND_TRANSCEIVER_RESP})
_UNBINDS: Final = frozenset({_C.UNBIND, _C.UNBIND_RESP})

_TABLE_2_1: Final[dict[tuple[SessionState, Role], frozenset[CommandId]]] = {
    (SessionState.OPEN, Role.ESME): _ALWAYS | _UNBINDS | _BINDS,
    (SessionState.OPEN, Role.SMSC): _ALWAYS | _UNBINDS | _BIND_RESPS | {_C.OUTBIND},
    (SessionState.BOUND_TX, Role.ESME): _EITHER_BOUND | _SUBMITS,
    (SessionState.BOUND_TX, Role.SMSC): _EITHER_BOUND | _SUBMIT_RESPS,
    (SessionState.BOUND_RX, Role.ESME): _EITHER_BOUND | _DELIVER_RESPS,
    (SessionState.BOUND_RX, Role.SMSC): _EITHER_BOUND | _DELIVERS,
    (SessionState.BOUND_TRX, Role.ESME): _EITHER_BOUND | _SUBMITS | _DELIVER_RESPS,
    (SessionState.BOUND_TRX, Role.SMSC): _EITHER_BOUND | _SUBMIT_RESPS | _DELIVERS,
    (SessionState.UNBOUND, Role.ESME): _ALWAYS | {_C.UNBIND_RESP, _C.DATA_SM_RESP} | _DELIVER_RESPS,
    (SessionState.UNBOUND, Role.SMSC): _ALWAYS | {_C.UNBIND_RESP, _C.DATA_SM_RESP} | _SUBMIT_RESPS,
}

LEGAL: Final[frozenset[tuple[SessionState, Role, CommandId]]] = frozenset(
    (state, sender, command_id) for (state, sender), commands in _TABLE_2_1.items() for command_id in commands
)
"""Every PDU that may be sent: (state, role of the sender, command_id)."""


@cache
def legal_commands(state: SessionState, sender: Role) -> frozenset[int]:
    """Return the command_ids that `sender` may send in `state`: the row of `LEGAL`."""
    return frozenset(int(command_id) for s, role, command_id in LEGAL if s is state and role is sender)
