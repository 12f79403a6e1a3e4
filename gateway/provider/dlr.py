"""The provider's DLR table, 0 to 9: what a delivery receipt says, where it says it, and which of two receipts counts.

The manual gives the codes and their meaning but not where in a deliver_sm they travel, so `dlr_code` looks in the `message_state` TLV, then
for a mnemonic in `stat:`, then for a digit there. `carriers.smpp_inbound` calls it with what `gateway.smpp.receipt` found.

The table is for SMPP receipts only: the same numbers mean other things in the HTTP call-backs.

That 2, 3, 4, 5, 7, 8 and 9 are final is our reading; the manual does not say. Codes 0 and 9 are message states of SMPP 5.0, the others also
of SMPP 3.4 s5.2.28.
"""

from enum import IntEnum
from typing import NamedTuple


class DlrCode(IntEnum):
    """The manual's DLR code; the values are those of the `message_state` TLV. SMPP 3.4 s5.2.28, SMPP 5.0 s4.7.15"""

    SCHEDULED = 0
    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8
    SKIPPED = 9


class DlrReading(NamedTuple):
    """What a receipt says: None where nothing in it is known; `disagreement` where TLV and text name different codes."""

    code: DlrCode | None
    disagreement: bool


_STATE_NAMES = {code: code.name.lower() for code in DlrCode}

_DESCRIPTIONS = {
    DlrCode.SCHEDULED: "held by the provider until its scheduled time",
    DlrCode.ENROUTE: "on its way to the handset",
    DlrCode.DELIVERED: "delivered",
    DlrCode.EXPIRED: "not delivered before its validity ended",
    DlrCode.DELETED: "deleted before delivery",
    DlrCode.UNDELIVERABLE: "cannot be delivered, for instance because the number does not exist",
    DlrCode.ACCEPTED: "accepted, delivery will be tried",
    DlrCode.UNKNOWN: "failed for an unknown cause",
    DlrCode.REJECTED: "rejected",
    DlrCode.SKIPPED: "skipped by the provider",
}

_FINAL = frozenset(DlrCode) - {DlrCode.SCHEDULED, DlrCode.ENROUTE, DlrCode.ACCEPTED}
_BETTER_THAN_UNKNOWN = frozenset({DlrCode.DELIVERED, DlrCode.EXPIRED, DlrCode.UNDELIVERABLE, DlrCode.REJECTED})

_BY_STATE = dict(zip(map(int, DlrCode), DlrCode, strict=True))

# The words in full, then those of SMPP 3.4 Appendix B, then what other SMSCs are known to write, then the digit itself.
_BY_STAT = (
    {code.name: code for code in DlrCode}
    | {
        "DELIVRD": DlrCode.DELIVERED,
        "UNDELIV": DlrCode.UNDELIVERABLE,
        "ACCEPTD": DlrCode.ACCEPTED,
        "REJECTD": DlrCode.REJECTED,
    }
    | {
        "FAILED": DlrCode.UNDELIVERABLE,
        "ACKED": DlrCode.ACCEPTED,
        "BUFFRED": DlrCode.ENROUTE,
        "BUFFERD": DlrCode.ENROUTE,
    }
    | {f"{code:0{width}d}": code for code in DlrCode for width in (1, 2, 3)}
)


def state_name(code: DlrCode) -> str:
    """Name a code as the `state` of a `receipt` event."""
    return _STATE_NAMES[code]


def description(code: DlrCode) -> str:
    """Say in a few words what a code means."""
    return _DESCRIPTIONS[code]


def is_final(code: DlrCode) -> bool:
    """Tell whether nothing is expected to follow a code."""
    return code in _FINAL


def dlr_code(tlv_state: int | None, stat: str | None) -> DlrReading:
    """Read a receipt's code from its `message_state` TLV and its `stat:` word, either of which may be missing.

    The TLV goes first. A word may be in any letter case and padded; the digit may have leading zeros. A value or a word that is not known
    counts as missing, never as a failure and never as a disagreement.
    """
    from_tlv = None if tlv_state is None else _BY_STATE.get(tlv_state)
    from_text = None if stat is None else _BY_STAT.get(stat.strip().upper())
    if from_tlv is None:
        return DlrReading(from_text, False)
    return DlrReading(from_tlv, from_text is not None and from_text != from_tlv)


def supersedes(old: DlrCode | None, new: DlrCode) -> bool:
    """Tell whether a new code replaces the one on record.

    A final code stays, but UNKNOWN yields to DELIVERED, EXPIRED, UNDELIVERABLE and REJECTED. Anything replaces a code that is not final,
    except its own repetition.
    """
    if old == DlrCode.UNKNOWN:
        return new in _BETTER_THAN_UNKNOWN
    return old not in _FINAL and new != old
