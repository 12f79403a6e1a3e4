"""`mensageiro run`: the daemon."""

import signal
import sqlite3
import sys
from pathlib import Path

import click

from gateway import config, logs
from gateway.cli.shared import config_option, one_line


@click.command()
@config_option
def run(path: Path) -> None:
    """Run the gateway until SIGTERM or SIGINT. SIGHUP reads the configuration again."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload: it would end us
    with one_line():
        settings = config.load(path)
        config.check(settings)
        logs.configure(settings.log.level, settings.log.format)
    from gateway import app  # most of the time that a start takes: a wrong key is told before
    from gateway.journal.base import JournalVersionError

    with one_line(sqlite3.Error, refusals=(app.StartError, JournalVersionError)):
        sys.exit(app.run(settings, path))
