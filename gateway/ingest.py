"""[1] PUBLISH -> Message -> journal -> PUBACK.

Takes what the broker handed over in batches, turns each PUBLISH into a `Message`, a `Cancel` or a `Refusal`, and acknowledges the batch
once it is committed. Never waits for a carrier: the broker's acknowledgement depends on the journal alone. While the journal cannot commit,
`append` waits, nothing is read, and the broker's side pauses at its cap.
"""

import hashlib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from gateway import logs
from gateway.broker import envelope, topics
from gateway.broker.base import Broker, Inbound
from gateway.carriers.base import Carrier, Prepared
from gateway.journal.base import Bells, Journal
from gateway.message import Cancel, Message, Reason, Refusal, Rejected
from gateway.metrics import Metrics
from gateway.msisdn import InvalidNumberError, InvalidSenderError, parse, parse_sender

RAW_LIMIT = 2048  # octets of a refused payload that are kept
VALIDITY_LIMIT = 172800.0  # s: the provider takes no longer validity
SCHEDULE_LIMIT = 366 * 86400.0  # s: what lies further ahead is a slip of the pen, and would wait here for ever

log = structlog.get_logger()


class _RefusedError(Exception):
    """What a producer asked cannot be done."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that say what is taken."""

    topic_prefix: str
    routes: tuple[str, ...]
    default_valid_for: float
    response_topics: tuple[str, ...] = ()


class Ingest:
    """The stage between the broker and the journal."""

    def __init__(
        self,
        broker: Broker,
        journal: Journal,
        carriers: Mapping[str, Carrier],
        rules: Rules,
        metrics: Metrics,
        bells: Bells,
        clock: Callable[[], float],
    ) -> None:
        self._broker, self._journal, self._metrics, self._bells, self._clock = broker, journal, metrics, bells, clock
        self._reader = Reader(carriers, rules)

    async def run(self) -> None:
        """Take batches until cancelled."""
        while True:
            await self._take(await self._broker.inbound())

    async def _take(self, batch: Sequence[Inbound]) -> None:
        now = self._clock()
        items = [self._reader.read(publish, now) for publish in batch]
        report = await self._journal.append(items)
        self._broker.acknowledge([publish.token for publish in batch])
        self._metrics.count(report.counts.items())
        self._bells.ring()
        if logs.debugging():
            _tell(items)


def _tell(items: Sequence[Message | Cancel | Refusal]) -> None:
    """Say of each what was taken: never a number, a text, or what a refusal quotes."""
    for item in items:
        match item:
            case Message():
                log.debug("message taken", source=item.source, id=item.id, routes=item.routes)
            case Cancel():
                log.debug("cancel taken", source=item.source, id=item.id)
            case Refusal():
                log.debug("payload refused", source=item.source, id=item.id, reason=item.reason.value)


