"""What an answer of the HTTP API or the web service means: for the message, and for the carrier. Pure.

Codes are the provider's table (`provider.results`); here is what we do about each of its classes. A message whose answer cannot be read, or
cannot be told to be its own, is in doubt: it was written.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple, assert_never

from gateway.message import CancelFailed, Cancelled, CancelOutcome, Deferred, InDoubt, Outcome, Reason, Rejected, Scope, Submitted
from gateway.provider.answers import CancelRow, Cancels, Entry, Refused
from gateway.provider.results import MessageStatus, ResultClass
from gateway.provider.sends import Asked, match_batch


class Effect(Enum):
    """What a message's answer tells of the carrier."""

    TAKEN = auto()  # the account sends
    ANSWERED = auto()  # the account is known, and this message was at fault
    CONGESTED = auto()  # nothing was done, for the moment
    NOT_HERE = auto()  # this account may not send such a message
    REFUSED = auto()  # this account may not send, or the provider is ill
    NO_CREDITS = auto()  # for such messages
    SILENT = auto()  # no answer, or none that can be read
    UNREACHABLE = auto()  # nothing was written


class Verdict(NamedTuple):
    """What becomes of one message, and what it tells. No outcome: nothing was taken, and it goes again by itself."""

    outcome: Outcome | None
    effect: Effect


def verdict_of(entry: Entry) -> Verdict:
    """Turn the answer to one message into its outcome. The carrier adds to it what the answer cannot tell."""
    code = entry.code
    detail = f"code {code}: {entry.result.description}"
    result_class = entry.result_class
    protocol = (entry.protocol,) if entry.protocol else ()
    match result_class:
        case ResultClass.ACCEPTED:
            return Verdict(Submitted(protocol), Effect.TAKEN)
        case ResultClass.UNDER_REVIEW:
            return Verdict(Submitted(protocol, under_review=True), Effect.TAKEN)
        case ResultClass.NOT_CONCLUDED:
            return Verdict(Deferred(detail, Scope.MESSAGE, None, code), Effect.CONGESTED)
        case ResultClass.BAD_REQUEST | ResultClass.BAD_MESSAGE:
            return Verdict(Rejected(Reason.REFUSED_BY_PROVIDER, detail, code), Effect.ANSWERED)
        case ResultClass.NOT_BY_THIS_CARRIER:
            return Verdict(Rejected(Reason.NO_ROUTE, detail, code), Effect.NOT_HERE)
        case ResultClass.BAD_ACCOUNT:
            return Verdict(Deferred(detail, Scope.CARRIER, None, code), Effect.REFUSED)
        case ResultClass.NO_CREDITS:
            return Verdict(Deferred(detail, Scope.ASIDE, None, code), Effect.NO_CREDITS)
        case ResultClass.THEIR_FAULT:
            return Verdict(InDoubt(detail), Effect.REFUSED)
        case ResultClass.REFUSED | ResultClass.UNKNOWN:  # REFUSED is of functions that send nothing
            return Verdict(InDoubt(f"the answer cannot be read: {entry.result.description}"), Effect.SILENT)
        case _:
            assert_never(result_class)


def verdicts_of_batch(entries: Sequence[Entry], asked: Sequence[Asked]) -> list[Verdict]:
    """Give each message of a batch its verdict, in the order of `asked`.

    A complaint about the shape of a batch, as a whole or at one of its lines, says nothing about a message: it goes again by itself.
    A 0 among other lines is not alone, and so not believed: what is taken for one message's "not concluded" would send it twice.
    """
    match = match_batch(entries, asked)
    if match.whole is not None:
        return [_again_alone(match.whole) or verdict_of(match.whole)] * len(asked)
    unproven = Verdict(InDoubt("the batch's answer does not tell what became of this message"), _effect_of_doubt(entries))
    answers = match.answers
    return [_verdict_of_line(answers[place]) if place in answers else unproven for place in range(len(asked))]


def _verdict_of_line(entry: Entry) -> Verdict:
    if entry.result_class is ResultClass.NOT_CONCLUDED:
        return Verdict(InDoubt("a 0 among the lines of a batch's answer"), Effect.SILENT)
    return _again_alone(entry) or verdict_of(entry)


def _again_alone(entry: Entry) -> Verdict | None:
    return Verdict(None, Effect.ANSWERED) if entry.result_class is ResultClass.BAD_REQUEST else None


def _effect_of_doubt(entries: Sequence[Entry]) -> Effect:
    """Tell an ill provider, which owns up to it for the whole batch, from an answer that cannot be read."""
    return Effect.REFUSED if any(entry.result_class is ResultClass.THEIR_FAULT for entry in entries) else Effect.SILENT


_CANCEL_OUTCOMES: Mapping[int | None, CancelOutcome] = {
    MessageStatus.CANCELLED: Cancelled(),
    MessageStatus.SENT: CancelFailed("too_late"),
    MessageStatus.NOT_FOUND: CancelFailed("not_found"),
    MessageStatus.WAITING: CancelFailed("refused"),  # and it was not cancelled, although it could have been
    MessageStatus.QUEUED: CancelFailed("refused"),
    MessageStatus.ON_HOLD: CancelFailed("refused"),
    MessageStatus.ERROR: CancelFailed("refused"),
    MessageStatus.INVALID: CancelFailed("refused"),
}


def cancel_outcomes(answer: object, message_ids: Sequence[str]) -> dict[str, CancelOutcome]:
    """Tell what became of each id that was asked for, whatever the answer is; None, too, where there was none that can be read."""
    match answer:
        case Cancels(rows=rows):
            return _outcomes_of_rows(rows, message_ids)
        case Refused():
            return dict.fromkeys(message_ids, CancelFailed("refused"))
        case _:
            return dict.fromkeys(message_ids, CancelFailed("unknown"))


def _outcomes_of_rows(rows: Sequence[CancelRow], message_ids: Sequence[str]) -> dict[str, CancelOutcome]:
    """Tell what became of each id that was asked for; one that no row names is unknown. A row without an id is of the only one."""
    named = {row.protocol.lower(): row.status for row in rows}
    if len(message_ids) == 1 and len(rows) == 1 and not rows[0].protocol:
        named = {message_ids[0].lower(): rows[0].status}
    return {message_id: _CANCEL_OUTCOMES.get(named.get(message_id.lower()), CancelFailed("unknown")) for message_id in message_ids}
