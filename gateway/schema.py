"""The queue interface as documents, made from the types themselves: JSON Schemas, an AsyncAPI 3 document, and the generated pages.

`python -m gateway.schema` writes config/gateway.example.toml, docs/configuration.md, docs/queue-interface.md and docs/metrics.md anew; a
test keeps them so.
"""

import json
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

import gateway
from gateway import config, events, message
from gateway.broker import envelope, topics
from gateway.metrics import Description, Metrics

DIALECT = "https://json-schema.org/draft/2020-12/schema"
EVENTS: tuple[type[events.Event], ...] = typing.get_args(events.AnyEvent)
REFS = "#/$defs/{name}"
INBOUND = ("submit", "cancel")
OF_SOURCE = "-of-source"  # ends the name of a channel whose last level names a producer
SOURCE = "names a producer: 1 to 32 of a-z, 0-9 and -; its events come back under it"
MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:?[0-9]{2})$"  # RFC 3339, with its zone
TIMES = frozenset({"time", "since", "received_at", "submitted_at", "done_at", "schedule_at", "expires_at"})
MEANINGS: Mapping[str, str] = {  # of fields whose type has no description of its own
    "text": "as a person wrote it; the encoding is chosen here",
    "kind": "only carriers that can send such a message are used",
    "schedule_at": "held here until then",
    "expires_at": "not with valid_for; the MQTT Message Expiry Interval counts too",
    "cost_centre": "for carriers that know cost centres",
    "transliterate": "replace what the alphabet lacks instead of a dearer encoding",
    "label": "the name shown on the provider's platform",
    "normalise": "ask the provider to normalise the number",
    "metadata": "returned in every event; at most 1024 octets in all",
    "event_id": "the same after any restart: tells a repetition",
    "time": "UTC, ms",
    "instance": "gateway.instance",
    "v": "raised by a change that breaks consumers",
    "seq": "1, 2, 3, ... of the message",
    "final": "nothing follows but a late receipt or a cancel_failed",
    "carrier": "its name in the configuration",
    "message_ids": "the provider's, one a part",
    "parts": "that the message has",
    "attempt": "1, 2, 3, ...",
    "possible_duplicate": "an earlier copy may have been taken too",
    "under_review": "held by the provider's antifraud",
    "replaced": "what transliteration replaced: character and what went instead",
    "detail": "for people",
    "code": "the provider's: of a receipt the DLR table, 0 to 9",
    "digest": "of a payload that was refused",
    "raw": "of a payload that was refused, cut; on the Response Topic alone",
    "confirmed": "false: the operator gives no confirmation by the handset",
    "part": "that this receipt is about",
    "part_final": "nothing follows for this part",
    "part_state": "what became of this part, where code and state are the message's, and others",
    "error_code": "of the network, as received",
    "submitted_at": "by the provider's clock",
    "done_at": "by the provider's clock",
    "late": "it came after the final event",
    "since": "when it was written to the provider",
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return every JSON Schema by name: submit, cancel, state, and event-<type>."""
    return {
        "submit": _submit(),
        "cancel": _document(envelope.CancelRequest, "cancel"),
        "state": _document(envelope.State, "state"),
        **{f"event-{_tag(event)}": _document(event, f"event-{_tag(event)}") for event in EVENTS},
    }


def files(prefix: str) -> dict[str, str]:
    """Return every document as a file: name -> text."""
    found = {f"{name}.schema.json": _json(document) for name, document in schemas().items()}
    return found | {"asyncapi.json": _json(asyncapi(prefix))}


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _tag(event: type[events.Event]) -> str:
    return str(event.__struct_config__.tag)


def _document(type_: type[msgspec.Struct], name: str) -> dict[str, Any]:
    (schema,), definitions = msgspec.json.schema_components([type_], ref_template=REFS)
    own = definitions.pop(schema["$ref"].rpartition("/")[2])
    document: dict[str, Any] = {"$schema": DIALECT, "$id": f"urn:mensageiro:{name}:1", **own}
    for field in document["properties"]:
        _refine(document["properties"], field)
    if not type_.__struct_config__.forbid_unknown_fields:  # what we write ourselves, we write whole
        document["required"] = list(document["properties"])
    return document | ({"$defs": definitions} if definitions else {})


def _refine(properties: dict[str, Any], field: str) -> None:
    """Say of a field what its type does not: its meaning, that it is a time, and the only value of `type` and `v`."""
    if field == "type":
        properties[field] = {"const": properties[field]["enum"][0]}
    elif field == "v":
        properties[field] = {"const": properties[field]["default"]}
    described = properties[field]
    for branch in described.get("anyOf", (described,)):
        if field in TIMES and branch.get("type") == "string":
            branch |= {"format": "date-time"}
    if field in MEANINGS and "description" not in json.dumps(described):
        described["description"] = MEANINGS[field]


def _submit() -> dict[str, Any]:
    """Add what types cannot say: a time has a zone, and two ways to name one deadline exclude each other."""
    document = _document(envelope.Submit, "submit")
    for field in ("schedule_at", "expires_at"):
        document["properties"][field]["anyOf"][0]["pattern"] = MOMENT
    document["not"] = {
        "required": ["valid_for", "expires_at"],
        "properties": {"valid_for": {"not": {"type": "null"}}, "expires_at": {"not": {"type": "null"}}},
    }
    return document


# --- AsyncAPI ---------------------------------------------------------------------------------------------------------------------


def asyncapi(prefix: str) -> dict[str, Any]:
    """Return the AsyncAPI 3 document of the queue interface: what the gateway receives and sends."""
    documents = {name: _inlined(document) for name, document in schemas().items()}
    addresses = {name: f"{prefix}/{name}" for name in INBOUND}
    addresses |= {f"event-{_tag(event)}": topics.event(prefix, _tag(event), "") for event in EVENTS}
    state = _channel(topics.gateway(prefix, "{instance}"), "state", instance="gateway.instance")
    channels = {name: _channel(address, name) for name, address in addresses.items()}
    channels |= {f"{name}{OF_SOURCE}": _channel(f"{address}/{{source}}", name, source=SOURCE) for name, address in addresses.items()}
    channels["state"] = state
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Mensageiro queue interface",
            "version": gateway.__version__,
            "description": "Submit SMS by MQTT 5 and hear what became of them.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": envelope.CONTENT_TYPE,
        "channels": channels,
        "operations": {name: _operation(name, "receive" if name.removesuffix(OF_SOURCE) in INBOUND else "send") for name in channels},
        "components": {"messages": {name: _message(name) for name in documents}, "schemas": documents},
    }


def _channel(address: str, message: str, **parameters: str) -> dict[str, Any]:
    channel: dict[str, Any] = {"address": address, "messages": {message: {"$ref": f"#/components/messages/{message}"}}}
    if parameters:
        channel["parameters"] = {name: {"description": meaning} for name, meaning in parameters.items()}
    return channel


def _operation(name: str, action: str) -> dict[str, Any]:
    retain = {"retain": True} if name == "state" else {}
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "bindings": {"mqtt": {"qos": 1, **retain, "bindingVersion": "0.2.0"}},
    }


def _message(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "contentType": envelope.CONTENT_TYPE,
        "payload": {"$ref": f"#/components/schemas/{name}"},
    }
    if name.startswith("event-"):
        found["headers"] = _cloudevents(name.removeprefix("event-"))
    return found


def _cloudevents(type_: str) -> dict[str, Any]:
    """CloudEvents 1.0 attributes, as MQTT user properties."""
    text = {"type": "string"}
    return {
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text,
            "source": text,
            "type": {"const": f"mensageiro.{type_}.v1"},
            "time": text,
            "subject": text,
        },
    }


def _inlined(document: Mapping[str, Any]) -> dict[str, Any]:
    """Put definitions where they are used: references inside a component would point at the AsyncAPI document."""
    definitions = document.get("$defs", {})

    def inline(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return inline(definitions[node["$ref"].rpartition("/")[2]])
            return {key: inline(value) for key, value in node.items() if key not in ("$defs", "$schema", "$id")}
        return [inline(each) for each in node] if isinstance(node, list) else node

    inlined: dict[str, Any] = inline(dict(document))
    return inlined


# --- The example configuration and its reference ----------------------------------------------------------------------------------

_SECTIONS: Mapping[str, type[config.Section]] = {
    "gateway": config.Gateway,
    "broker": config.Broker,
    "journal": config.Journal,
    "carriers.smpp": config.Smpp,
    "carriers.http": config.Http,
    "carriers.webservice": config.Webservice,
    "callbacks": config.Callbacks,
    "admin": config.Admin,
    "log": config.Log,
}
_OPTIONAL = ("carriers.http", "carriers.webservice")  # the example leaves them out
_REQUIRED = {
    ("carriers.smpp", "system_id"): '"your-user"',
    ("carriers.smpp", "password_file"): '"/etc/mensageiro/smpp.password"',
    ("carriers.http", "user_file"): '"/etc/mensageiro/http.user"',
    ("carriers.webservice", "user_file"): '"/etc/mensageiro/http.user"',
}
_OF_A_KIND = "the section's name is yours; several of a kind are several accounts"


class _Key(typing.NamedTuple):
    """One key of the configuration, for people."""

    name: str
    default: str
    meaning: str


def _keys(section: type[config.Section]) -> Iterator[_Key]:
    hints = typing.get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        yield _Key(field.encode_name, _toml(_default(field)), _meaning(hints[field.name]))


def _default(field: msgspec.structs.FieldInfo) -> object:
    return field.default_factory() if callable(field.default_factory) else field.default


def _toml(value: object) -> str:
    return "{}" if value == {} else json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _metas(annotation: Any) -> Iterator[msgspec.Meta]:
    """Find what is said of a type, and of what it is a union of."""
    metas = getattr(annotation, "__metadata__", ())
    yield from (meta for meta in metas if isinstance(meta, msgspec.Meta))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for each in typing.get_args(annotation):
            yield from _metas(each)


def _meaning(annotation: Any) -> str:
    return " ".join(meta.description for meta in _metas(annotation) if meta.description)


def _limits(annotation: Any) -> str:
    """Say what range or length is admitted."""
    for meta in _metas(annotation):
        if meta.ge is not None and meta.le is not None:
            return f", {meta.ge:g} to {meta.le:.10g}"
        if meta.max_length is not None:
            return f", {f'{meta.min_length} to' if meta.min_length else 'at most'} {meta.max_length}"
    return ""


def example_config() -> str:
    """Return config/gateway.example.toml: every key with its default and meaning, commented out but for what must be set."""
    lines = ["# Every key of mensageiro, with its default. Generated: `make docs`. Uncomment what you change.", ""]
    for name, section in _SECTIONS.items():
        optional = "# " if name in _OPTIONAL else ""
        lines.append(f"{optional}[{name}]")
        if name.startswith("carriers."):
            kind = f'{optional}kind = "{section.__struct_config__.tag}"'
            lines.append(f"{kind:<35}# {_OF_A_KIND}")
        lines += [*(_example_line(name, key) for key in _keys(section)), ""]
    return "\n".join(lines)


def _example_line(section: str, key: _Key) -> str:
    value = _REQUIRED.get((section, key.name))
    setting = f"{key.name} = {value or key.default}"
    if value is None or section in _OPTIONAL:
        setting = f"# {setting}"
    return f"{setting:<35} {'# ' + key.meaning if key.meaning else ''}".rstrip()


def configuration_page() -> str:
    """Return docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "<!-- Generated from gateway/config/sections.py: `make docs`. -->",
        "",
        "One TOML file: `mensageiro run --config FILE`, or `MENSAGEIRO_CONFIG`. Times are seconds. Any key but a secret can be overridden",
        "by the environment: `MENSAGEIRO_CARRIERS__SMPP__WINDOW=20`. A secret stands in the file, or in a file that `<key>_file` names,",
        "never both; from the environment only as `..._FILE`. An unknown key, a wrong type or an impossible combination: exit code 2 and",
        "one line that names the key.",
        "",
        "Keys marked (hot) take effect on SIGHUP (`systemctl reload`); others that changed are named in the log, and wait for a restart.",
        "",
        "`mensageiro check-config` checks a file; `config/gateway.example.toml` shows every key.",
    ]
    for name, section in _SECTIONS.items():
        lines += ["", f"## [{name}]", "", "| key | default | |", "| --- | --- | --- |"]
        if name.startswith("carriers."):
            lines.append(f"| `kind` | required | `{section.__struct_config__.tag}`; {_OF_A_KIND} |")
        lines += [f"| `{key.name}` | `{key.default}` | {key.meaning.replace('|', '&#124;')} |" for key in _keys(section)]
    return "\n".join(lines) + "\n"


