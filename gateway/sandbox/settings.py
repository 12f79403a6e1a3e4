"""How the sandbox's SMSC behaves, and what it counts."""

from dataclasses import dataclass
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
