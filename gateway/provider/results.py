"""What the provider's answers mean: every code of the manual by (function, code), with its class and a few words.

The same number means different things by function, so nothing here is keyed by a code alone: 83 is a kind that the account may not send by
HTTP, and a delimiter in the web service; 1 is success for a send, and for a cancel the news that it came too late. `RESULTS` is for codes
that answer a request, or one message of it; `STATUSES` for the state of a message, which the functions that ask for it write in a row.

The classes are what the carriers decide by; the wording of an answer never is. Codes that the manual lists for one function of sending are
known to every other one too. What is not listed is `UNKNOWN`: nobody knows what became of
the message.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import NamedTuple


class Function(StrEnum):
    """A function of the HTTP API or, from SEND_UNIQUE on, an operation of the web service. The value is its name on the wire."""

    SEND = "send"
    MULT = "mult"
    CACL = "cacl"
    CRDTF = "crdtf"
    CNNVL = "cnnvl"
    CNUS = "cnus"
    CADUS = "cadus"
    ALTUS = "altus"
    CRCTN = "crctn"
    CICT = "cict"
    CACT = "cact"
    OPER = "oper"
    STAT = "stat"
    STAM = "stam"
    RECV = "recv"
    SEND_UNIQUE = "sendUnique"
    SEND_MULTIPLE = "sendMultiple"
    INBOX = "inbox"
    STATUS = "status"
    CANCEL = "cancel"


class ResultClass(StrEnum):
    """What a code asks of us."""

    ACCEPTED = "accepted"
    UNDER_REVIEW = "under_review"  # accepted, and looked at by the antifraud first; perhaps without a protocol
    NOT_CONCLUDED = "not_concluded"  # nothing was done: again later
    BAD_REQUEST = "bad_request"  # the shape of our request: of a batch it says nothing about the messages
    BAD_MESSAGE = "bad_message"  # this message, by whatever way
    NOT_BY_THIS_CARRIER = "not_by_this_carrier"  # this message, this way
    BAD_ACCOUNT = "bad_account"
    NO_CREDITS = "no_credits"
    THEIR_FAULT = "their_fault"  # perhaps after the message was taken
    REFUSED = "refused"  # what was asked of the account cannot be done
    UNKNOWN = "unknown"  # no code of this function


class Result(NamedTuple):
    """A code's class, and what it says in a few words."""

    result_class: ResultClass
    description: str


class MessageStatus(IntEnum):
    """How far a message is at the provider: `cacl`, `stat`, `stam`, `status`, `cancel` and the status call-backs."""

    WAITING = 0
    SENT = 1
    ERROR = 2
    QUEUED = 3
    INVALID = 5
    ON_HOLD = 7
    CANCELLED = 9
    NOT_FOUND = 255


_C, _R = ResultClass, Result

_ACCOUNT: Mapping[int, Result] = {
    72: _R(_C.NOT_BY_THIS_CARRIER, "the integration user lacks the privilege"),
    73: _R(_C.BAD_ACCOUNT, "the client is invalid or disabled"),
    74: _R(_C.BAD_ACCOUNT, "the user is invalid or disabled"),
    93: _R(_C.BAD_ACCOUNT, "the user or the client is invalid or disabled"),
    98: _R(_C.BAD_ACCOUNT, "the user or the password is invalid"),
    99: _R(_C.BAD_ACCOUNT, "the client is invalid or was not found"),
}

_HTTP_SENDS: Mapping[int, Result] = {
    **_ACCOUNT,
    1: _R(_C.ACCEPTED, "accepted"),
    0: _R(_C.NOT_CONCLUDED, "not concluded, to be tried again"),
    61: _R(_C.UNDER_REVIEW, "accepted, under review by the antifraud"),
    76: _R(_C.NOT_BY_THIS_CARRIER, "a cost centre is required"),
    77: _R(_C.BAD_MESSAGE, "the number was invalidated by earlier delivery reports"),
    78: _R(_C.BAD_MESSAGE, "the number is registered with Procon"),
    79: _R(_C.BAD_MESSAGE, "the text is empty or invalid"),
    83: _R(_C.NOT_BY_THIS_CARRIER, "this kind of message is not permitted"),
    84: _R(_C.BAD_MESSAGE, "the text is too long"),
    85: _R(_C.BAD_REQUEST, "an inner delimiter was not expected"),
    86: _R(_C.BAD_REQUEST, "the layout was not expected"),
    87: _R(_C.BAD_REQUEST, "too few numbers"),
    88: _R(_C.BAD_REQUEST, "too many numbers"),
    89: _R(_C.BAD_MESSAGE, "the operator's prefix is invalid"),
    90: _R(_C.BAD_MESSAGE, "the number is on the blacklist"),
    91: _R(_C.BAD_MESSAGE, "the area code is invalid"),
    92: _R(_C.BAD_MESSAGE, "the prefix is invalid for the area code"),
    94: _R(_C.THEIR_FAULT, "the credits could not be updated"),
    95: _R(_C.BAD_MESSAGE, "the record is invalid"),
    96: _R(_C.BAD_MESSAGE, "the number has characters that are no digits"),
    97: _R(_C.NO_CREDITS, "not enough credits"),
}

