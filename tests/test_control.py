"""The control socket: operators' commands, answered by a daemon that holds the journal."""

import asyncio
import contextlib
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import control
from gateway.cli import main
from gateway.control import Control, ControlError, Request
from gateway.journal.base import Bells, Selection, Settlement
from gateway.journal.reader import read_only
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import Answer, InDoubt, Message
from tests.support.waiting import DEADLINE

NOW = 1_800_000_000.0
READINESS: dict[str, object] = {"ready": True}


class Bench:
    """A control socket in front of a real journal."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "control.sock"
        self.journal_path = folder / "journal.db"
        self.journal = SqliteJournal(self.journal_path, Policies(instance="test", owner="test"), commit_interval=0.0, clock=lambda: NOW)
        self.bells = Bells()
        self.control = Control(self.path, self.journal, self.bells, lambda: NOW, lambda: READINESS)

    async def queue(self, *ids: str) -> None:
        fields: dict[str, Any] = {"source": "shop", "to": "11987654321", "text": "segredo", "digest": b"d", "routes": ("smpp",)}
        await self.journal.append([Message(id=id, received_at=NOW, expires_at=NOW + 60, **fields) for id in ids])

    async def ask(self, command: Any, verdict: Any = None, **selection: Any) -> Any:
        return await control.ask(self.path, Request(command=command, selection=Selection(**selection), verdict=verdict))

    async def raw(self, line: bytes) -> bytes:
        """Speak to the socket without our own client."""
        reader, writer = await asyncio.open_unix_connection(self.path)
        try:
            writer.write(line)
            writer.write_eof()
            async with asyncio.timeout(DEADLINE):
                return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.journal.open()
    await bench.control.start()
    yield bench
    await bench.control.stop()
    await bench.journal.close()


async def test_only_its_owner_may_use_the_socket_and_it_is_gone_after_the_stop(bench: Bench) -> None:
    assert stat.S_IMODE(bench.path.stat().st_mode) == 0o600
    await bench.control.stop()
    assert not bench.path.exists()
    with pytest.raises(FileNotFoundError):
        await bench.ask("stats")


async def test_making_the_socket_leaves_the_mask_of_the_process_alone(bench: Bench) -> None:
    before = os.umask(0o022)
    os.umask(before)
    await bench.control.stop()
    await bench.control.start()
    after = os.umask(before)
    assert after == before


async def test_a_socket_that_a_killed_daemon_left_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "control.sock").write_text("left over")
    bench = Bench(tmp_path)
    await bench.journal.open()
    await bench.control.start()
    assert await bench.ask("ready") == {"ready": True}
    await bench.control.stop()
    await bench.journal.close()


async def test_stats_list_and_show_tell_of_messages_without_their_text_or_whole_number(bench: Bench) -> None:
    await bench.queue("a", "b")
    await bench.journal.tick(NOW)  # which looks for the oldest
    stats = await bench.ask("stats")
    assert stats["queue"]["queued"] == {"number": 2, "oldest": NOW}
    assert stats["queue"]["held"] == {"number": 0, "oldest": None}
    assert stats["outbox"] == {"number": 0, "oldest": None}
    listed = await bench.ask("list", state="queued")
    (shown,) = await bench.ask("show", ids=("a",))
    assert {message["id"] for message in listed} == {"a", "b"}
    assert shown["id"] == "a"
    for found in (listed, shown):
        assert "segredo" not in json.dumps(found)
        assert "11987654321" not in json.dumps(found)


async def test_messages_are_held_released_and_the_stages_woken(bench: Bench) -> None:
    await bench.queue("a", "b")
    assert await bench.ask("hold", ids=("a",)) == 1
    assert bench.bells.queue.is_set()
    assert await bench.journal.claim("smpp", [("smpp",)], 0, NOW) == []
    assert [message["state"] for message in await bench.ask("show", ids=("a",))] == ["held"]
    assert await bench.ask("release", state="held") == 1
    assert await bench.ask("retry", all=True) == 0


async def test_nothing_is_chosen_without_a_condition(bench: Bench) -> None:
    await bench.queue("a")
    assert await bench.ask("hold") == 0
    assert await bench.ask("hold", all=True) == 1


async def test_a_doubt_is_resolved_by_a_verdict_and_only_by_one(bench: Bench) -> None:
    await bench.queue("a")
    (message,) = await bench.journal.claim("smpp", [("smpp",)], 1, NOW)
    await bench.journal.settle([Settlement(Answer(message.row, message.attempt, InDoubt("no response"), NOW), "smpp")], NOW)
    with pytest.raises(ControlError, match="resolve needs a verdict"):
        await bench.ask("resolve", ids=("a",))
    assert await bench.ask("resolve", "rejected", ids=("a",)) == 1
    assert [message["state"] for message in await bench.ask("show", ids=("a",))] == ["done"]
    assert await bench.ask("resolve", "rejected", ids=("a",)) == 0


async def test_events_are_replayed_and_rows_put_back_in_line(bench: Bench) -> None:
    await bench.queue("a")
    await bench.journal.claim("smpp", [("smpp",)], 1, NOW + 100)  # expired
    rows = await bench.journal.outbox(0, 10)
    await bench.journal.published([row.row for row in rows])
    assert await bench.ask("replay", ids=("a",)) == 1
    (again,) = await bench.journal.outbox(0, 10)
    assert again.payload == rows[0].payload
    assert await bench.ask("retry-set-aside") == 0


@pytest.mark.parametrize("command", ["list", "hold", "release", "retry", "resolve", "replay"])
async def test_a_state_that_is_none_is_told_and_no_fault_of_the_journal(
    bench: Bench, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ControlError, match="no such state"):
        await bench.ask(command, "rejected", state="lost")
    assert "journal operation failed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}\n",
        b"nothing\n",
        b'{"command": "drop"}\n',
        b'{"command": "stats", "x": 1}\n',
        b'{"command": "list", "selection": {"ids": 5}}\n',
        b'{"command": "hold", "selection": {"all": true, "limit": 99999999999999999999}}\n',
        b'{"command": "forget", "number": "11987654321", "place": {"stage": "messages", "after": 9223372036854775808}}\n',
    ],
)
async def test_what_is_no_command_is_answered_with_an_error(bench: Bench, line: bytes) -> None:
    answer = json.loads(await bench.raw(line))
    assert set(answer) == {"error"}
    assert await bench.ask("ready") == {"ready": True}


async def test_a_line_without_end_closes_the_connection_and_nothing_else(bench: Bench) -> None:
    with contextlib.suppress(ConnectionError):
        assert await bench.raw(b"x" * (control.LINE_LIMIT + 100_000)) == b""
    assert await bench.ask("ready") == {"ready": True}


async def test_the_client_says_so_where_the_daemon_leaves(tmp_path: Path) -> None:
    server = await asyncio.start_unix_server(lambda _, writer: writer.close(), tmp_path / "control.sock")
    with pytest.raises((ControlError, ConnectionError)):
        await control.ask(tmp_path / "control.sock", Request(command="stats"))
    server.close()


async def test_a_journal_is_read_where_no_daemon_runs_but_never_changed(bench: Bench) -> None:
    await bench.queue("a")
    journal = read_only(bench.journal_path)
    assert await control.read(journal, Request(command="stats"))
    found: Any = await control.read(journal, Request(command="show", selection=Selection(ids=("a",))))
    assert [message["id"] for message in found] == ["a"]
    commands: list[Any] = ["hold", "replay", "ready"]
    for command in commands:
        with pytest.raises(ControlError, match="needs the running daemon"):
            await control.read(journal, Request(command=command))
    with pytest.raises(ControlError, match="no such state"):
        await control.read(journal, Request(command="list", selection=Selection(state="lost")))
    journal.close()


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=100)
def test_any_line_is_a_request_or_a_declared_error(line: bytes) -> None:
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
        assert isinstance(msgspec.json.decode(line, type=Request), Request)


async def test_the_socket_may_lie_deeper_than_its_name_could_be_long(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 200)
    folder.mkdir()
    path = folder / "control.sock"
    with pytest.raises(FileNotFoundError):
        await control.ask(path, control.Request(command="ready"))
    listener = control.Control(path, None, Bells(), lambda: 0.0, lambda: {"ready": True})  # type: ignore[arg-type] # no journal is asked
    await listener.start()
    try:
        assert path.stat().st_mode & 0o777 == 0o600
        assert await control.ask(path, control.Request(command="ready")) == {"ready": True}
    finally:
        await listener.stop()
    assert not path.exists()


# --- What the commands say --------------------------------------------------------------------------------------------------------


async def run(folder: Path, *arguments: str) -> Result:
    """Run a queue command as an operator does, against the socket in `folder`."""
    config = folder / "gateway.toml"
    config.write_text(f'[gateway]\nstate_dir = "{folder}"\n[carriers.smpp]\nkind = "smpp"\nsystem_id = "user"\npassword = "hunter22"\n')
    environment = {"MENSAGEIRO_CONFIG": str(config)}
    return await asyncio.to_thread(CliRunner().invoke, main, ["queue", *arguments], env=environment)


@pytest.mark.parametrize("command", ["hold", "release", "retry", "replay", "resolve"])
async def test_an_id_that_does_not_exist_is_told_and_the_others_are_changed_all_the_same(
    bench: Bench, tmp_path: Path, command: str
) -> None:
    await bench.queue("a")
    verdict = ("--as", "rejected") if command == "resolve" else ()
    result = await run(tmp_path, command, "a", "nobody", *verdict)
    assert (result.exit_code, result.stderr) == (1, "mensageiro: no message with id nobody\n")
    assert result.stdout == ("1 changed\n" if command == "hold" else "0 changed\n")


async def test_a_named_message_that_was_not_to_be_changed_is_told_with_its_state(bench: Bench, tmp_path: Path) -> None:
    await bench.queue("a", "b")
    result = await run(tmp_path, "release", "a", "--json")
    assert (result.exit_code, result.stdout, result.stderr) == (1, '{"changed": 0}\n', "mensageiro: not all of them: a is queued\n")
    assert (await run(tmp_path, "hold", "a")).stdout == "1 changed\n"
    assert (await run(tmp_path, "hold", "a", "b", "a")).stderr == "mensageiro: not all of them: b is held, a is held\n"
    assert (await run(tmp_path, "release", "a", "b")).exit_code == 0
    wrong = await run(tmp_path, "hold", "a", "--source", "another")
    assert (wrong.exit_code, wrong.stderr) == (1, "mensageiro: no message with id a\n")


async def test_a_condition_that_nothing_meets_is_no_failure(bench: Bench, tmp_path: Path) -> None:
    await bench.queue("a")
    result = await run(tmp_path, "retry", "--all")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "0 changed\n", "")


async def test_the_counts_have_names(bench: Bench, tmp_path: Path) -> None:
    await bench.queue("a", "b")
    await bench.journal.tick(NOW)
    found = json.loads((await run(tmp_path, "stats", "--json")).stdout)
    assert found["queue"]["queued"] == {"number": 2, "oldest": NOW}
    assert found["outbox"] == {"number": 0, "oldest": None}
    assert ["queued", "2", "0", "s"] in [line.split() for line in (await run(tmp_path, "stats")).stdout.splitlines()]