class Reader:
    """Turns one PUBLISH into what the journal keeps. No input raises."""

    def __init__(self, carriers: Mapping[str, Carrier], rules: Rules) -> None:
        self._carriers, self._rules = carriers, rules

    def read(self, publish: Inbound, now: float) -> Message | Cancel | Refusal:
        """Read a PUBLISH that came at `now`."""
        address = topics.parse(publish.topic, self._rules.topic_prefix)
        source = address.source if address else ""
        try:
            if _checked(publish, address).kind == "cancel":
                return Cancel(source=source, id=envelope.decode_cancel(publish.payload).id, received_at=now)
            return self._submitted(envelope.decode_submit(publish.payload), publish, source, now)
        except envelope.PayloadError as error:
            reason = Reason.TEXT_TOO_LONG if str(error) == envelope.TEXT_TOO_LONG else Reason.INVALID_PAYLOAD
            return self._refusal(publish, source, reason, str(error), now)
        except _RefusedError as error:
            return self._refusal(publish, source, error.reason, error.detail, now)

    def _submitted(self, submit: envelope.Submit, publish: Inbound, source: str, now: float) -> Message | Refusal:
        try:
            return self._message(submit, publish, source, now)
        except _RefusedError as error:
            refusal = self._refusal(publish, source, error.reason, error.detail, now)
            return msgspec.structs.replace(refusal, content=_digest(_encoder.encode(submit)))

    def _message(self, submit: envelope.Submit, publish: Inbound, source: str, now: float) -> Message:
        schedule_at, expires_at = self._times(submit, publish.expiry, now)
        message = Message(
            source=source,
            id=submit.id,
            to=_number(submit.to),
            text=unicodedata.normalize("NFC", submit.text),  # a letter and its accent typed apart would cost UCS2
            digest=_digest(_encoder.encode(submit)),
            received_at=now,
            expires_at=expires_at,
            routes=(),
            sender=_sender(submit.from_),
            kind=submit.kind,
            schedule_at=schedule_at,
            priority=submit.priority,
            cost_centre=submit.cost_centre,
            receipt=submit.receipt,
            encoding=submit.encoding,
            transliterate=submit.transliterate,
            in_doubt=submit.in_doubt,
            label=submit.label,
            normalise=submit.normalise,
            metadata=submit.metadata,
            response_topic=self._response_topic(publish),
            correlation=publish.correlation,
        )
        prepared = self._eligible(message, submit.routes or self._rules.routes)
        several = {name: way for name, way in prepared.items() if len(way.parts) > 1}
        parts_by, cuts_by = {name: len(way.parts) for name, way in several.items()}, {name: way.cut for name, way in several.items()}
        return msgspec.structs.replace(message, routes=tuple(prepared), parts_by=parts_by, cuts_by=cuts_by)

    def _times(self, submit: envelope.Submit, expiry: int | None, now: float) -> tuple[float | None, float]:
        """Say when it is due and when it expires: durations count from the later of receipt and schedule."""
        schedule_at = submit.schedule_at.timestamp() if submit.schedule_at else now
        begin = max(now, schedule_at)
        valid_for = submit.valid_for if submit.valid_for is not None else self._rules.default_valid_for
        expires_at = submit.expires_at.timestamp() if submit.expires_at else begin + valid_for
        if begin > now + SCHEDULE_LIMIT:
            raise _RefusedError(Reason.INVALID_SCHEDULE, "schedule_at: lies more than a year ahead")
        if begin > now and expires_at <= begin:
            raise _RefusedError(Reason.INVALID_SCHEDULE, "expires_at: must be later than schedule_at")
        limits = [expires_at, begin + VALIDITY_LIMIT]
        if expiry is not None:
            limits.append(begin + expiry)
        return (begin if begin > now else None), min(limits)

    def _response_topic(self, publish: Inbound) -> str | None:
        if publish.response_topic is None or not self._rules.response_topics:
            return None
        fault = topics.response_topic_fault(publish.response_topic, self._rules.topic_prefix, self._rules.response_topics)
        if fault:
            raise _RefusedError(Reason.RESPONSE_TOPIC, f"Response Topic {fault}")
        return publish.response_topic

    def _eligible(self, message: Message, wanted: Sequence[str]) -> dict[str, Prepared]:
        """Find the carriers that can carry it, in order of preference, and how each would."""
        eligible: dict[str, Prepared] = {}
        refusals: list[Rejected] = []
        for name in dict.fromkeys(wanted):
            if name not in self._carriers:
                continue
            prepared = self._carriers[name].prepare(message)
            if isinstance(prepared, Rejected):
                refusals.append(prepared)
            else:
                eligible[name] = prepared
        if not eligible:
            raise _why(refusals)
        return eligible

    def _refusal(self, publish: Inbound, source: str, reason: Reason, detail: str, now: float) -> Refusal:
        # The id in a cancel is that of another message, which must not be told to have ended.
        cancel = publish.topic.startswith(f"{self._rules.topic_prefix}/cancel")
        id, metadata = (None, {}) if cancel else envelope.identity(publish.payload)
        try:
            response_topic = self._response_topic(publish)
        except _RefusedError:
            response_topic = None
        return Refusal(
            source=source,
            id=id,
            reason=reason,
            detail=detail,
            digest=_digest(b"\0".join((reason.value.encode(), publish.topic.encode(), publish.payload))),
            raw=publish.payload[:RAW_LIMIT],
            received_at=now,
            metadata=metadata,
            response_topic=response_topic,
            correlation=publish.correlation,
        )


_encoder = msgspec.json.Encoder(order="deterministic")  # the order of keys is no content


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _checked(publish: Inbound, address: topics.Address | None) -> topics.Address:
    if address is None:
        raise _RefusedError(Reason.INVALID_PAYLOAD, "topic: the source must be 1 to 32 of a-z, 0-9 and -")
    if publish.retain:
        raise _RefusedError(Reason.RETAINED, "retained messages are not taken: they would come again with every subscription")
    return address


def _number(raw: str) -> str:
    try:
        return parse(raw).national
    except InvalidNumberError as error:
        raise _RefusedError(Reason.INVALID_NUMBER, f"to: {error}") from None


def _sender(raw: str | None) -> str | None:
    if raw is None:
        return None
    try:
        parse_sender(raw)
    except InvalidSenderError as error:
        raise _RefusedError(Reason.INVALID_SENDER, f"from: {error}") from None
    return raw


def _why(refusals: Sequence[Rejected]) -> _RefusedError:
    """Prefer what is wrong with the message over what a carrier lacks."""
    for refusal in sorted(refusals, key=lambda each: each.reason is Reason.NO_ROUTE):
        return _RefusedError(refusal.reason, refusal.detail)
    return _RefusedError(Reason.NO_ROUTE, "routes: names no carrier that is configured")
