"""`mensageiro check-config`: whether a configuration is one, and what it comes to."""

import json
from pathlib import Path

import click

from gateway import config
from gateway.cli.shared import config_option, json_option, one_line


@click.command("check-config", short_help="Check a configuration, and show what it comes to.")
@config_option
@click.option("--no-files", is_flag=True, help="Do not look at files that it names: secrets, certificates.")
@json_option
def check_config(path: Path, no_files: bool, as_json: bool) -> None:
    """Check a configuration, and show what it comes to.

    Where its secrets come from systemd (/run/credentials), they are there while the service runs: check it with --no-files before.
    """
    with one_line():
        settings = config.load(path)
        if not no_files:
            config.check(settings)
    if as_json:
        click.echo(json.dumps(config.public(settings), indent=2))
    else:
        carriers = ", ".join(f"{name} ({_where(each)})" for name, each in settings.carriers.items())
        click.echo(f"ok: {path}: instance {settings.gateway.instance}, broker {settings.broker.url}, carriers {carriers}")


def _where(carrier: config.Carrier) -> str:
    match carrier:
        case config.Smpp():
            return f"{carrier.host}:{carrier.port}"
        case config.Http():
            return carrier.base_url
        case config.Webservice():
            return carrier.url
