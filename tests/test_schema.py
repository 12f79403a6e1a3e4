"""The documents of the queue interface agree with the code that reads and writes it."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from gateway import schema
from gateway.broker import envelope
from gateway.events import AcceptedEvent, ReceiptEvent, RejectedEvent, ReplyEvent
from tests.support import npm

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
    *(
        {"id": "a", "to": "11987654321", "text": "x", "schedule_at": moment}
        for moment in (
            "2026-12-01T10:00:00Z",
            "2026-12-01 10:00:00.123z",
            "2026-12-01T10:00:00-03:00",
            "2026-12-01T10:00:00+0300",
            "2026-12-01T10:00:00",
            "2026-12-01",
            "2026-12-01T10:00:00-03",
            "tomorrow",
            1796119200,
            None,
        )
    ),
    {"id": "a", "to": "11987654321", "text": "x", "routes": []},
    {"id": "a", "to": "11987654321", "text": "x", "metadata": {str(number): "v" for number in range(17)}},
    {"id": "a", "to": "11987654321", "text": "x", "metadata": {"a": 1}},
    {"id": "a", "to": "11987654321", "text": "x", "label": "x" * 41},
    {"id": "a", "to": "11987654321", "text": "x", "in_doubt": "guess"},
    {"id": "a", "to": "11987654321", "text": "x", "valid_for": 59},
    {"id": "a", "to": "11987654321", "text": None},
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
        RejectedEvent(**common, reason="no_route", detail="x"),  # type: ignore[arg-type] # a word that is no Reason
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


def test_an_event_schema_wants_every_field_and_knows_its_type_and_its_times() -> None:
    for name, document in SCHEMAS.items():
        if name.startswith("event-"):
            assert document["properties"]["type"] == {"const": name.removeprefix("event-")}
            assert document["properties"]["v"]["const"] == 1
            assert set(document["required"]) == set(document["properties"])
            assert document["properties"]["time"]["format"] == "date-time"


def test_a_meaning_is_of_a_field_that_exists() -> None:
    fields = {field for document in SCHEMAS.values() for field in document["properties"]}
    assert set(schema.MEANINGS) <= fields


def test_asyncapi_tells_who_speaks_on_which_topic_and_how() -> None:
    document = schema.asyncapi("acme")
    told = {name: (operation["action"], operation["bindings"]["mqtt"]) for name, operation in document["operations"].items()}
    assert told["submit"] == told["submit-of-source"] == ("receive", {"qos": 1, "bindingVersion": "0.2.0"})
    assert told["event-receipt-of-source"] == ("send", {"qos": 1, "bindingVersion": "0.2.0"})
    assert told["state"] == ("send", {"qos": 1, "retain": True, "bindingVersion": "0.2.0"})
    assert document["channels"]["event-receipt-of-source"]["address"] == "acme/event/receipt/{source}"
    headers = document["components"]["messages"]["event-receipt"]["headers"]["properties"]
    assert headers["type"] == {"const": "mensageiro.receipt.v1"}
    assert "headers" not in document["components"]["messages"]["submit"]


@pytest.fixture(scope="session")
def asyncapi_schema() -> dict[str, Any]:
    """Return AsyncAPI's own schema of its documents, which comes with its parser."""
    folder = npm.folder(Path(__file__).parent / "ops" / "asyncapi")
    found: dict[str, Any] = json.loads((folder / "node_modules/@asyncapi/specs/schemas/3.0.0.json").read_text(encoding="utf-8"))
    return found


def test_asyncapi_is_what_its_own_schema_asks(asyncapi_schema: dict[str, Any]) -> None:
    check = jsonschema.Draft7Validator(asyncapi_schema)
    assert [error.message for error in check.iter_errors(schema.asyncapi("sms"))] == []
    assert not check.is_valid(schema.asyncapi("sms") | {"channels": []})