def interface_page() -> str:
    """Return docs/queue-interface.md."""
    lines = [
        "# Queue interface",
        "",
        "<!-- Generated from gateway/broker/envelope.py, gateway/events.py and gateway/message.py: `make docs`. -->",
        "",
        "MQTT 5, QoS 1, JSON in UTF-8. `<prefix>` is `broker.topic_prefix` (`sms`). `mensageiro schema --out DIR` writes JSON Schemas and",
        "an AsyncAPI 3 document.",
        "",
        "## Submit: `<prefix>/submit` or `<prefix>/submit/<source>`",
        "",
        "`<source>` names a producer, 1 to 32 of a-z, 0-9 and `-`; its events go to `.../<source>`. Unknown fields are refused. The same",
        "`id` with the same content again is not sent again: its latest event is published again. With other content: `rejected`,",
        "`duplicate_id`.",
        "",
        *_field_table(envelope.Submit),
        "",
        "## Cancel: `<prefix>/cancel` or `<prefix>/cancel/<source>`",
        "",
        *_field_table(envelope.CancelRequest),
        "",
        "## Events: `<prefix>/event/<type>` or `<prefix>/event/<type>/<source>`",
        "",
        "Every message ends in exactly one event with `final: true`; only a `receipt` with `late: true` or a `cancel_failed` may follow.",
        "`event_id` is the same after any restart; an event may be published more than once: use it to tell repetitions. Order holds",
        "within a message by `seq`. All fields of a type are always there; ignore those that you do not know.",
    ]
    for event in EVENTS:
        lines += ["", f"### `{_tag(event)}`", "", (event.__doc__ or "").strip(), "", *_field_table(event)]
    return "\n".join([*lines, "", *_states()]) + "\n"


