"""`mensageiro send`: a message from the command line, and what becomes of it. See `gateway.producer`."""

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import click

from gateway import config, logs, producer
from gateway.broker import topics
from gateway.cli.shared import Seconds, config_option, json_option, one_line


@click.command()
@config_option
@click.option("--broker", "broker_url", default="", help="This broker (mqtt://host:port); no configuration is read.")
@click.option("--prefix", default="sms", show_default=True, help="Topic prefix at --broker.")
@click.option("--to", required=True, help="Brazilian number.")
@click.option("--text", required=True, help="- reads it from stdin.")
@click.option("--id", "id", default=lambda: uuid.uuid4().hex, show_default="random")
@click.option("--source", default="", help="Producer's name in the topic.")
@click.option("--from", "sender", default=None, help="Sender.")
@click.option("--kind", default=None, type=click.Choice(["common", "flash", "short_code", "short_code_flash"]))
@click.option("--schedule-at", default=None, help="RFC 3339 with zone.")
@click.option("--valid-for", default=None, type=float, help="Seconds.")
@click.option("--wait", default=0.0, type=Seconds, help="Seconds to wait for the final event; its events are printed.")
@json_option
def send(path: Path, broker_url: str, prefix: str, source: str, wait: float, as_json: bool, **fields: Any) -> None:
    """Publish one message to the broker of the configuration.

    Without --wait it prints the id. With it, exit code 0 means: it ended well.
    """
    if source and not topics.SOURCE.fullmatch(source):
        raise click.BadParameter("needs 1 to 32 of a-z, 0-9 and -", param_hint="--source")
    if fields["text"] == "-":
        fields["text"] = sys.stdin.read().rstrip("\n")
    fields["from"] = fields.pop("sender")
    payload = {name: value for name, value in fields.items() if value is not None}
    with one_line(producer.SendError):
        broker = _only_broker(broker_url, prefix) if broker_url else config.load(path).broker
        logs.configure("error", "auto")
        shown = _show_event_json if as_json else _show_event
        code = asyncio.run(producer.send(broker, payload, source, wait, shown))
    if not wait:
        click.echo(json.dumps({"id": payload["id"]}) if as_json else payload["id"])
    sys.exit(code)


def _only_broker(url: str, prefix: str) -> config.Broker:
    """Return the broker's settings for a producer without a configuration. Credentials come from the environment."""
    ours = {key: value for key, value in os.environ.items() if key.startswith("MENSAGEIRO_BROKER__")}
    return config.parse_broker({"url": url, "topic_prefix": prefix}, ours)


def _show_event_json(event: dict[str, Any]) -> None:
    click.echo(json.dumps(event, ensure_ascii=False))


def _show_event(event: dict[str, Any]) -> None:
    told = event.get("state") or event.get("reason") or event.get("carrier") or ""
    click.echo(f"{event['time']} {event['type']:<13} {told}{'  (final)' if event['final'] else ''}")
