"""The documents of the queue interface agree with the code that reads and writes it."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from gateway import schema
from gateway.broker import envelope
from gateway.message import AcceptedEvent, ReceiptEvent, RejectedEvent, ReplyEvent

ROOT = Path(__file__).parent.parent
SCHEMAS = schema.schemas()


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(SCHEMAS[name])


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


PAYLOADS: list[dict[str, Any]] = [
    {"id": "a", "to": "11987654321", "text": "x"},
    {"id": "a", "to": "11987654321", "text": "x", "from": "EMPRESA", "valid_for": 60, "metadata": {"a": "b"}},
    {"id": "a", "to": "11987654321", "text": "x", "valid_for": 60, "expires_at": "2026-12-01T00:00:00Z"},
    {"id": "a", "to": "11987654321", "text": "x", "valid_for": 60, "expires_at": None},
    {"id": "a b", "to": "11987654321", "text": "x"},
    {"id": "a", "to": "11987654321", "text": ""},
    {"id": "a", "to": "11987654321", "text": "x" * 601},
    {"id": "a", "to": "11987654321", "text": "x", "foo": 1},
    {"id": "a", "to": "11987654321", "text": "x", "priority": 4},
    {"id": "a", "to": "11987654321", "text": "x", "kind": "fax"},
    {"id": "a", "to": "11987654321"},
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_submit_schema_takes_what_the_gateway_takes(payload: dict[str, Any]) -> None:
    try:
        envelope.decode_submit(json.dumps(payload).encode())
        taken = True
    except envelope.PayloadError:
        taken = False
    assert validator("submit").is_valid(payload) is taken


def test_events_are_what_their_schemas_say() -> None:
    common: dict[str, Any] = {"event_id": "/a/1", "time": "2026-11-23T12:00:00.000Z", "instance": "i", "id": "a", "seq": 1}
    events = [
        AcceptedEvent(**common, carrier="smpp", message_ids=("1",), parts=1, encoding="gsm7", attempt=1),
        ReceiptEvent(**common, carrier="smpp", code=None, state="no_receipt", final=True),
        ReplyEvent(
            event_id="-/reply/1", time="t", instance="i", carrier="smpp", from_="1", to=None, text="x", encoding="gsm7", received_at="t"
        ),
        RejectedEvent(**common, reason="no_route", detail="x"),  # type: ignore[arg-type]
    ]
    for event in events:
        document = json.loads(msgspec.json.encode(event))
        validator(f"event-{document['type']}").validate(document)
        assert not validator("event-expired").is_valid(document)


@pytest.mark.parametrize("path", schema.GENERATED, ids=str)
def test_generated_files_are_up_to_date(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == schema.GENERATED[path](), "run `make docs`"


def test_asyncapi_names_every_channel_and_every_reference_leads_somewhere() -> None:
    document = schema.asyncapi("acme")
    assert document["asyncapi"] == "3.0.0"
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert {"acme/submit", "acme/cancel", "acme/event/receipt", "acme/gateway/{instance}"} <= addresses
    for reference in references(document):
        node: Any = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


def test_every_field_of_a_submit_is_in_the_page() -> None:
    page = schema.interface_page()
    assert all(f"| `{field}` |" in page for field in envelope.Submit.__struct_encode_fields__)
