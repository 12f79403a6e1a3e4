"""`mensageiro privacy` with a real gateway: what is forgotten stands in no file any more, and nobody but the owner may read the files."""

import asyncio
import json
import os
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway import privacy
from gateway.cli import main
from gateway.events import rfc3339
from tests.support.stack import Stack
from tests.support.waiting import until

NUMBER = "11987652012"  # the sandbox sends a reply
TEXT = "Marcador da consulta de amanha"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """A whole installation whose processes would let everybody read everything."""
    before = os.umask(0)
    stack = Stack(tmp_path)
    try:
        await stack.start()
        yield stack
    finally:
        os.umask(before)
        await stack.close()
    assert NUMBER not in stack.gateway.output
    assert TEXT not in stack.gateway.output


async def command(stack: Stack, *arguments: str, stdin: str = "") -> Result:
    """Run a command of ours in another thread: it has a loop of its own."""
    whole = ["privacy", *arguments, "--config", str(stack.folder / "gateway.toml")]
    return await asyncio.to_thread(CliRunner().invoke, main, whole, stdin)


def traces(folder: Path) -> list[str]:
    """Name the files of the state that still hold the number or the text."""
    files = [path for path in folder.iterdir() if path.is_file()]
    return sorted(path.name for path in files for word in (NUMBER, TEXT) if word.encode() in path.read_bytes())


async def exported(stack: Stack) -> dict[str, Any]:
    result = await command(stack, "export", "-", stdin=f"{NUMBER}\n")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


async def test_a_number_is_exported_and_forgotten_while_the_gateway_runs(stack: Stack) -> None:
    await stack.send({"id": "a", "to": NUMBER, "text": TEXT, "metadata": {"nome": TEXT}})
    await stack.until_ended(["a"])
    await until(lambda: any(event["type"] == "reply" for event in stack.events), "the reply")
    await stack.until_metric("mensageiro_outbox_events", lambda events: events == 0)

    known = await exported(stack)
    assert [(message["id"], message["to"], message["text"]) for message in known["messages"]] == [("a", NUMBER, TEXT)]
    assert [reply["from"][-11:] for reply in known["replies"]] == [NUMBER]
    assert traces(stack.state_dir)

    result = await command(stack, "forget", "-", "--yes", "--json", stdin=f"+55 {NUMBER}\n")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"erased": {"messages": 1, "replies": 1, "receipts": 0, "refused": 0}, "left": []}
    empty = {"number": NUMBER, "messages": [], "replies": [], "receipts": [], "refused": [], "fragments": []}
    assert await exported(stack) == empty
    await until(lambda: not traces(stack.state_dir), "the WAL is cut")

    await stack.send({"id": "b", "to": "11987650002", "text": "depois"})
    await stack.until_ended(["b"])
    assert await stack.gateway.stop() == 0
    assert traces(stack.state_dir) == []
    assert await exported(stack) == empty


async def test_what_is_under_way_is_told_and_exit_code_1_says_so(stack: Stack) -> None:
    await stack.send({"id": "later", "to": NUMBER, "text": TEXT, "schedule_at": rfc3339(time.time() + 3600)})
    await stack.until_metric('mensageiro_queue_messages{state="scheduled"}', lambda number: number == 1)
    result = await command(stack, "forget", "-", "--yes", stdin=NUMBER)
    assert result.exit_code == 1
    assert "erased: 0 messages, 0 replies, 0 receipts, 0 refused" in result.stdout
    assert "/later" in result.stdout
    assert "scheduled" in result.stdout
    assert "run this again" in result.stderr
    assert NUMBER not in result.output


async def test_only_the_owner_may_read_what_is_kept(stack: Stack) -> None:
    await stack.send({"id": "a", "to": NUMBER, "text": TEXT})
    await stack.until_ended(["a"])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in stack.state_dir.iterdir()}
    assert {"journal.db", "journal.db-wal", "journal.db-shm", "journal.db.lock", "control.sock"} <= set(modes)
    assert {name: mode for name, mode in modes.items() if mode != 0o600} == {}
    assert stat.S_IMODE(stack.state_dir.stat().st_mode) == 0o700


# --- Without a gateway ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(f'[gateway]\nstate_dir = "{tmp_path}"\n[carriers.smpp]\nkind = "smpp"\nsystem_id = "u"\npassword = "p"\n')
    return path


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["privacy", *arguments], stdin)


def test_forgetting_needs_the_gateway(config_file: Path) -> None:
    result = run("forget", "-", "--yes", "--config", str(config_file), stdin=NUMBER)
    assert (result.exit_code, result.stderr) == (1, f"mensageiro: no gateway runs on {config_file.parent}/control.sock\n")


def test_an_export_needs_a_journal(config_file: Path) -> None:
    result = run("export", "-", "--config", str(config_file), stdin=NUMBER)
    assert (result.exit_code, result.stderr) == (1, f"mensageiro: there is no journal at {config_file.parent}/journal.db\n")


@pytest.mark.parametrize("name", ["forget", "export"])
def test_a_number_is_asked_for_and_a_bad_one_is_not_repeated(config_file: Path, name: str) -> None:
    result = run(name, "--config", str(config_file), stdin="119876\n")
    assert result.exit_code == 2
    assert "Number: " in result.stderr
    assert "the number is too short" in result.stderr
    assert "119876" not in result.stderr.replace("Number: 119876", "")  # what was typed is seen where it is typed


def test_what_is_not_confirmed_is_not_done(config_file: Path) -> None:
    result = run("forget", NUMBER, "--config", str(config_file), stdin="n\n")
    assert result.exit_code == 1
    assert "55119****2012" in result.stderr
    assert result.stderr.endswith("mensageiro: nothing was erased\n")


def test_a_number_from_stdin_leaves_nobody_to_ask(config_file: Path) -> None:
    result = run("forget", "-", "--config", str(config_file), stdin=NUMBER)
    assert (result.exit_code, "--yes" in result.stderr) == (2, True)


def test_an_export_into_a_file_is_for_its_owner_and_overwrites_nothing(config_file: Path) -> None:
    out = config_file.parent / "export.json"
    before = os.umask(0)
    try:
        privacy.write({"number": NUMBER}, out)
    finally:
        os.umask(before)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        privacy.write({}, out)
    assert json.loads(out.read_text()) == {"number": NUMBER}
