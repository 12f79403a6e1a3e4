"""What a call-back says, read for the stages: a query becomes a Receipt or a Reply. Pure; never raises.

What the parameters mean is `provider.callbacks`'s. Neither a receipt nor a reply names a carrier: the account is one, and the journal knows
by which carrier the message went. What the manual does not describe (no `type`, a type that is not known, no status) is a receipt of
nothing: it has neither id nor number, so that it matches no message by chance, and is parked with all that it said in `raw`. A call-back
that says nothing at all, as somebody sends who tries the URL, is no item.
"""

from typing import NamedTuple
from zoneinfo import ZoneInfo

from gateway.message import Receipt, Reply
from gateway.msisdn import InvalidNumberError, parse
from gateway.provider.callbacks import DlrCallback, ReplyCallback, StatusCallback, read


class Reading(NamedTuple):
    """A call-back, read: `kind` and `valid` as metrics name it; `item` is what the journal keeps, if anything."""

    kind: str
    item: Receipt | Reply | None
    valid: bool = True


class CallbackReader:
    """Read the queries of one account's call-backs."""

    def __init__(self, time_zone: ZoneInfo) -> None:
        self._time_zone = time_zone

    def read(self, query: bytes, now: float) -> Reading:
        """Return what a query says; `now` is wall time."""
        callback = read(query, self._time_zone)
        if isinstance(callback, ReplyCallback):
            named = callback.phone or callback.text or callback.protocol or callback.uuid
            return Reading("reply", _reply(callback, now)) if named else Reading("other", None, False)
        if isinstance(callback, StatusCallback | DlrCallback) and callback.number is not None:
            return Reading("status" if isinstance(callback, StatusCallback) else "dlr", _receipt(callback, now))
        said = callback.phone or callback.protocol or callback.uuid or callback.number is not None
        return Reading("other", _parked(callback.raw, now) if said else None, False)


def _receipt(callback: StatusCallback | DlrCallback, now: float) -> Receipt:
    code, final, confirmed = callback.meaning
    return Receipt(
        carrier="",
        message_id=callback.protocol,
        code=None if code is None else int(code),
        final=final,
        to="".join(filter(str.isdigit, callback.phone)),
        surrogate=callback.surrogate,
        confirmed=confirmed,
        error_code=None if code is not None else str(callback.number),
        done_at=callback.at,
        received_at=now,
        raw=callback.raw,
    )


def _reply(callback: ReplyCallback, now: float) -> Reply:
    return Reply(
        carrier="",
        sender=_national(callback.phone),
        to=None,
        text=callback.text,
        encoding=callback.encoding,
        received_at=now if callback.at is None else callback.at,
        answers=callback.protocol,
        surrogate=callback.surrogate,
    )


def _parked(raw: bytes, now: float) -> Receipt:
    return Receipt(carrier="", message_id="", code=None, final=False, received_at=now, raw=raw)


def _national(phone: str) -> str:
    try:
        return parse(phone).national
    except InvalidNumberError:
        return phone
