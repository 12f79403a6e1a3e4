"""`mensageiro privacy`: forget a number, or export what is kept about one. See `gateway.privacy`."""

import asyncio
import sqlite3
import sys
from pathlib import Path

import click

from gateway import config, printing, privacy
from gateway.cli.shared import OneLineGroup, PathType, config_option, fail, json_option, one_line
from gateway.control import ControlError
from gateway.journal.base import JournalVersionError
from gateway.msisdn import InvalidNumberError, Msisdn


@click.group("privacy", cls=OneLineGroup)
def privacy_group() -> None:
    """Forget a number, or tell what is kept about it (LGPD).

    Without NUMBER it is asked for, or read from stdin with -: what is an argument shows in lists of processes and in a shell's history.
    """


def _number(written: str | None) -> str:
    """Return national digits, asked for where they are not given."""
    try:
        return privacy.national(sys.stdin.readline() if written == "-" else written or click.prompt("Number", err=True))
    except InvalidNumberError as error:
        raise click.BadParameter(str(error), param_hint="NUMBER") from None


@privacy_group.command(short_help="Erase what is kept about a number.")
@click.argument("number", required=False)
@click.option("--yes", is_flag=True, help="Do not ask whether to.")
@config_option
@json_option
def forget(number: str | None, yes: bool, path: Path, as_json: bool) -> None:
    """Erase text and number of what has ended, and what producers gave with it. Counts and ids stay. Needs the running gateway.

    Exit code 1: something is under way and was left; run it again when that has ended.
    """
    if number == "-" and not yes:
        raise click.UsageError("a number from stdin needs --yes")
    digits = _number(number)
    if not yes and not click.confirm(f"Erase all that has ended about {Msisdn(digits).masked}, for good?", err=True):
        fail("nothing was erased", 1)
    with one_line(ControlError):
        summary = asyncio.run(privacy.forget(config.load(path).control_path, digits, printing.progress))
    printing.forgotten(summary.erased, summary.left, as_json)
    sys.exit(1 if summary.left else 0)


@privacy_group.command(short_help="Tell all that is kept about a number.")
@click.argument("number", required=False)
@click.option("--out", type=PathType, help="A new file for it, readable by you alone, instead of stdout.")
@config_option
def export(number: str | None, out: Path | None, path: Path) -> None:
    """Write all that is kept about a number as JSON: messages with text and events, replies, receipts, refused payloads."""
    digits = _number(number)
    with one_line(ControlError, sqlite3.Error, refusals=(JournalVersionError,)):
        privacy.write(privacy.export(config.load(path).journal_path, digits), out)
