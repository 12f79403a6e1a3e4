"""What each command_status means for the message, the link or the account: one table, and the outcomes that follow from it. Pure.

`refusal_of` reads a refused submit_sm, whether that came as submit_sm_resp or as generic_nack; `cancel_outcome_of` the answer to a
cancel_sm; `bind_refusal_of` the answer to a bind. The table is complete for SMPP 3.4 s5.1.3 (a test walks the enum).

Decisions where the specification is silent:
- What the table does not know (0x400 to 0x4FF belongs to the SMSC's vendor, SMPP 5.0 added more) is temporary for the message: it was not
  taken, another try may do, and max_attempts bounds it.
- A refusal of the PDU itself (RINVCMDID, RINVCMDLEN) is permanent: the same message would make the same PDU.
- RSYSERR, RX_T_APPN and their like are the message's trouble when they come singly and the SMSC's when they come in a row; the carrier
  counts, the table only says that they are TEMPORARY.
- RCANCELFAIL is `too_late`: the SMSC knows the message (else RINVMSGID) and can no longer stop it.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple, assert_never

from gateway.message import CancelFailed, Cancelled, CancelOutcome, Deferred, Reason, Rejected, Scope
from gateway.smpp.constants import CommandStatus, status_name


class Effect(Enum):
    """How far a command_status reaches."""

    ACCEPTED = auto()
    PERMANENT = auto()  # for this message, here and by repetition
    TEMPORARY = auto()  # for this message: try it again later
    CONGESTED = auto()  # for the link: slow down, nothing is wrong with the message
    SESSION = auto()  # for the session: bind again
    ACCOUNT = auto()  # for the account: credentials, which a human must mend


class Meaning(NamedTuple):
    """One row of the table."""

    effect: Effect
    text: str


_S = CommandStatus
_TAKEN, _PERM, _TEMP = Effect.ACCEPTED, Effect.PERMANENT, Effect.TEMPORARY

TABLE: Mapping[int, Meaning] = {
    _S.ESME_ROK: Meaning(_TAKEN, "accepted"),
    _S.ESME_RINVMSGLEN: Meaning(_PERM, "the message's length is invalid"),
    _S.ESME_RINVCMDLEN: Meaning(_PERM, "the PDU's length is invalid"),
    _S.ESME_RINVCMDID: Meaning(_PERM, "the PDU's command is not known there"),
    _S.ESME_RINVBNDSTS: Meaning(Effect.SESSION, "the session is not bound for that"),
    _S.ESME_RALYBND: Meaning(Effect.SESSION, "already bound"),
    _S.ESME_RINVPRTFLG: Meaning(_PERM, "the priority is invalid"),
    _S.ESME_RINVREGDLVFLG: Meaning(_PERM, "the request for receipts is invalid"),
    _S.ESME_RSYSERR: Meaning(_TEMP, "system error"),
    _S.ESME_RINVSRCADR: Meaning(_PERM, "the source address is invalid"),
    _S.ESME_RINVDSTADR: Meaning(_PERM, "the destination address is invalid"),
    _S.ESME_RINVMSGID: Meaning(_PERM, "the message_id is invalid"),
    _S.ESME_RBINDFAIL: Meaning(Effect.ACCOUNT, "the bind failed"),
    _S.ESME_RINVPASWD: Meaning(Effect.ACCOUNT, "the password is invalid"),
    _S.ESME_RINVSYSID: Meaning(Effect.ACCOUNT, "the system_id is invalid"),
    _S.ESME_RCANCELFAIL: Meaning(_TEMP, "the cancel failed"),
    _S.ESME_RREPLACEFAIL: Meaning(_TEMP, "the replacement failed"),
    _S.ESME_RMSGQFUL: Meaning(Effect.CONGESTED, "the message queue is full"),
    _S.ESME_RINVSERTYP: Meaning(_PERM, "the service type is invalid"),
    _S.ESME_RINVNUMDESTS: Meaning(_PERM, "the number of destinations is invalid"),
    _S.ESME_RINVDLNAME: Meaning(_PERM, "the distribution list is invalid"),
    _S.ESME_RINVDESTFLAG: Meaning(_PERM, "the destination flag is invalid"),
    _S.ESME_RINVSUBREP: Meaning(_PERM, "submit with replace is invalid"),
    _S.ESME_RINVESMCLASS: Meaning(_PERM, "the esm_class is invalid"),
    _S.ESME_RCNTSUBDL: Meaning(_PERM, "cannot submit to the distribution list"),
    _S.ESME_RSUBMITFAIL: Meaning(_TEMP, "the submit failed"),
    _S.ESME_RINVSRCTON: Meaning(_PERM, "the source TON is invalid"),
    _S.ESME_RINVSRCNPI: Meaning(_PERM, "the source NPI is invalid"),
    _S.ESME_RINVDSTTON: Meaning(_PERM, "the destination TON is invalid"),
    _S.ESME_RINVDSTNPI: Meaning(_PERM, "the destination NPI is invalid"),
    _S.ESME_RINVSYSTYP: Meaning(Effect.ACCOUNT, "the system_type is invalid"),
    _S.ESME_RINVREPFLAG: Meaning(_PERM, "the replace_if_present flag is invalid"),
    _S.ESME_RINVNUMMSGS: Meaning(_PERM, "the number of messages is invalid"),
    _S.ESME_RTHROTTLED: Meaning(Effect.CONGESTED, "throttled: more than the account's rate"),
    _S.ESME_RINVSCHED: Meaning(_PERM, "the schedule is invalid"),
    _S.ESME_RINVEXPIRY: Meaning(_PERM, "the validity period is invalid"),
    _S.ESME_RINVDFTMSGID: Meaning(_PERM, "the predefined message is invalid or missing"),
    _S.ESME_RX_T_APPN: Meaning(_TEMP, "temporary error of the receiving application"),
    _S.ESME_RX_P_APPN: Meaning(_PERM, "permanent error of the receiving application"),
    _S.ESME_RX_R_APPN: Meaning(_PERM, "refused by the receiving application"),
    _S.ESME_RQUERYFAIL: Meaning(_TEMP, "the query failed"),
    _S.ESME_RINVOPTPARSTREAM: Meaning(_PERM, "the optional parameters are broken"),
    _S.ESME_ROPTPARNOTALLWD: Meaning(_PERM, "an optional parameter is not allowed"),
    _S.ESME_RINVPARLEN: Meaning(_PERM, "a parameter's length is invalid"),
    _S.ESME_RMISSINGOPTPARAM: Meaning(_PERM, "an optional parameter is missing"),
    _S.ESME_RINVOPTPARAMVAL: Meaning(_PERM, "an optional parameter's value is invalid"),
    _S.ESME_RDELIVERYFAILURE: Meaning(_TEMP, "the delivery failed"),
    _S.ESME_RUNKNOWNERR: Meaning(_TEMP, "unknown error"),
}

_VENDOR = Meaning(_TEMP, "an error of the SMSC's vendor")
_UNKNOWN = Meaning(_TEMP, "a status that SMPP 3.4 does not define")
_VENDOR_RANGE = range(0x400, 0x500)


def meaning_of(command_status: int) -> Meaning:
    """Look a command_status up; every number has a meaning. SMPP 3.4 s5.1.3"""
    known = TABLE.get(command_status)
    if known is not None:
        return known
    return _VENDOR if command_status in _VENDOR_RANGE else _UNKNOWN


def detail_of(command_status: int) -> str:
    """Say a command_status by name and in words: "ESME_RTHROTTLED: throttled: more than the account's rate"."""
    return f"{status_name(command_status)}: {meaning_of(command_status).text}"


def refusal_of(command_status: int, *, pause: float) -> Rejected | Deferred:
    """Turn a refused submit_sm into its outcome; `pause` seconds is how long the link rests where that is the cause."""
    detail = detail_of(command_status)
    effect = meaning_of(command_status).effect
    match effect:
        case Effect.PERMANENT:
            return Rejected(Reason.REFUSED_BY_PROVIDER, detail, command_status)
        case Effect.TEMPORARY | Effect.ACCEPTED:
            return Deferred(detail, Scope.MESSAGE, None, command_status)
        case Effect.CONGESTED | Effect.SESSION | Effect.ACCOUNT:
            return Deferred(detail, Scope.CARRIER, pause, command_status)
        case _:
            assert_never(effect)


def cancel_outcome_of(command_status: int) -> CancelOutcome:
    """Turn the answer to a cancel_sm into its outcome. SMPP 3.4 s4.9.2"""
    match command_status:
        case CommandStatus.ESME_ROK:
            return Cancelled()
        case CommandStatus.ESME_RINVMSGID:
            return CancelFailed("not_found")
        case CommandStatus.ESME_RCANCELFAIL:
            return CancelFailed("too_late")
        case _:
            return CancelFailed("refused")


class BindRefusal(Enum):
    """Why the SMSC refused a bind, by what to do about it."""

    CREDENTIALS = auto()  # wait long: hammering locks the account
    ALREADY_BOUND = auto()  # wait until the SMSC has noticed that the old session is dead
    OTHER = auto()


def bind_refusal_of(command_status: int) -> BindRefusal:
    """Classify the command_status of a refused bind."""
    if command_status == CommandStatus.ESME_RALYBND:
        return BindRefusal.ALREADY_BOUND
    return BindRefusal.CREDENTIALS if meaning_of(command_status).effect is Effect.ACCOUNT else BindRefusal.OTHER
