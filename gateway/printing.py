"""What the command line prints for people: tables, and the story of a message."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 1000  # columns of a table that no terminal shows: its rows must not be folded
STORY = {  # what `show` tells beside a message's own fields
    "attempts": ("n", "carrier", "opened_at", "doubtful_since"),
    "part_ids": ("attempt", "part", "parts", "message_id", "submitted_at", "code"),
    "events": ("seq", "time", "type", "state", "reason", "final", "published"),
}


def number(changed: int, as_json: bool) -> None:
    """Print how many were changed."""
    click.echo(json.dumps({"changed": changed}) if as_json else f"{changed} changed")


def progress(text: str) -> None:
    """Show how far a long command has come, on a terminal alone; the next one overwrites it."""
    if sys.stderr.isatty():
        click.echo(f"\r{text}\x1b[K", err=True, nl=False)


def forgotten(erased: Mapping[str, int], left: Sequence[tuple[str, str, str]], as_json: bool) -> None:
    """Print what was erased about a number, and what was left since it is under way."""
    if as_json:
        click.echo(json.dumps({"erased": erased, "left": [dict(zip(("kind", "what", "why"), each, strict=True)) for each in left]}))
        return
    progress("")
    click.echo("erased: " + ", ".join(f"{number} {kind}" for kind, number in erased.items()))
    if left:
        table(("left", "", ""), left)
        click.echo("these are under way: run this again when they have ended", err=True)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print columns, without a line of heads where none has a text. What stands in a cell is data: no markup, no emoji."""
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    columns = Table(*heads, box=None, pad_edge=False, show_header=any(heads))
    for row in rows:
        columns.add_row(*(plain(cell) for cell in row))
    with console.capture() as shown:
        console.print(columns)
    for line in shown.get().splitlines():
        click.echo(line.rstrip())  # the last column is padded, too


def records(names: Sequence[str], found: Sequence[dict[str, Any]]) -> None:
    """Print the named fields of each record."""
    rows = [[_plain(name, record.get(name)) for name in names] for record in found]
    table([name.removesuffix("_at").replace("_", " ") for name in names], rows)


def story(message: dict[str, Any]) -> None:
    """Print a message: its fields, attempts, parts and events."""
    plain = [(name, _plain(name, value)) for name, value in message.items() if name not in STORY]
    table(("", ""), [(name, text) for name, text in plain if text])
    for part, names in STORY.items():
        if message[part]:
            click.echo()
            records(names, message[part])


def _plain(name: str, value: Any) -> str:
    """Write a field for people."""
    return _clock(value) if name.endswith(("_at", "_since")) else plain(value)


def plain(value: object) -> str:
    """Write a value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in value.items())
    return "" if value is None else str(value)


def _clock(value: Any) -> str:
    return datetime.fromtimestamp(float(value)).astimezone().isoformat(timespec="seconds") if value else ""


def age(oldest: float | None) -> str:
    """Write how long ago a time is."""
    return "" if oldest is None else f"{max(0.0, time.time() - oldest):.0f} s"
