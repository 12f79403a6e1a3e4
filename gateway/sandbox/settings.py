"""How the sandbox's SMSC, HTTP API, web service and call-backs behave, and what they count."""

from dataclasses import dataclass
from enum import Enum, IntEnum
from pathlib import Path
from typing import Literal

ReplyWay = Literal["udh", "udh16", "sar"]
"""How the parts of a reply are marked: a user data header with an 8-bit or a 16-bit reference, or sar_ parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmscSettings:
    """Say how the SMSC behaves; times in seconds."""

    host: str = "127.0.0.1"
    port: int = 0  # 0 = any free one
    system_id: str = ""  # the only one to accept; "" = any
    password: str = ""  # likewise
    max_binds: int = 64  # sessions of one system_id
    window: int = 1000  # unanswered messages of one session
    max_rate: float = 0.0  # messages a second over all sessions, with a second's worth of burst; 0 = no limit
    response_delay: float = 0.0
    slow_response: float = 5.0  # of the magic number 2015
    receipt_delay: float = 0.05  # before the first receipt, and between those of one message
    receipt_spread: float = 0.0  # a random time up to this is added
    max_unacked_receipts: int = 1000  # unanswered deliver_sm of one session
    reply_way: ReplyWay = "udh"
    deliver_timeout: float = 30.0
    retry_delay: float = 1.0
    max_tries: int = 100
    backlog: int = 200_000  # deliver_sm that wait for a session, of one system_id
    remember: int = 100_000  # messages that query_sm and cancel_sm know
    enquire_link_interval: float = 30.0
    ledger_path: Path | None = None
    keep_messages: bool = False  # in `Smsc.taken`


@dataclass(slots=True)
class Statistics:
    """Count what happened."""

    binds: int = 0
    binds_refused: int = 0
    taken: int = 0
    refused: int = 0
    throttled: int = 0
    delivered: int = 0  # deliver_sm answered with ESME_ROK
    repeated: int = 0  # deliver_sm that were to be sent again
    dropped: int = 0  # deliver_sm given up


class MultForm(Enum):
    """How a batch is answered; the manual does not show it."""

    ECHO = "echo"  # code;md5;number;id, a line a message
    ORDER = "order"  # code;md5, a line a message, in the order of the request
    SHUFFLED = "shuffled"  # as ECHO, last first
    FEWER = "fewer"  # as ORDER, without the last line


class Distribution(IntEnum):
    """To whom credits are dealt out; the values are the manual's."""

    GENERAL = 0
    USER = 1
    COST_CENTRE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Say how the HTTP API, the web service and the call-backs behave; times in seconds."""

    host: str = "127.0.0.1"
    http_port: int | None = 0  # None = not served, 0 = any free one
    webservice_port: int | None = 0  # the same number as `http_port` (and not 0) = one listener for both
    user: str = ""  # the only one to accept; "" = any, and one that ends in 3NNN is answered by code NNN
    namespace: str = "http://tempuri.org/"
    inbox_name: str = "inbox"  # of the web service's method: the manual writes inBox too
    out_of_date: bool = True  # stat, stam, recv, status, inbox answer OUT-OF-DATE; False = as before 2020-02-29
    mult_form: MultForm = MultForm.ECHO
    explain: bool = False  # a refusal is `code;text`, not the code alone
    webservice_success: int = 1  # or 200, which comes without a protocol
    post_paid: bool = False  # credits never run out
    distribution: Distribution = Distribution.GENERAL
    credits: tuple[int, int, int] = (1_000_000, 1_000_000, 1_000_000)  # long code, flash, short code: of each account
    first_centre: int = 622  # id of the first cost centre: a new one's id is the `code` of its answer
    centre_required: bool = False  # a message without a cost centre is answered by 76
    answer_delay: float = 0.0
    slow_answer: float = 5.0  # of the magic number 2015
    silence: float = 600.0  # of 2001: the longest that a request is left open
    max_url_bytes: int = 65536
    sending_delay: float = 0.05  # that a message waits, and can be cancelled, before its first call-back
    step_delay: float = 0.05  # between the call-backs of one message
    sending_spread: float = 0.0  # a random time up to this is added
    callback_url: str = ""  # "" = no call-backs
    reply_url: str = ""  # "" = the same
    callback_timeout: float = 10.0
    callback_tries: int = 1  # the manual promises no repetition
    callback_retry_delay: float = 1.0
    callback_connections: int = 20
    callback_backlog: int = 100_000  # call-backs that wait for a connection
    uuid_always: bool = False  # ids of `mult` and of the web service come back too; the manual says so of `send` alone
    remember: int = 100_000  # messages, and replies
    ledger_path: Path | None = None
    keep_messages: bool = False  # in the ledger's `entries`


@dataclass(slots=True)
class WebStatistics:
    """Count what happened."""

    requests: int = 0
    taken: int = 0
    refused: int = 0  # messages answered by a code that takes none
    called_back: int = 0  # call-backs answered by 200
    repeated: int = 0  # call-backs that were to be sent again
    dropped: int = 0  # call-backs given up
