"""What only the composition root does: it tells systemd, and it watches the clock."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import app, systemd


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Listen as systemd does. sd_notify(3)"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = tmp_path / "notify"
        listener.bind(str(path))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield listener


def test_systemd_is_told_where_it_asks(manager: socket.socket) -> None:
    systemd.notify("READY=1")
    assert manager.recv(100) == b"READY=1"


def test_an_abstract_socket_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")  # the kernel gives it an abstract name
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + listener.getsockname()[1:].decode())
        systemd.notify("STOPPING=1")
        assert listener.recv(100) == b"STOPPING=1"


def test_nobody_is_told_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.notify("READY=1")


class Clocks:
    def __init__(self) -> None:
        self.wall, self.monotonic = 1_800_000_000.0, 50.0

    def pass_by(self, seconds: float, *, skew: float = 0.0) -> None:
        self.monotonic += seconds
        self.wall += seconds + skew


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def guard(clocks: Clocks) -> app.ClockGuard:
    return app.ClockGuard(lambda: clocks.wall, lambda: clocks.monotonic)


def test_time_that_passes_is_no_step(clocks: Clocks, guard: app.ClockGuard) -> None:
    for _ in range(100):
        clocks.pass_by(86400.0, skew=0.5)  # a clock that is disciplined slowly
        assert not guard.suspended
    assert guard.take_steps() == 0


@pytest.mark.parametrize("skew", [86400.0, -86400.0, 6.0])
def test_a_step_either_way_suspends_expiry_for_a_while(clocks: Clocks, guard: app.ClockGuard, skew: float) -> None:
    clocks.pass_by(1.0, skew=skew)
    at_once = guard.suspended
    clocks.pass_by(app.CLOCK_SUSPENSION - 1)
    nearly_over = guard.suspended
    clocks.pass_by(2.0)
    assert (at_once, nearly_over, guard.suspended) == (True, True, False)
    assert (guard.take_steps(), guard.take_steps()) == (1, 0)


def test_a_step_back_is_another_step(clocks: Clocks, guard: app.ClockGuard) -> None:
    for skew in (86400.0, -86400.0):
        clocks.pass_by(1.0, skew=skew)
        assert guard.suspended
    assert guard.take_steps() == 2
