"""A gateway under systemd: what it tells, when it falls silent, what SIGHUP changes. Real processes; the test is systemd's end."""

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import structlog

from gateway import systemd
from gateway.app import App
from gateway.config import CARRIER_KINDS, HOT, SECTIONS, parse
from gateway.journal.sqlite import SqliteJournal
from gateway.reload import differences
from tests.support.stack import Process, Stack
from tests.support.waiting import DEADLINE, until


class Manager:
    """As much of systemd as a service talks to. sd_notify(3)"""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        """Return all that was told so far, a line each."""
        with suppress(BlockingIOError):
            while True:
                self.heard += self.socket.recv(4096).decode().splitlines()
        return self.heard

    async def until(self, condition: Callable[[list[str]], bool], what: str) -> None:
        try:
            await until(lambda: condition(self.listen()), what)
        except AssertionError as error:
            raise AssertionError(f"{error}, heard: {self.heard}") from None


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    made = Manager(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(made.path))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield made
    made.socket.close()


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    made = Stack(tmp_path)
    yield made
    await made.close()


def lines(stack: Stack, event: str) -> list[dict[str, Any]]:
    return [line for text in stack.gateway.output.splitlines() if (line := json.loads(text))["event"] == event]


def reload(stack: Stack, config: dict[str, dict[str, Any]]) -> None:
    """Write other settings and send SIGHUP, as `systemctl reload` does."""
    stack.write_config(config)
    hang_up(stack)


def hang_up(stack: Stack) -> None:
    os.kill(stack.gateway.pid, signal.SIGHUP)


# --- A life ---


async def test_ready_is_told_once_all_listens_though_broker_and_provider_are_down(stack: Stack, manager: Manager) -> None:
    stack.write_config()
    await stack.start_gateway()
    await manager.until(lambda heard: "READY=1" in heard, "READY")
    await stack.http_until("/livez", lambda status, _: status == 200)  # at the first try, or it would not have been ready
    assert (stack.state_dir / "journal.db").exists()
    assert (stack.state_dir / "control.sock").is_socket()
    assert await stack.gateway.stop() == 0
    assert [line for line in manager.listen() if line != "WATCHDOG=1"] == ["READY=1", "STOPPING=1"]


async def test_a_start_that_fails_is_never_ready(stack: Stack, manager: Manager) -> None:
    stack.write_config({"admin": {"listen": "192.0.2.1:1"}})  # an address of nobody
    await stack.start_gateway()
    assert await stack.gateway.wait() == 2
    assert manager.listen() == []


