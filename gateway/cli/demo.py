"""`mensageiro demo`: see `gateway.demo`."""

import sqlite3
import sys

import click

from gateway import demo
from gateway.cli.shared import json_option, one_line


@click.command("demo", short_help="Broker, provider and gateway in one go, live.")
@click.option("--broker", "broker_url", default="", help="A broker of yours (mqtt://host:port) instead of the built-in one.")
@click.option("--smpp-down", is_flag=True, help="Show the fallback: SMPP is cut, the HTTP API too, and SMPP returns.")
@click.option("--seconds", default=60.0, show_default=True, help="Give up after.")
@json_option
def demo_command(broker_url: str, smpp_down: bool, seconds: float, as_json: bool) -> None:
    """Broker, provider and gateway on loopback: every outcome, live."""
    with one_line(demo.DemoError, sqlite3.Error):
        sys.exit(demo.run(broker_url, seconds, smpp_down=smpp_down, as_json=as_json or not sys.stdout.isatty()))