_SOAP_SENDS: Mapping[int, Result] = {
    **_HTTP_SENDS,
    83: _R(_C.BAD_REQUEST, "an inner delimiter was not expected"),
    200: _R(_C.ACCEPTED, "sent and accepted by the gateway"),
    300: _R(_C.BAD_MESSAGE, "failed, or rejected by the gateway"),
}

# The manual lists two to ten codes a function; here each knows those of sending too. Of those that answer with statuses of messages 1 is
# none of success, nor is it where the code is an id.
_TAKEN = (1, 61, 200)
_WITHOUT_SUCCESS: Mapping[int, Result] = {code: each for code, each in _HTTP_SENDS.items() if code not in _TAKEN}
_QUERIES: Mapping[int, Result] = {**_WITHOUT_SUCCESS, 1: _R(_C.ACCEPTED, "done")}
# The web service may answer with a status alone, and 0 is one.
_SOAP_STATES: Mapping[int, Result] = {code: each for code, each in _SOAP_SENDS.items() if code not in (0, *_TAKEN)}

RESULTS: Mapping[Function, Mapping[int, Result]] = {
    Function.SEND: _HTTP_SENDS,
    Function.MULT: _HTTP_SENDS,
    Function.CACL: _WITHOUT_SUCCESS,
    Function.CRDTF: _QUERIES,
    Function.CNNVL: _QUERIES,
    Function.CNUS: _QUERIES,
    Function.CADUS: {
        **_QUERIES,
        -1: _R(_C.REFUSED, "the login exists already"),
        -2: _R(_C.REFUSED, "the login is invalid: only 0-9 A-Z a-z _ - . @"),
        -3: _R(_C.REFUSED, "there is no such level"),
        -4: _R(_C.REFUSED, "the name is invalid"),
        -5: _R(_C.REFUSED, "the provider failed to add the user"),
        -6: _R(_C.REFUSED, "the password is invalid"),
    },
    Function.ALTUS: {
        **_QUERIES,
        -1: _R(_C.REFUSED, "there is no such user"),
        -2: _R(_C.REFUSED, "there is no such level"),
        -3: _R(_C.REFUSED, "the state is neither active nor inactive"),
        -4: _R(_C.REFUSED, "the name is invalid"),
    },
    Function.CRCTN: _QUERIES,
    Function.CICT: {**_WITHOUT_SUCCESS, -1: _R(_C.REFUSED, "the cost centre exists already")},
    Function.CACT: _QUERIES,
    Function.OPER: _WITHOUT_SUCCESS,
    Function.STAT: _WITHOUT_SUCCESS,
    Function.STAM: _WITHOUT_SUCCESS,
    Function.RECV: _QUERIES,
    Function.SEND_UNIQUE: _SOAP_SENDS,
    Function.SEND_MULTIPLE: _SOAP_SENDS,
    Function.INBOX: _QUERIES,
    Function.STATUS: _SOAP_STATES,
    Function.CANCEL: _SOAP_STATES,
}

_S = MessageStatus
_HTTP_STATUSES = frozenset({_S.WAITING, _S.SENT, _S.ERROR, _S.QUEUED, _S.INVALID, _S.CANCELLED})

STATUSES: Mapping[Function, frozenset[MessageStatus]] = {
    Function.CACL: _HTTP_STATUSES | {_S.NOT_FOUND},
    Function.STAT: _HTTP_STATUSES,
    Function.STAM: _HTTP_STATUSES,
    Function.STATUS: _HTTP_STATUSES | {_S.ON_HOLD},
    Function.CANCEL: frozenset({_S.SENT, _S.ERROR, _S.INVALID, _S.CANCELLED}),
}

STATUS_WORDS: Mapping[str, MessageStatus] = {
    "AGUARDANDO ENVIO": _S.WAITING,
    "AGUARDANDO": _S.WAITING,
    "ENVIADO": _S.SENT,
    "ERRO": _S.ERROR,
    "EM FILA DE ENVIO": _S.QUEUED,
    "EM FILA": _S.QUEUED,
    "INVALIDO": _S.INVALID,
    "EM ESPERA": _S.ON_HOLD,
    "CANCELADO": _S.CANCELLED,
    "MENSAGEM NAO ENCONTRADA": _S.NOT_FOUND,
}

_BY_NUMBER = {int(status): status for status in MessageStatus}


def result(function: Function, code: int) -> Result:
    """Look a code up. One that the function does not know is of the class UNKNOWN."""
    return RESULTS[function].get(code) or Result(ResultClass.UNKNOWN, f"code {code}, which is none of {function.value}")


def describe(function: Function, code: int) -> str:
    """Say in a few words what a code means."""
    return result(function, code).description


def message_status(number: int | None) -> MessageStatus | None:
    """Return the status that a number stands for, of whichever function: they agree on their numbers."""
    return None if number is None else _BY_NUMBER.get(number)
