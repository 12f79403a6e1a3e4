"""What the sandbox does with a message, chosen by the last four digits of its destination. Pure.

`behaviour(destination)` is for SMPP: `gateway.sandbox.smsc` asks it once a message and acts it out. `web_behaviour(destination)` is for the
HTTP API and the web service, `gateway.sandbox.httpapi` and `gateway.sandbox.webservice`. The numbers:

| last four digits | by SMPP | by the HTTP API and the web service |
| --- | --- | --- |
| `0000` | receipt 0 (scheduled), then 2 | call-backs: status 0 (waiting), status 1, DLR 2 |
| `0001` | receipt 1 (en route), then 2 | status 1 (sent), DLR 2 |
| `0002` | receipt 2 (delivered) | DLR 2 (delivered and confirmed) |
| `0003` | receipt 3 (expired) | status 3 (queued), status 1, DLR 2 |
| `0004` | receipt 4 (deleted) | status 9 (cancelled) |
| `0005` | receipt 5 (undeliverable) | status 2 (error) |
| `0006` | receipt 6 (accepted), then 2 | status 1, DLR 5 (delivered, not confirmed) |
| `0007` | receipt 7 (unknown) | status 7 (on hold), status 1, DLR 2 |
| `0008` | receipt 8 (rejected) | status 5 (invalid) |
| `0009` | receipt 9 (skipped) | status 1, DLR 8 (delivered, not confirmed) |
| `1NNN` | refused with command_status NNN (decimal), e.g. `1088` ESME_RTHROTTLED; `1000` is delivered | as any other |
| `2001` | swallowed: no response, and the message is not taken | likewise: the request is left open |
| `2002` | taken, and its receipt comes (on the next bind), but the connection drops before the response | taken, but the same |
| `2003` | the receipt comes before the response | the call-backs come before the answer |
| `2004` | accepted; delivered without a receipt | without a call-back |
| `2005` | the same receipt twice | each call-back twice |
| `2006` | delivered, then en route | DLR 2, then status 1 |
| `2007` | message_id in hex in the response, in decimal in the receipt | as any other |
| `2008` | receipt without optional parameters | as any other |
| `2009` | receipt with optional parameters alone | as any other |
| `2010` | receipt whose text ends at `err:`, without `text:` | as any other |
| `2011` | message_state says delivered, `stat:` says UNDELIV | as any other |
| `2012` | delivered, and a reply comes back | likewise |
| `2013` | delivered, and a reply of three parts comes back: third, first, second | a reply as long, in one call-back |
| `2014` | generic_nack with the request's sequence_number; not taken | HTTP 500, from the web service with a SOAP fault; not taken |
| `2015` | the response comes late (`slow_response`, 5 s) | likewise the answer (`slow_answer`) |
| `2016` | accepted, then the SMSC unbinds | accepted, then the connection is closed in good order |
| `2017` | accepted, then octets that are no PDU | taken, but the answer is a page of HTML |
| `2018` | as any other | HTTP 302 to another place; not taken |
| `2019` | as any other | taken, but half a batch is answered; the answer to a single message is empty |
| `2020` | as any other | taken, but the answer breaks off in its middle |
| `2021` | as any other | status 1, DLR 5, DLR 2: confirmed after all |
| `2022` | as any other | status 1, DLR 4, which the manual does not know, then DLR 2 |
| `2023` | as any other | status 1 and DLR 2 without `type` |
| `2024` | as any other | status 1 and DLR 2 with 55 before the number |
| `3NNN` | as any other | answered by code NNN, e.g. `3097` no credits |
| others | accepted and delivered | status 1, DLR 2 |

So the same number comes to the same end by each way, as far as the provider's call-backs can tell it. Of the codes, 1, 61 (under review),
94 (their fault, after inclusion) and the web service's 200 take the message, and its call-backs come; all others refuse it. 85 to 88, and
83 of the web service, concern the whole request; any other code one message. In a batch the first message whose number breaks the answer
(`2001`, `2002`, `2014` to `2020`) breaks it for all.
"""

from enum import Enum, IntEnum, auto
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


def table() -> list[list[str]]:
    """Return the numbers as they stand above, for people: a row each, the heads first."""
    lines = [line.strip("|").replace("`", "") for line in (__doc__ or "").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.split(" | ")] for line in lines if not line.startswith(" ---")]


def behaviour(destination: str) -> Behaviour:
    """Look up what becomes of a message to `destination`, by its last four digits."""
    return _MAGIC.get(destination[-4:], ORDINARY)


# --- The HTTP API and the web service ---------------------------------------------------------------------------------------------


