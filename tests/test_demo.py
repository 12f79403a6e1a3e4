"""The demo, as a user runs it: real processes, every message to its end, nothing left behind."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gateway.demo.fallback import ACTS, IN_DOUBT
from gateway.demo.outcomes import CASES
from gateway.demo.ports import free_port
from gateway.schema import schemas
from tests.support.mosquitto import Mosquitto

ENTRY = ("-m", "gateway")
WITHOUT_IOTCORE = ("-c", "import sys; sys.modules['iotcore'] = None; from gateway.cli import main; main()")


def demo(folder: Path, *options: str, entry: tuple[str, ...] = ENTRY, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """Run `mensageiro demo` with its temporary files in `folder`."""
    arguments: dict[str, Any] = {"capture_output": True} | kwargs
    command = [sys.executable, "-W", "error", *entry, "demo", *options]
    return subprocess.run(command, text=True, timeout=90, env=environment(folder), check=False, **arguments)


def environment(folder: Path) -> Mapping[str, str]:
    folder.mkdir(exist_ok=True)
    return os.environ | {"TMPDIR": str(folder), "COLUMNS": "140", "LINES": "60", "TERM": "xterm"}


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    (line,) = result.stderr.splitlines()
    assert line.startswith("mensageiro: ")
    return str(line)


def test_every_message_of_the_demo_ends_as_its_number_says(tmp_path: Path) -> None:
    result = demo(tmp_path / "tmp", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    *events, summary = [json.loads(line) for line in result.stdout.splitlines()]
    documents = schemas()
    for event in events:
        jsonschema.Draft202012Validator(documents[f"event-{event['type']}"]).validate(event)
    final = {event["id"]: event for event in events if event["final"]}
    assert set(final) == {f"demo-{case.tail}" for case in CASES}
    for code in (2, 3, 4, 5, 7, 8, 9):
        assert final[f"demo-000{code}"]["code"] == code
    for code in (0, 1, 6):
        assert [event["code"] for event in events if event["id"] == f"demo-000{code}" and event["type"] == "receipt"] == [code, 2]
    endings = {tail: final[f"demo-{tail}"]["type"] for tail in ("1011", "1088", "2001", "2002", "2003", "7002", "7003")}
    assert endings == {
        "1011": "rejected",
        "1088": "expired",
        "2001": "in_doubt",
        "2002": "receipt",
        "2003": "receipt",
        "7002": "cancelled",
        "7003": "rejected",
    }
    replies = {event["in_reply_to"]: event["text"] for event in events if event["type"] == "reply"}
    assert replies == {"demo-2012": "Sim, pode confirmar. Até à vista!", "demo-2013": "Primeira parte, segunda parte, terceira."}
    assert len([event for event in events if event["id"] == "demo-7005" and event["type"] == "receipt"]) == 3
    assert summary["summary"]["ended"] == len(CASES)
    assert summary["summary"]["seconds"] < 60
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.fault
def test_on_a_terminal_the_demo_is_a_table_here_with_a_broker_of_the_users(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with Mosquitto(tmp_path / "mosquitto") as broker, os.fdopen(ours, "rb", buffering=0) as terminal:
        command = [sys.executable, "-W", "error", *ENTRY, "demo", "--broker", f"mqtt://127.0.0.1:{broker.port}"]
        process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment(tmp_path / "tmp"))
        os.close(theirs)
        shown = read_all(terminal)
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, b"")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    last = plain[plain.rindex("what it shows") :]
    for case in CASES:
        assert case.tail in last
    assert last.count("✓") == len(CASES)
    assert f"{len(CASES)} of {len(CASES)} messages ended, 2 replies" in last


@pytest.mark.fault
def test_the_fallback_demo_sends_by_what_is_left_and_never_by_two_ways(tmp_path: Path) -> None:
    result = demo(tmp_path / "tmp", "--smpp-down", "--json", "--seconds", "80")
    assert (result.returncode, result.stderr) == (0, "")
    *told, summary = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["act"] for line in told if "act" in line] == [act.title for act in ACTS]
    events = [line for line in told if "act" not in line]
    for number, act in enumerate(ACTS, 1):
        for tail in act.tails:
            story = [event for event in events if event["id"] == f"demo-{number}-{tail}"]
            assert sum(event["final"] for event in story) == 1
            assert {event["carrier"] for event in story} == {act.carrier}
            assert ("accepted" in {event["type"] for event in story}) == (tail != IN_DOUBT)
    final = {event["id"]: event for event in events if event["final"]}
    states = {id: event.get("state", event["type"]) for id, event in final.items()}
    assert states["demo-1-2001"] == "in_doubt"
    assert (states["demo-1-0005"], states["demo-2-0005"], states["demo-3-0008"]) == ("undeliverable", "undeliverable", "rejected")
    assert (final["demo-2-5555"]["confirmed"], final["demo-2-0006"]["confirmed"]) == (True, False)
    assert [event["text"] for event in events if event["type"] == "reply"] == ["Sim, pode confirmar. Até à vista!"]
    assert summary["summary"]["by"] == {"smpp": 5, "http": 4, "webservice": 3}
    assert list((tmp_path / "tmp").iterdir()) == []


def read_all(terminal: Any) -> str:
    shown = b""
    try:
        while chunk := terminal.read(65536):
            shown += chunk
    except OSError:  # EIO: how a pseudo-terminal says that its other end is closed
        pass
    return shown.decode()


def test_without_its_broker_the_demo_says_what_to_install(tmp_path: Path) -> None:
    result = demo(tmp_path / "tmp", entry=WITHOUT_IOTCORE)
    assert result.returncode == 1
    assert "mensageiro[demo]" in one_line(result)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_broker_that_is_not_there_ends_the_demo_at_once(tmp_path: Path) -> None:
    result = demo(tmp_path / "tmp", "--broker", f"mqtt://127.0.0.1:{free_port()}")
    assert result.returncode == 1
    assert "no connection to the broker" in one_line(result)
    (kept,) = (tmp_path / "tmp").iterdir()
    assert str(kept) in result.stderr


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "mqtt://user:hunter22@127.0.0.1"])
def test_a_broker_that_is_none_is_bad_usage(tmp_path: Path, url: str) -> None:
    result = demo(tmp_path / "tmp", "--broker", url)
    assert result.returncode == 2
    assert "broker.url: " in one_line(result)
    assert "hunter22" not in result.stderr
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_demo_that_runs_out_of_time_fails_and_says_where_its_log_is(tmp_path: Path) -> None:
    result = demo(tmp_path / "tmp", "--json", "--seconds", "0.2")
    assert result.returncode == 1
    (kept,) = (tmp_path / "tmp").iterdir()
    assert str(kept) in one_line(result)
    assert (kept / "gateway.log").stat().st_size > 0
    assert json.loads(result.stdout.splitlines()[-1])["summary"]["ended"] < len(CASES)


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, *ENTRY, "demo", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path / "tmp")) as process:
        assert process.stdout is not None
        assert process.stdout.readline()  # it runs
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, b"")
    assert list((tmp_path / "tmp").iterdir()) == []
