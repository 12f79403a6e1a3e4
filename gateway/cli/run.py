"""`mensageiro run`: the daemon. A module of its own, since it loads all of it."""

import sqlite3
import sys
from pathlib import Path

import click

from gateway import app, config, logs
from gateway.cli.shared import config_option, one_line
from gateway.journal.base import JournalVersionError


@click.command()
@config_option
def run(path: Path) -> None:
    """Run the gateway until SIGTERM or SIGINT. SIGHUP reads the configuration again."""
    with one_line(sqlite3.Error, refusals=(app.StartError, JournalVersionError)):
        settings = config.load(path)
        config.check(settings)
        logs.configure(settings.log.level, settings.log.format)
        sys.exit(app.run(settings, path))
