"""What `mensageiro privacy` does: forget a number through the running daemon, a slice a request, and export what is kept about one.

`forget` needs the daemon, since it alone writes the journal; between two slices it goes on with its work. `export` reads the journal
itself, beside a daemon or without one. A number is asked for at the terminal, or read from stdin, so that it need not stand in a list of
processes or a shell's history; it is never logged, and no error repeats it.
"""

import asyncio
import itertools
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway import control
from gateway.control import ControlError, Request
from gateway.journal import reader
from gateway.journal.base import Forgotten, Left, Place
from gateway.msisdn import parse


class Summary(msgspec.Struct):
    """What all slices together erased and left."""

    erased: Counter[str] = msgspec.field(default_factory=Counter)  # messages, replies, receipts, refused
    left: list[Left] = []


async def forget(socket: Path, number: str, progress: Callable[[str], None]) -> Summary:
    """Erase what is kept about a national number, slice by slice; `progress` hears of each. Raises ControlError."""
    summary, place = Summary(), Place()
    for slices in itertools.count(1):
        found = await _slice(socket, Request(command="forget", number=number, place=place))
        summary.erased.update(found.erased)
        summary.left += found.left
        progress(f"{slices} slices, {sum(summary.erased.values())} erased")
        if found.next is None:
            break
        place = found.next
    return summary


async def _slice(socket: Path, request: Request) -> Forgotten:
    try:
        found = msgspec.convert(await control.ask(socket, request), Forgotten)
    except (FileNotFoundError, ConnectionRefusedError):
        raise ControlError(f"no gateway runs on {socket}") from None
    if found.busy:
        raise ControlError("too many events wait for the broker: try again once they are published")
    return found


def export(journal_path: Path, number: str) -> dict[str, object]:
    """Read all that is kept about a national number. Raises ControlError where there is no journal."""
    if not journal_path.exists():
        raise ControlError(f"there is no journal at {journal_path}")
    journal = reader.read_only(journal_path)
    try:
        return {"number": number, **asyncio.run(journal.known(number))}
    finally:
        journal.close()


def write(document: dict[str, object], path: Path | None) -> None:
    """Print an export, or write it to a new file that its owner alone can read. Raises OSError, also where the file exists."""
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if path is None:
        sys.stdout.write(text)
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def national(written: str) -> str:
    """Return a number as the journal has it. Raises InvalidNumberError, which does not repeat it."""
    return parse(written.strip()).national
