"""The control socket: the queue commands of the command line, answered by the running daemon.

`<state_dir>/control.sock`, mode 0600. One request a connection: a line of JSON {"command": ..., "selection": {...}, ...}, one line back,
{"ok": result} or {"error": text}. `read` serves the commands that only read where no daemon runs, too.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from gateway.journal.base import Bells, Journal, JournalBrokenError, JournalUnavailableError, Place, Selection, Stats
from gateway.message import QueueState

LINE_LIMIT = 1 << 20
DEADLINE = 30.0

Verdict = Literal["submitted", "rejected", "resubmit"]
CommandName = Literal["stats", "list", "show", "hold", "release", "retry", "resolve", "replay", "retry-set-aside", "forget", "ready"]


class Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One command."""

    command: CommandName
    selection: Selection = Selection()
    verdict: Verdict | None = None
    number: str = ""  # national digits, to forget
    place: Place = Place()


class ControlError(Exception):
    """The daemon refused a command, or does not answer."""


class Control:
    """The daemon's end of the socket."""

    def __init__(
        self, path: Path, journal: Journal, bells: Bells, clock: Callable[[], float], readiness: Callable[[], dict[str, object]]
    ) -> None:
        self._path, self._journal, self._bells, self._clock, self._readiness = path, journal, bells, clock, readiness
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. The journal's lock says that nobody else does, so a socket that is left over is removed."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        mask = os.umask(0o177)
        try:
            with _short_name(self._path) as name:
                listener.bind(name)
        finally:
            os.umask(mask)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LINE_LIMIT)

    async def stop(self) -> None:
        """Close the socket and remove it."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                answer = await self._answer(await reader.readline())
                writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
        except (TimeoutError, OSError, ValueError):
            return  # the other end left, or is no client of ours
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, object]:
        try:
            request = msgspec.json.decode(line, type=Request)
            if request.command == "ready":
                return {"ok": self._readiness()}
            return {"ok": await execute(self._journal, request, self._clock())}
        except (msgspec.DecodeError, ControlError, JournalUnavailableError, JournalBrokenError) as error:
            return {"error": str(error)}
        finally:
            self._bells.ring()


class Readable(Protocol):
    """What can be read of a journal, running or not."""

    def stats(self) -> Stats:
        """Return the counts."""
        ...

    def select(self, selection: Selection) -> Awaitable[list[dict[str, object]]]:
        """List messages."""
        ...

    def show(self, source: str | None, id: str) -> Awaitable[list[dict[str, object]]]:
        """Tell all about the messages with this id."""
        ...


async def read(journal: Readable, request: Request) -> object:
    """Carry a command out that only reads. Raises ControlError for any other."""
    selection = request.selection
    try:
        match request.command:
            case "stats":
                stats = journal.stats()
                queue = {state.name.lower(): size._asdict() for state, size in stats.queue.items()}
                return stats._asdict() | {"queue": queue, "outbox": stats.outbox._asdict()}
            case "list":
                return await journal.select(selection)
            case "show":
                return await journal.show(selection.source, selection.ids[0] if selection.ids else "")
    except ValueError as error:
        raise ControlError(str(error)) from None
    raise ControlError(f"{request.command} needs the running daemon")


async def execute(journal: Journal, request: Request, now: float) -> object:
    """Carry a command out. Raises ControlError for one that makes no sense."""
    selection = request.selection
    if selection.state is not None and selection.state.upper() not in QueueState.__members__:
        raise ControlError(f"no such state; one of {', '.join(QueueState.__members__).lower()}")
    match request.command:
        case "hold":
            return await journal.hold(selection)
        case "release":
            return await journal.release(selection)
        case "retry":
            return await journal.retry(selection, now)
        case "retry-set-aside":
            return await journal.retry_set_aside()
        case "replay":
            return await journal.replay(selection)
        case "forget":
            if not request.number.isdecimal():
                raise ControlError("forget needs a number")
            return msgspec.to_builtins(await journal.forget(request.number, request.place))
        case "resolve":
            if request.verdict is None:
                raise ControlError("resolve needs a verdict: submitted, rejected or resubmit")
            report = await journal.resolve(selection, request.verdict, now)
            return sum(number for count, number in report.counts.items() if count.name == "in_doubt")
        case _:
            return await read(journal, request)


async def ask(path: Path, request: Request) -> object:
    """Send a command to the daemon. Raises ControlError, and FileNotFoundError or ConnectionError where none runs."""
    try:
        with _short_name(path) as name:
            reader, writer = await asyncio.open_unix_connection(name, limit=64 * LINE_LIMIT)
    except NotADirectoryError:
        raise ControlError(f"gateway.state_dir: {path.parent} is no folder") from None
    try:
        async with asyncio.timeout(DEADLINE):
            writer.write(msgspec.json.encode(request) + b"\n")
            await writer.drain()
            answer = msgspec.json.decode(await reader.readline() or b'{"error":"the daemon closed the connection"}')
    except TimeoutError:
        raise ControlError("the daemon does not answer") from None
    finally:
        writer.close()
    if "error" in answer:
        raise ControlError(answer["error"])
    return answer["ok"]


@contextmanager
def _short_name(path: Path) -> Iterator[str]:
    """Give a socket a name of at most 107 octets, however deep its folder lies: unix(7), proc(5)."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
