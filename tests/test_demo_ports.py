"""Ports for what starts later: nobody else comes by them meanwhile."""

import socket
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest

from gateway.demo import ports
from gateway.demo.ports import free_port

FEW = range(20_000, 20_200)  # few enough to choose the same ones, unless that is prevented
ANOTHER = f"from gateway.demo import ports; ports._PORTS = {FEW!r}; print([ports.free_port() for _ in range(40)])"


def test_no_port_is_given_twice_not_even_to_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_PORTS", FEW)
    own = [free_port() for _ in range(80)]
    another = subprocess.run([sys.executable, "-c", ANOTHER], capture_output=True, text=True, check=True, timeout=30).stdout
    chosen = own + [int(port) for port in another.strip("[]\n").split(",")]
    assert len(set(chosen)) == len(chosen) == 120


def test_linux_gives_none_of_them_out_by_itself() -> None:
    first = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]
    assert ports._PORTS.stop <= max(int(first), 32_768)


def test_a_port_on_which_somebody_listens_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "_PORTS", range(port, port + 1))
        with pytest.raises(OSError, match="no free port"):
            free_port()


def test_the_claims_of_a_process_are_bounded_and_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_claims", deque())
    monkeypatch.setattr(ports, "_CLAIMS", 3)
    chosen = [free_port() for _ in range(5)]
    assert len(ports._claims) == 3
    for port in chosen[2:]:
        with socket.socket(type=socket.SOCK_DGRAM) as probe, pytest.raises(OSError, match="in use"):
            probe.bind(("127.0.0.1", port))
