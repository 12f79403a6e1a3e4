"""The command line: parses, calls, prints."""

import asyncio
import sys
from pathlib import Path

import click

from gateway import app, config, logs
from gateway.sandbox import smsc
from gateway.sandbox.settings import SmscSettings


@click.group()
def main() -> None:
    """Mensageiro."""


@main.command()
@click.option("--config", "path", required=True, envvar="MENSAGEIRO_CONFIG", type=click.Path(path_type=Path))
def run(path: Path) -> None:
    """Run the gateway."""
    try:
        settings = config.load(path)
        config.check(settings)
        logs.configure(settings.log.level, settings.log.format)
        sys.exit(app.run(settings))
    except (config.ConfigError, app.StartError) as error:
        click.echo(f"mensageiro: {error}", err=True)
        sys.exit(2)


@main.command()
@click.option("--host", default="127.0.0.1")
@click.option("--port", default=9500)
@click.option("--system-id", default="")
@click.option("--password-file", type=click.Path(path_type=Path))
@click.option("--response-delay", default=0.0)
@click.option("--receipt-delay", default=0.05)
@click.option("--max-rate", default=0.0)
@click.option("--ledger", type=click.Path(path_type=Path))
def sandbox(
    host: str, port: int, system_id: str, password_file: Path | None, response_delay: float, receipt_delay: float, max_rate: float, ledger: Path | None
) -> None:
    """Run a provider to try against."""
    password = password_file.read_text().rstrip("\n") if password_file else ""
    settings = SmscSettings(
        host=host,
        port=port,
        system_id=system_id,
        password=password,
        response_delay=response_delay,
        receipt_delay=receipt_delay,
        max_rate=max_rate,
        ledger_path=ledger,
    )
    click.echo(f"listening on {host}:{port}")
    asyncio.run(smsc.run(settings))