class WebReaction(Enum):
    """How a request is answered."""

    ANSWER = auto()
    CALL_BACK_FIRST = auto()  # what the message leads to is told before the answer
    SILENCE = auto()
    DROP = auto()  # taken, but the connection is cut
    ERROR = auto()
    SLOW = auto()
    CLOSE = auto()  # the answer, then the end of the connection
    HTML = auto()
    REDIRECT = auto()
    HALF = auto()
    CUT = auto()  # the answer breaks off


class CallbackType(IntEnum):
    """The `type` of a call-back."""

    REPLY = 1
    STATUS = 2
    DLR = 3


class PlannedCallback(NamedTuple):
    """One call-back about a message to come."""

    type: CallbackType
    code: int
    told: bool = True  # False: it happens, and no call-back says so


class WebBehaviour(NamedTuple):
    """All that becomes of one message; call-backs, then replies, come in this order."""

    reaction: WebReaction = WebReaction.ANSWER
    code: int | None = None  # None = accepted, in the way of the function
    callbacks: tuple[PlannedCallback, ...] = ()
    replies: tuple[str, ...] = ()
    typed: bool = True  # call-backs say their `type`
    country_code: bool = False  # and have it before the number

    @property
    def takes(self) -> bool:
        """Tell whether the provider takes the message, whatever its customer hears of it."""
        return (self.code is None or self.code in _TAKING) and self.reaction not in _WEB_LEAVES


_TAKING = frozenset({1, 61, 94, 200})
_WEB_LEAVES = frozenset({WebReaction.SILENCE, WebReaction.ERROR, WebReaction.REDIRECT})


def _status(code: int) -> PlannedCallback:
    return PlannedCallback(CallbackType.STATUS, code)


def _dlr(code: int) -> PlannedCallback:
    return PlannedCallback(CallbackType.DLR, code)


_ON_ITS_WAY = (_status(1), _dlr(2))

WEB_ORDINARY = WebBehaviour(callbacks=_ON_ITS_WAY)
"""Accepted, sent and delivered with confirmation."""


def _answered_with(code: int) -> WebBehaviour:
    return WebBehaviour(code=code, callbacks=_ON_ITS_WAY if code in _TAKING else ())


def _answered_by(reaction: WebReaction) -> WebBehaviour:
    return WebBehaviour(reaction, callbacks=() if reaction in _WEB_LEAVES else _ON_ITS_WAY)


def _called_back(*callbacks: PlannedCallback) -> WebBehaviour:
    return WebBehaviour(callbacks=callbacks)


_WEB_SPECIAL = {
    "0000": _called_back(_status(0), *_ON_ITS_WAY),
    "0001": WEB_ORDINARY,
    "0002": _called_back(_dlr(2)),
    "0003": _called_back(_status(3), *_ON_ITS_WAY),
    "0004": _called_back(_status(9)),
    "0005": _called_back(_status(2)),
    "0006": _called_back(_status(1), _dlr(5)),
    "0007": _called_back(_status(7), *_ON_ITS_WAY),
    "0008": _called_back(_status(5)),
    "0009": _called_back(_status(1), _dlr(8)),
    "2001": _answered_by(WebReaction.SILENCE),
    "2002": _answered_by(WebReaction.DROP),
    "2003": _answered_by(WebReaction.CALL_BACK_FIRST),
    "2004": _called_back(PlannedCallback(CallbackType.STATUS, 1, told=False)),
    "2005": _called_back(_status(1), _status(1), _dlr(2), _dlr(2)),
    "2006": _called_back(_dlr(2), _status(1)),
    "2012": WebBehaviour(callbacks=_ON_ITS_WAY, replies=("Sim, pode confirmar. Até à vista!",)),
    "2013": WebBehaviour(
        callbacks=_ON_ITS_WAY, replies=("".join(part.text for part in sorted(_PARTED_REPLY, key=lambda each: each.part)),)
    ),
    "2014": _answered_by(WebReaction.ERROR),
    "2015": _answered_by(WebReaction.SLOW),
    "2016": _answered_by(WebReaction.CLOSE),
    "2017": _answered_by(WebReaction.HTML),
    "2018": _answered_by(WebReaction.REDIRECT),
    "2019": _answered_by(WebReaction.HALF),
    "2020": _answered_by(WebReaction.CUT),
    "2021": _called_back(_status(1), _dlr(5), _dlr(2)),
    "2022": _called_back(_status(1), _dlr(4), _dlr(2)),
    "2023": WebBehaviour(callbacks=_ON_ITS_WAY, typed=False),
    "2024": WebBehaviour(callbacks=_ON_ITS_WAY, country_code=True),
}

_WEB_MAGIC = {f"3{code:03d}": _answered_with(code) for code in range(1000)} | _WEB_SPECIAL


def web_behaviour(destination: str) -> WebBehaviour:
    """Look up what becomes of a message to `destination` by the HTTP API or the web service, by its last four digits."""
    return _WEB_MAGIC.get(destination[-4:], WEB_ORDINARY)