def _field_table(type_: type[msgspec.Struct]) -> list[str]:
    hints = typing.get_type_hints(type_, include_extras=True)
    rows = ["| field | type | default | |", "| --- | --- | --- | --- |"]
    tag = type_.__struct_config__.tag
    if tag:
        rows.append(f'| `type` | `"{tag}"` | | |')
    for field in msgspec.structs.fields(type_):
        default = (
            "required" if field.required else f"`{_toml(field.default_factory() if callable(field.default_factory) else field.default)}`"
        )
        hint = hints[field.name]
        meaning = _meaning(hint) or MEANINGS.get(field.encode_name, "")
        rows.append(f"| `{field.encode_name}` | {_type_name(hint)}{_limits(hint)} | {default} | {meaning} |")
    return rows


def _type_name(hint: Any) -> str:
    """Name a type as JSON has it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _type_name(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type_name(each) for each in arguments)
    if origin is typing.Literal:
        return " ".join(f"`{each}`" for each in arguments)
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}"
    if origin is dict:
        return "object of strings"
    if isinstance(hint, type) and issubclass(hint, message.Reason):
        return " ".join(f"`{each.value}`" for each in hint)
    return {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}.get(hint, "RFC 3339")


def _states() -> list[str]:
    """Draw the table of transitions."""
    lines = [
        "## Where a message is with us",
        "",
        "The queue state and what moves it; an event in brackets is published.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> QUEUED",
        "    [*] --> SCHEDULED",
    ]
    for (state, trigger), (after, event) in message.TRANSITIONS.items():
        told = f" [{event.value}]" if event else ""
        lines.append(f"    {state.name} --> {after.name}: {trigger.value}{told}")
    return [*lines, "    DONE --> [*]", "```"]


# --- The metrics ------------------------------------------------------------------------------------------------------------------

_OF_THE_PROGRAM = ("version", "python")  # labels whose values a page must not name: it would be out of date


def metrics_page() -> str:
    """Return docs/metrics.md."""
    metrics = Metrics(["<carrier>"], ["<carrier>/<bind>"], ["<http carrier>"])
    return "\n".join(
        [
            "# Metrics",
            "",
            "<!-- Generated from gateway/metrics.py: `make docs`. -->",
            "",
            "`GET /metrics` on `admin.listen`, in the Prometheus text format. Every series exists from the start, at zero (credits: NaN),",
            "and labels are closed: configured names and what stands here, never an id, a number or a text. Counters and histograms count",
            "since the process began; gauges show counts that are kept, so a scrape costs the same at any size of the journal.",
            "",
            "`<carrier>` is a carrier's name in the configuration, `<bind>` counts its binds from 0. `config/grafana/mensageiro.json` is a",
            "dashboard of these metrics, `config/prometheus/alerts.yml` has alerts on them, and each alert has its page in `runbook/`.",
            "",
            "| name | type | labels | |",
            "| --- | --- | --- | --- |",
            *(_metric_row(each) for each in metrics.described),
            "",
            "Beside these stand the `process_*` metrics of Prometheus' own client library: CPU seconds, memory, open files, start time.",
            "",
        ]
    )


def _metric_row(metric: Description) -> str:
    labels = "; ".join(f"`{label}`{_label_values(label, values)}" for label, values in metric.labels)
    buckets = f"; buckets up to {' '.join(f'{each:g}' for each in metric.buckets)}" if metric.buckets else ""
    return f"| `{metric.name}` | {metric.type} | {labels} | {metric.text}{buckets} |"


def _label_values(label: str, values: typing.Sequence[str]) -> str:
    if label in _OF_THE_PROGRAM:
        return ""
    return ": " + " ".join(f"`{value}`" if value else "(empty)" for value in values)


GENERATED = {
    Path("config/gateway.example.toml"): example_config,
    Path("docs/configuration.md"): configuration_page,
    Path("docs/queue-interface.md"): interface_page,
    Path("docs/metrics.md"): metrics_page,
}


def main() -> None:
    """Write the generated files of this checkout."""
    for path, text in GENERATED.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
