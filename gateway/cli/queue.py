"""`mensageiro queue` and `mensageiro show`: look at the queue, and change it.

What changes it asks the running daemon. What only reads asks it too, and reads the journal where none runs; both answer in the same shapes.
"""

import asyncio
import json
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway import config, control, printing
from gateway.cli.shared import OneLineGroup, config_option, fail, json_option, moment, one_line
from gateway.config import Config
from gateway.control import CommandName, ControlError, Request, Verdict
from gateway.journal import reader
from gateway.journal.base import MOST, JournalVersionError, Selection
from gateway.message import EventType, QueueState

STATES = [state.name.lower() for state in QueueState]
LOOKED_UP = 10_000  # messages: several producers may have used an id
WAITING = [state.name.lower() for state in QueueState if state is not QueueState.DONE]

_one_line = partial(one_line, ControlError, sqlite3.Error, refusals=(JournalVersionError,))


def _selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which messages are meant."""
    for option in reversed(
        [
            click.argument("ids", nargs=-1),
            click.option("--source", default=None, help="Only this producer's."),
            click.option("--state", default=None, metavar="STATE", type=click.Choice(STATES), help=f"{', '.join(STATES)}."),
            click.option("--carrier", default=None, help="Only this carrier's."),
            click.option("--since", default=None, help="Received (or told, for replay) since: RFC 3339."),
            click.option("--until", default=None, help="Until: RFC 3339."),
            click.option("--all", "all", is_flag=True, help="All."),
            click.option("--limit", default=1000, show_default=True, type=click.IntRange(1, MOST), help="At most."),
        ]
    ):
        command = option(command)
    return command


def _selection(options: dict[str, Any]) -> Selection:
    for name in ("since", "until"):
        options[name] = moment(options[name], f"--{name}")
    return Selection(**{**options, "ids": tuple(options.pop("ids", ()))})


@click.group("queue", cls=OneLineGroup)
def queue_group() -> None:
    """Look at the queue, and change it."""


@click.command(short_help="Tell the story of a message.")
@click.argument("id")
@click.option("--source", default=None, help="Only this producer's.")
@config_option
@json_option
def show(id: str, source: str | None, path: Path, as_json: bool) -> None:
    """Tell the story of a message: its state, attempts, parts and events."""
    with _one_line():
        found = _ask(path, Request(command="show", selection=Selection(ids=(id,), source=source)))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif not found:
        fail(f"no message with id {id}", 1)
    else:
        for message in found:
            printing.story(message)
    sys.exit(0 if found else 1)


@queue_group.command()
@config_option
@json_option
def stats(path: Path, as_json: bool) -> None:
    """Count what waits, and since when."""
    with _one_line():
        found = _ask(path, Request(command="stats"))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    rows = [(name, each["number"], printing.age(each["oldest"])) for name, each in (found["queue"] | {"outbox": found["outbox"]}).items()]
    rows += [("outbox set aside", found["set_aside"], ""), ("parked receipts", found["parked"], "")]
    rows += [("unmatched receipts", found["unmatched"], "")]
    printing.table(("", "number", "oldest"), rows)


@queue_group.command("list", short_help="List messages.")
@_selection_options
@config_option
@json_option
def list_command(path: Path, as_json: bool, **options: Any) -> None:
    """List messages, newest first; without a condition, all that have not ended."""
    selection = _selection(options)
    with _one_line():
        found = _waiting(path, selection) if _names_nothing(selection) else _ask(path, Request(command="list", selection=selection))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    printing.records(("source", "id", "state", "to", "carrier", "attempt", "received_at", "last_error"), found)


def _waiting(path: Path, selection: Selection) -> list[dict[str, Any]]:
    """List what has not ended, newest first: state by state, so that no limit is used up by what has."""
    found: dict[int, dict[str, Any]] = {}  # by row: one may change its state between two questions
    for state in WAITING:
        for message in _ask(path, Request(command="list", selection=msgspec.structs.replace(selection, state=state))):
            found[message["row"]] = message
    return [found[row] for row in sorted(found, reverse=True)][: selection.limit]


def _changing(name: CommandName, help: str) -> click.Command:
    """Add a command that changes what is selected."""

    @queue_group.command(name, help=help)
    @_selection_options
    @config_option
    @json_option
    def change(path: Path, as_json: bool, **options: Any) -> None:
        _change(path, Request(command=name, selection=_selection(options)), as_json)

    return change


_changing("hold", "Keep waiting messages from being sent.")
_changing("release", "Let held messages be sent.")
_changing("retry", "Make deferred messages due now.")
_replay = _changing("replay", "Publish events again, with their old event_ids.")
click.option(
    "--type", "type", default=None, type=click.Choice([each.value for each in EventType]), metavar="TYPE", help="Only such events."
)(_replay)


@queue_group.command()
@_selection_options
@click.option("--as", "verdict", required=True, type=click.Choice(["submitted", "rejected", "resubmit"]), help="What became of them.")
@config_option
@json_option
def resolve(path: Path, as_json: bool, verdict: Verdict, **options: Any) -> None:
    """End the doubt of messages in doubt by your word."""
    _change(path, Request(command="resolve", selection=_selection(options), verdict=verdict), as_json)


@queue_group.command("retry-set-aside")
@config_option
@json_option
def retry_set_aside(path: Path, as_json: bool) -> None:
    """Publish again the events that were set aside."""
    with _one_line():
        number = _ask_daemon(path, Request(command="retry-set-aside"))
    printing.number(number, as_json)


def _change(path: Path, request: Request, as_json: bool) -> None:
    if _names_nothing(request.selection):
        raise click.UsageError("say which: ids, --state, --carrier, --source, --since, --until or --all")
    with _one_line():
        number = _ask_daemon(path, request)
        printing.number(number, as_json)
        missed = _missed(path, request.selection, number)
    if number >= request.selection.limit:
        click.echo(f"mensageiro: that is the limit (--limit {number}): there may be more", err=True)
    if missed:
        fail(missed, 1)


def _missed(path: Path, selection: Selection, number: int) -> str:
    """Say which of the messages that were named do not exist, or how they stand where not all of them were changed; else nothing."""
    if not selection.ids:
        return ""
    named = Selection(ids=selection.ids, source=selection.source, limit=LOOKED_UP)
    states = {message["id"]: message["state"] for message in _ask_daemon(path, Request(command="list", selection=named))}
    if unknown := [id for id in dict.fromkeys(selection.ids) if id not in states]:
        return f"no message with id {', '.join(unknown)}"
    if number < len(states):
        return f"not all of them: {', '.join(f'{id} is {state}' for id, state in states.items())}"
    return ""


def _names_nothing(selection: Selection) -> bool:
    return selection == Selection(limit=selection.limit)


def _ask_daemon(path: Path, request: Request) -> Any:
    socket = config.load(path).control_path
    try:
        return asyncio.run(control.ask(socket, request))
    except (FileNotFoundError, ConnectionRefusedError):
        raise ControlError(f"no gateway runs on {socket}") from None


def _ask(path: Path, request: Request) -> Any:
    """Ask the daemon, or read the journal where none runs. Both answer in the same shapes."""
    settings = config.load(path)
    try:
        return asyncio.run(control.ask(settings.control_path, request))
    except (FileNotFoundError, ConnectionRefusedError):
        return asyncio.run(_read(settings, request))


async def _read(settings: Config, request: Request) -> Any:
    if not settings.journal_path.exists():
        raise ControlError(f"no gateway runs, and there is no journal at {settings.journal_path}")
    journal = reader.read_only(settings.journal_path)
    try:
        return msgspec.to_builtins(await control.read(journal, request), str_keys=True)
    finally:
        journal.close()
