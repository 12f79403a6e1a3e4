"""The payload schemas of the queue: JSON -> what a producer asks, and an event -> a PUBLISH with its CloudEvents attributes.

`Submit` and `CancelRequest` are the payloads as producers write them; `mensageiro schema` draws the JSON Schemas from these types. Decoding
checks shape and ranges only: what a number or a sender is worth is `ingest`'s to say. Of a key that stands twice, the last counts.
"""

import contextlib
import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.broker.base import Outbound
from gateway.message import EncodingWish, InDoubtPolicy, Kind

METADATA_LIMIT = 1024  # octets, names and values together
CONTENT_TYPE = "application/json"

ID_FORM = "1 to 64 of A-Z a-z 0-9 . _ : -"
MessageId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}$(?!\n)", description=f"{ID_FORM}, unique per source")]
TEXT_TOO_LONG = "text: has more than 600 characters"
"""What a PayloadError says of a text that no carrier could take."""


class PayloadError(Exception):
    """A payload is not what its schema says. Its text names the field; it never holds a value."""


class Submit(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Ask the gateway to send one message."""

    id: MessageId
    to: Annotated[str, Meta(min_length=1, max_length=40, description="Brazilian number, national or international")]
    text: Annotated[str, Meta(min_length=1, max_length=600)]
    from_: (
        Annotated[str, Meta(min_length=1, max_length=21, description="sender: a number, a short code or 1 to 11 letters and digits")] | None
    ) = msgspec.field(default=None, name="from")
    kind: Kind = "common"
    schedule_at: datetime | None = None
    valid_for: Annotated[float, Meta(ge=60, le=172800, description="s, from the later of receipt and schedule_at")] | None = None
    expires_at: datetime | None = None
    priority: Annotated[int, Meta(ge=0, le=3, description="higher is sent first")] = 0
    cost_centre: Annotated[int, Meta(ge=1, le=4294967295)] | None = None
    receipt: Annotated[bool, Meta(description="ask for delivery receipts; false: `accepted` is final")] = True
    encoding: EncodingWish = "auto"
    transliterate: bool = False
    routes: Annotated[tuple[str, ...], Meta(min_length=1, max_length=16, description="carriers by name")] | None = None
    in_doubt: InDoubtPolicy | None = None
    label: Annotated[str, Meta(max_length=40)] | None = None
    normalise: bool = False
    metadata: Annotated[dict[str, str], Meta(max_length=16)] = {}

    def __post_init__(self) -> None:
        if self.valid_for is not None and self.expires_at is not None:
            raise ValueError("valid_for and expires_at exclude each other")
        for name in ("schedule_at", "expires_at"):
            moment = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"{name} needs a zone")
        _check_size(self.metadata)


class CancelRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Ask the gateway to cancel a message of the same source."""

    id: MessageId


class State(msgspec.Struct, kw_only=True):
    """The retained word of a gateway about itself."""

    state: Literal["up", "draining", "down"]
    instance: str
    time: str


class _Id(msgspec.Struct):
    """Who a refused payload was."""

    id: MessageId | None = None


class _Metadata(msgspec.Struct):
    """What its producer wants back."""

    metadata: Annotated[dict[str, str], Meta(max_length=16)] = {}

    def __post_init__(self) -> None:
        _check_size(self.metadata)


def _check_size(metadata: dict[str, str]) -> None:
    if metadata and sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > METADATA_LIMIT:
        raise ValueError(f"metadata is larger than {METADATA_LIMIT} octets")


class Attributes(msgspec.Struct):
    """What CloudEvents repeats of an event."""

    event_id: str
    time: str
    instance: str
    type: str
    id: str | None = None


_submit = msgspec.json.Decoder(Submit)
_cancel = msgspec.json.Decoder(CancelRequest)
_id = msgspec.json.Decoder(_Id)
_metadata = msgspec.json.Decoder(_Metadata)
_attributes = msgspec.json.Decoder(Attributes)
_NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_submit(payload: bytes) -> Submit:
    """Read a submit payload. Raises PayloadError."""
    try:
        return _submit.decode(payload)
    except _NOT_DECODED as error:
        raise PayloadError(_explain(error)) from None


def decode_cancel(payload: bytes) -> CancelRequest:
    """Read a cancel payload. Raises PayloadError."""
    try:
        return _cancel.decode(payload)
    except _NOT_DECODED as error:
        raise PayloadError(_explain(error)) from None


def identity(payload: bytes) -> tuple[str | None, dict[str, str]]:
    """Find id and metadata in a payload that is otherwise refused; None and {} where they are not well formed."""
    id: str | None = None
    metadata: dict[str, str] = {}
    with contextlib.suppress(*_NOT_DECODED):
        id = _id.decode(payload).id
    with contextlib.suppress(*_NOT_DECODED):
        metadata = _metadata.decode(payload).metadata
    return id, metadata


def outbound(token: int, topic: str, payload: bytes, *, cloudevents: bool, correlation: bytes | None = None) -> Outbound:
    """Wrap an event's JSON as a PUBLISH; CloudEvents 1.0 in binary content mode of the MQTT binding."""
    properties = _cloudevents(payload) if cloudevents else ()
    return Outbound(token, topic, payload, properties, CONTENT_TYPE, correlation)


def attributes(payload: bytes) -> Attributes:
    """Return what names an event of ours, out of its JSON."""
    return _attributes.decode(payload)


def _cloudevents(payload: bytes) -> tuple[tuple[str, str], ...]:
    event = attributes(payload)
    properties = (
        ("specversion", "1.0"),
        ("id", event.event_id),
        ("source", f"mensageiro/{event.instance}"),
        ("type", f"mensageiro.{event.type}.v1"),
        ("time", event.time),
    )
    return properties if event.id is None else (*properties, ("subject", event.id))


_UNKNOWN_FIELD = "Object contains unknown field"
_NAMED = re.compile(f"{_UNKNOWN_FIELD} `([A-Za-z_]{{1,40}})`")  # one that cannot be a number or a text that went astray
_MISSING_FIELD = re.compile("Object missing required field `(.*)`")
_IN_WORDS = {"text: expected `str` of length <= 600": TEXT_TOO_LONG}


def _unplaced(what: str) -> str:
    """Say what is wrong with the payload as a whole; what our own checks say names its fields."""
    return f"payload: e{what[1:]}" if what.startswith("Expected") else what


def _explain(error: Exception) -> str:
    """Say which field is wrong and why, without its value: msgspec quotes none but enum values and unknown keys."""
    if isinstance(error, msgspec.ValidationError):
        text = str(error)
        if text.startswith(_UNKNOWN_FIELD):
            named = _NAMED.fullmatch(text)
            return f"{named[1]}: is no field of this payload" if named else "payload: has an unknown field"
        if missing := _MISSING_FIELD.fullmatch(text):
            return f"{missing[1]}: is required"
        what, _, where = text.partition(" - at `$")
        field = where.removesuffix("`").lstrip(".")
        if "Invalid enum value" in what:
            what = "is none of the values that are allowed"
        elif "matching regex" in what:
            what = f"needs {ID_FORM}"
        told = f"{field}: {what[0].lower()}{what[1:]}" if field else _unplaced(what)
        return _IN_WORDS.get(told, told)
    if isinstance(error, UnicodeDecodeError) or "UTF-8" in str(error):
        return "payload: is not UTF-8"
    if isinstance(error, RecursionError):
        return "payload: is nested too deeply"
    return "payload: is not JSON"