async def test_the_watchdog_hears_of_a_living_process_again_and_again(
    stack: Stack, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    stack.write_config()
    await stack.start_gateway()
    await manager.until(lambda heard: heard.count("WATCHDOG=1") >= 5, "five signs of life")
    assert manager.heard[0] == "READY=1"


# --- What the signs of life stand for ---


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def watched(manager: Manager, pulse: systemd.Pulse, condition: Callable[[list[str]], bool]) -> None:
    task = asyncio.create_task(systemd.watchdog(pulse))
    try:
        await manager.until(condition, "signs of life")
    finally:
        task.cancel()


async def test_a_journal_writer_that_stands_still_is_not_called_alive(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    clock = Clock()
    pulse = systemd.Pulse(clock)
    await watched(manager, pulse, lambda heard: heard.count("WATCHDOG=1") >= 2)
    clock.now += systemd.SLOWEST + 1
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(systemd.watchdog(pulse))
        await until(lambda: bool(logs), "a complaint")
        told = len(manager.listen())
        for _ in range(3):
            await asyncio.sleep(0.02)
        assert len(manager.listen()) == told
        assert [(line["event"].split(":")[0], line["log_level"]) for line in logs] == [("the journal's writer stands still", "critical")]
        pulse.beat()
        await manager.until(lambda heard: len(heard) > told, "a sign of life again")
        task.cancel()


async def test_another_process_s_watchdog_is_not_ours(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    await asyncio.wait_for(systemd.watchdog(systemd.Pulse()), DEADLINE)
    assert manager.listen() == []


async def test_a_manager_that_is_gone_harms_nothing(manager: Manager) -> None:
    manager.socket.close()
    systemd.notify("READY=1")
    manager.path.unlink()
    systemd.notify("READY=1")


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let the journal's writer run into an operation that never ends, until the event is set."""
    go_on = threading.Event()
    yield go_on
    go_on.set()


async def test_a_real_writer_that_hangs_ages_and_one_that_works_does_not(tmp_path: Path, stalled: threading.Event) -> None:
    import time

    from gateway.app import ClockGuard, _journal
    from gateway.metrics import Metrics

    config = parse({"gateway": {"state_dir": str(tmp_path)}, "carriers": {"smpp": {"kind": "smpp", "system_id": "u", "password": "p"}}})
    clock = Clock()
    pulse = systemd.Pulse(clock)
    journal: SqliteJournal = _journal(config, Metrics(["smpp"], []), ClockGuard(time.time, time.monotonic), pulse)
    await journal.open()
    try:
        clock.now += 10
        await journal.tick(time.time(), expire=True)
        assert pulse.age == 0
        assert journal._writer is not None
        hung = journal._writer.submit(lambda tx: stalled.wait(DEADLINE))
        clock.now += 10
        assert pulse.age == 10
        stalled.set()
        await asyncio.wait_for(hung, DEADLINE)
        assert pulse.age == 0
    finally:
        stalled.set()
        await journal.close()


# --- SIGHUP ---


async def test_sighup_changes_the_level_and_names_what_needs_a_restart(
    stack: Stack, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.write_config({"log": {"level": "info"}})
    with monkeypatch.context() as alone:
        alone.delenv("NOTIFY_SOCKET")  # mosquitto tells systemd too
        await stack.start_broker()
    await stack.start_gateway()
    await stack.http_until("/readyz", lambda status, body: '"broker": true' in body)
    await stack.publish([stack.traffic.message("0002")])
    await stack.until_metric('mensageiro_queue_messages{state="queued"}', lambda number: number == 1)
    assert lines(stack, "message taken") == []

    reload(stack, {"log": {"level": "debug"}, "gateway": {"max_attempts": 3}, "carriers.smpp": {"window": 7, "max_rate": 1.0}})
    await until(lambda: lines(stack, "reloaded") != [], "reloaded")
    await manager.until(lambda heard: heard.count("READY=1") == 2, "ready again")
    assert manager.heard[1] == "RELOADING=1"
    assert manager.heard[2].startswith("MONOTONIC_USEC=")
    assert lines(stack, "reloaded")[0]["applied"] == ["carriers.smpp.max_rate", "log.level"]
    (cold,) = lines(stack, "these keys changed and need a restart")
    assert cold["keys"] == ["carriers.smpp.window", "gateway.max_attempts"]
    await stack.publish([stack.traffic.message("0002", id="told")])
    await until(lambda: any(line["id"] == "told" for line in lines(stack, "message taken")), "debug lines")

    reload(stack, {"log": {"level": "error"}})
    await manager.until(lambda heard: heard.count("READY=1") == 3, "ready again")
    before = stack.gateway.output
    assert await stack.gateway.stop() == 0
    assert stack.gateway.output == before  # not even that it stops


async def test_sighup_while_it_starts_ends_nothing(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    os.mkfifo(config)  # its reader waits in the middle of the start
    gateway = Process(tmp_path / "gateway.log", "run", "--config", str(config))
    await gateway.start()
    async with asyncio.timeout(DEADLINE):
        file = await asyncio.to_thread(config.open, "w")
    with file:
        os.kill(gateway.pid, signal.SIGHUP)
        file.write("[gateway\n")
    assert await gateway.wait() == 2
    assert "is not TOML" in gateway.output


async def test_a_broken_file_is_one_line_and_changes_nothing(stack: Stack, manager: Manager) -> None:
    path = stack.write_config()
    await stack.start_gateway()
    await manager.until(lambda heard: "READY=1" in heard, "READY")
    for number, text in enumerate(["[gateway\n", "[gateway]\nnothing = 1\n", path.read_text().replace("smpp.password", "no.password")], 1):
        path.write_text(text)
        hang_up(stack)
        await manager.until(lambda heard, wanted=number + 1: heard.count("READY=1") == wanted, "ready again")  # type: ignore[misc] # mypy #15459
    faults = lines(stack, "the configuration cannot be used: nothing changes")
    assert [line["level"] for line in faults] == ["error"] * 3
    for line, expected in zip(
        faults, ("is not TOML", "gateway.nothing: is no key", "carriers.smpp.password_file: cannot read"), strict=True
    ):
        assert expected in line["error"]
        assert "exception" not in line
    assert lines(stack, "reloaded") == []
    stack.write_config()
    hang_up(stack)
    await until(lambda: lines(stack, "reloaded") != [], "reloaded")
    assert lines(stack, "reloaded")[0]["applied"] == []
    assert await stack.gateway.stop() == 0


CARRIER = {"kind": "smpp", "system_id": "u", "password": "first-secret"}


def test_what_differs_is_named_by_its_key_and_never_by_its_value() -> None:
    old = parse({"carriers": {"smpp": dict(CARRIER), "gone": CARRIER | {"system_id": "v"}}})
    new = parse({"carriers": {"smpp": CARRIER | {"password": "other-secret", "kinds": ["flash"]}}, "log": {"level": "error"}})
    assert sorted(differences(old, new)) == ["carriers.gone", "carriers.smpp.kinds", "carriers.smpp.password", "log.level"]
    assert list(differences(old, old)) == []


async def test_what_is_marked_hot_is_what_can_be_changed(tmp_path: Path) -> None:
    def marked(name: str, section: type) -> set[str]:
        hints = get_type_hints(section, include_extras=True)
        return {f"{name}.{key}" for key, hint in hints.items() if HOT in getattr(hint, "__metadata__", ())}

    sections: dict[str, type] = {**SECTIONS, **{f"carriers.{kind}": section for kind, section in CARRIER_KINDS.items()}}
    config = parse(
        {
            "gateway": {"state_dir": str(tmp_path)},
            "carriers": {"smpp": CARRIER, "http": {"kind": "http", "user": "u"}, "webservice": {"kind": "webservice", "user": "u"}},
            "callbacks": {"enabled": True, "token": "a-long-enough-token"},
        }
    )
    hot = App(config).hot
    assert set().union(*(marked(name, section) for name, section in sections.items())) == hot.keys() | {"log.level"}
