"""What the sandbox does with a message, chosen by the last four digits of its destination. Pure.

`behaviour(destination)` is the whole interface: `gateway.sandbox.smsc` asks it once a message and acts it out. The numbers:

| last four digits | what happens |
| --- | --- |
| `000N` | accepted; a receipt with DLR code N; where N is not final (0, 1, 6) one with code 2 follows, so that every message ends |
| `1NNN` | refused with command_status NNN (decimal), e.g. `1088` ESME_RTHROTTLED; `1000` is accepted and delivered |
| `2001` | swallowed: no response, and the message is not taken |
| `2002` | taken, and its receipt comes (on the next bind), but the connection drops before the response |
| `2003` | the receipt comes before the response |
| `2004` | accepted; delivered without a receipt |
| `2005` | the same receipt twice |
| `2006` | delivered, then en route |
| `2007` | message_id in hex in the response, in decimal in the receipt |
| `2008` | receipt without optional parameters |
| `2009` | receipt with optional parameters alone |
| `2010` | receipt whose text ends at `err:`, without `text:` |
| `2011` | message_state says delivered, `stat:` says UNDELIV |
| `2012` | delivered, and a reply comes back |
| `2013` | delivered, and a reply of three parts comes back: third, first, second |
| `2014` | generic_nack with the request's sequence_number; not taken |
| `2015` | the response comes late (`SmscSettings.slow_response`, 5 s) |
| `2016` | accepted, then the SMSC unbinds |
| `2017` | accepted, then octets that are no PDU |
| others | accepted and delivered |

Only SMPP is meant here; the HTTP API and the web service of the sandbox read the same digits their own way.
"""

from enum import Enum, auto
from typing import NamedTuple

from gateway.provider.dlr import DlrCode, is_final
from gateway.smpp.constants import CommandStatus


class Reaction(Enum):
    """How a submit_sm is answered."""

    RESPOND = auto()
    RESPOND_LATE = auto()
    RECEIPT_FIRST = auto()  # what the message leads to goes out before the response
    SILENCE = auto()
    NACK = auto()
    DROP = auto()  # the message is taken, the connection is not


class Aftermath(Enum):
    """What befalls the session once the response is out."""

    NOTHING = auto()
    UNBIND = auto()
    GARBAGE = auto()


class ReceiptForm(Enum):
    """Where a receipt says what it says."""

    FULL = auto()  # text and optional parameters
    TEXT_ONLY = auto()
    TLV_ONLY = auto()
    WITHOUT_TEXT_FIELD = auto()  # the text ends at `err:`
    DISAGREEMENT = auto()  # the optional parameter is right, `stat:` says UNDELIV
    UNTOLD = auto()  # the state changes, and no receipt says so


class IdFormat(Enum):
    """How the response writes a message_id; receipts have it in decimal."""

    DECIMAL = auto()  # ten digits, zero-padded, the same in both
    HEX = auto()  # and the receipt's decimal is not padded


class PlannedReceipt(NamedTuple):
    """One receipt to come."""

    code: DlrCode
    form: ReceiptForm = ReceiptForm.FULL


class PlannedReply(NamedTuple):
    """One part of a reply to come."""

    text: str
    part: int = 1
    parts: int = 1


class Behaviour(NamedTuple):
    """All that becomes of one submit_sm; receipts, then replies, come in this order."""

    reaction: Reaction = Reaction.RESPOND
    command_status: int = CommandStatus.ESME_ROK
    receipts: tuple[PlannedReceipt, ...] = (PlannedReceipt(DlrCode.DELIVERED),)
    replies: tuple[PlannedReply, ...] = ()
    id_format: IdFormat = IdFormat.DECIMAL
    aftermath: Aftermath = Aftermath.NOTHING

    @property
    def takes(self) -> bool:
        """Tell whether the SMSC takes the message, whatever the ESME hears of it."""
        return self.command_status == CommandStatus.ESME_ROK and self.reaction not in _LEAVES


_LEAVES = frozenset({Reaction.SILENCE, Reaction.NACK})

ORDINARY = Behaviour()
"""Accepted and delivered."""

_DELIVERED = PlannedReceipt(DlrCode.DELIVERED)


def _ends_with(code: DlrCode) -> Behaviour:
    receipt = PlannedReceipt(code)
    return Behaviour(receipts=(receipt,) if is_final(code) else (receipt, _DELIVERED))


def _refused_with(command_status: int) -> Behaviour:
    return Behaviour(command_status=command_status, receipts=()) if command_status else ORDINARY


def _told_as(form: ReceiptForm) -> Behaviour:
    return Behaviour(receipts=(PlannedReceipt(DlrCode.DELIVERED, form),))


_PARTED_REPLY = (
    PlannedReply("terceira.", 3, 3),
    PlannedReply("Primeira parte, ", 1, 3),
    PlannedReply("segunda parte, ", 2, 3),
)

_SPECIAL = {
    "2001": Behaviour(Reaction.SILENCE, receipts=()),
    "2002": Behaviour(Reaction.DROP),
    "2003": Behaviour(Reaction.RECEIPT_FIRST),
    "2004": _told_as(ReceiptForm.UNTOLD),
    "2005": Behaviour(receipts=(_DELIVERED, _DELIVERED)),
    "2006": Behaviour(receipts=(_DELIVERED, PlannedReceipt(DlrCode.ENROUTE))),
    "2007": Behaviour(id_format=IdFormat.HEX),
    "2008": _told_as(ReceiptForm.TEXT_ONLY),
    "2009": _told_as(ReceiptForm.TLV_ONLY),
    "2010": _told_as(ReceiptForm.WITHOUT_TEXT_FIELD),
    "2011": _told_as(ReceiptForm.DISAGREEMENT),
    "2012": Behaviour(replies=(PlannedReply("Sim, pode confirmar. Até à vista!"),)),
    "2013": Behaviour(replies=_PARTED_REPLY),
    "2014": Behaviour(Reaction.NACK, receipts=()),
    "2015": Behaviour(Reaction.RESPOND_LATE),
    "2016": Behaviour(aftermath=Aftermath.UNBIND),
    "2017": Behaviour(aftermath=Aftermath.GARBAGE),
}

_MAGIC = (
    {f"{code:04d}": _ends_with(code) for code in DlrCode} | {f"1{status:03d}": _refused_with(status) for status in range(1000)} | _SPECIAL
)


def behaviour(destination: str) -> Behaviour:
    """Look up what becomes of a message to `destination`, by its last four digits."""
    return _MAGIC.get(destination[-4:], ORDINARY)
