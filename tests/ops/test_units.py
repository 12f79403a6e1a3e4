"""The units as systemd reads them, and as they run: what they start, what they keep from it, and that it needs none of it."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway import app
from gateway.demo.ports import free_port
from tests.support.stack import SMPP_PASSWORD, Process, Stack
from tests.support.units import COMMAND, FOLDER, Unit
from tests.support.waiting import DEADLINE, until

NAMES = sorted(path.name for path in FOLDER.glob("*.service"))
GATEWAYS = ["mensageiro.service", "mensageiro@.service"]
THRESHOLD = 15  # tenths


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    command = ["systemd-analyze", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False, env=os.environ | {"LC_ALL": "C"})


def setting(name: str, key: str) -> list[str]:
    return Unit(name, Path("/")).settings[key]


# --- As systemd reads them ---


def test_there_are_three_units_and_each_is_tested() -> None:
    assert NAMES == ["mensageiro-sandbox.service", "mensageiro.service", "mensageiro@.service"]


@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_no_fault_in_a_unit(name: str, tmp_path: Path) -> None:
    unit = tmp_path / name
    unit.write_text((FOLDER / name).read_text().replace(COMMAND, shutil.which("true") or "/bin/true"))
    done = analyze("verify", str(unit))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("Restart=on-failure", "Restart=now-and-then"))
    assert "now-and-then" in analyze("verify", str(unit)).stderr  # it would have said so


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_exposes_little(name: str) -> None:
    done = analyze("security", "--offline=true", f"--threshold={THRESHOLD}", str(FOLDER / name))
    assert done.returncode == 0, done.stdout
    assert "Overall exposure level" in done.stdout
    assert analyze("security", "--offline=true", "--threshold=5", str(FOLDER / name)).returncode != 0  # there is a threshold


def test_all_units_are_hardened_alike() -> None:
    sections = [(FOLDER / name).read_text().partition("# What it may do")[2].partition("[Install]")[0] for name in NAMES]
    assert sections[0] == sections[1] == sections[2] != ""


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_stop_leaves_the_drain_its_time(name: str) -> None:
    (seconds,) = setting(name, "TimeoutStopSec")
    assert float(seconds) > 2 * app.DRAIN_TIMEOUT + 4 * app.CLOSE_TIMEOUT


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_gateway_is_started_again_unless_that_mends_nothing(name: str) -> None:
    assert setting(name, "Restart") == ["on-failure"]
    assert setting(name, "RestartPreventExitStatus") == ["2"]  # what `mensageiro run` says of a bad configuration
    assert setting(name, "Type") == ["notify"]
    assert setting(name, "DynamicUser") == ["yes"]


# --- As they run ---

GATEWAY_TOML = """
[broker]
url = "mqtt://127.0.0.1:{broker}"
topic_prefix = "{prefix}"
[carriers.smpp]
kind = "smpp"
host = "127.0.0.1"
port = {smpp}
system_id = "sandbox"
password_file = "{credentials}/smpp.password"
[admin]
listen = "127.0.0.1:{admin}"
[log]
level = "info"
"""

WEB_TOML = """
[carriers.http]
kind = "http"
base_url = "http://127.0.0.1:{web}/sms"
user = "u"
[carriers.webservice]
kind = "webservice"
url = "http://127.0.0.1:{web}/wbsapi.asmx"
user = "u"
[callbacks]
enabled = true
listen = "127.0.0.1:{callbacks}"
token = "a-token-of-the-path"
"""


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    made = Stack(tmp_path)
    yield made
    await made.close()


def install(unit: Unit, stack: Stack, config: str, secret: str, *, prefix: str, admin: int, state_dir: bool) -> None:
    """Do what docs/install-systemd.md tells an operator to do, below a folder."""
    folder = unit.root / "etc/mensageiro"
    folder.mkdir(parents=True, exist_ok=True)
    ports = {"broker": stack.broker.port, "smpp": stack.smpp_port, "admin": admin}
    text = GATEWAY_TOML.format(**ports, prefix=prefix, credentials=unit.credentials)
    (folder / config).write_text(f'[gateway]\nstate_dir = "{unit.state}"\n{text}' if state_dir else text)
    (folder / secret).write_text(f"{SMPP_PASSWORD}\n")
    (folder / secret).chmod(0o600)
    unit.prepare()


def process(unit: Unit, log: Path, under: tuple[str, ...] = (), **environment: str) -> Process:
    return Process(log, *unit.arguments, under=under, environment=unit.environment | environment)


async def ready(port: int) -> None:
    await until(lambda: _ready(port), "ready")


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def test_the_service_runs_reloads_and_stops_as_its_unit_says(stack: Stack, tmp_path: Path) -> None:
    await stack.start_broker()
    await stack.start_sandbox()
    unit, port, log = Unit("mensageiro.service", tmp_path / "root"), free_port(), tmp_path / "service.log"
    install(unit, stack, "gateway.toml", "smpp.password", prefix="sms", admin=port, state_dir=True)
    service = process(unit, log)
    await service.start()
    try:
        await ready(port)
        await stack.send(stack.traffic.message("0002", id="m-1"))
        await stack.until_ended(["m-1"])
        assert (unit.state / "journal.db").exists()
        subprocess.run(unit.reload_command(service.pid), check=True)
        await until(lambda: '"reloaded"' in service.output, "reloaded")
        assert await service.stop() == 0
    finally:
        if service.running:
            await service.kill()


@pytest.mark.fault
async def test_two_accounts_run_from_one_template_and_share_nothing(stack: Stack, tmp_path: Path) -> None:
    await stack.start_broker()
    await stack.start_sandbox()
    services, ports = [], []
    try:
        for name in ("matriz", "filial"):
            unit, port = Unit("mensageiro@.service", tmp_path / "root", name), free_port()
            install(unit, stack, f"{name}.toml", f"{name}.smpp.password", prefix=name, admin=port, state_dir=False)
            services.append(process(unit, tmp_path / f"{name}.log"))
            ports.append(port)
            await services[-1].start()
        for port in ports:
            await ready(port)
        for name in ("matriz", "filial"):
            assert (tmp_path / f"root/var/lib/mensageiro-{name}/journal.db").exists()
            async with stack.client() as client, asyncio.timeout(DEADLINE):
                await client.subscribe(f"{name}/gateway/{name}", qos=1)
                assert b'"up"' in bytes((await anext(aiter(client.messages))).payload)
        assert [await service.stop() for service in services] == [0, 0]
    finally:
        for service in services:
            if service.running:
                await service.kill()


def test_a_credential_that_is_missing_keeps_the_service_from_starting(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Unit("mensageiro.service", tmp_path).prepare()


# --- What the filters leave ---


def syscalls(group: str) -> set[str]:
    """Return the system calls of a group, with the groups in it."""
    words = [line.strip() for line in analyze("syscall-filter", group).stdout.splitlines()[1:]]
    found = {word for word in words if word and not word.startswith(("#", "@"))}
    return found.union(*(syscalls(word) for word in words if word.startswith("@")))


def allowed(unit: Unit) -> set[str]:
    """Return what SystemCallFilter= comes to. systemd.exec(5)"""
    (admitted, refused) = unit.settings["SystemCallFilter"]
    taken = set[str]().union(*(syscalls(group) for group in refused.removeprefix("~").split()))
    return (syscalls(admitted) - taken) | syscalls("@default")


async def test_a_whole_life_needs_no_system_call_and_no_socket_that_the_unit_refuses(stack: Stack, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    await stack.start_broker()
    await stack.start_sandbox()
    provider = Process(tmp_path / "provider.log", "sandbox", "--port", "0", "--http-port", str(web := free_port()))
    await provider.start()
    unit, port, trace = Unit("mensageiro.service", tmp_path / "root"), free_port(), tmp_path / "trace"
    install(unit, stack, "gateway.toml", "smpp.password", prefix="sms", admin=port, state_dir=True)
    with (unit.root / "etc/mensageiro/gateway.toml").open("a") as file:
        file.write(WEB_TOML.format(web=web, callbacks=free_port()))
    service = process(unit, tmp_path / "service.log", (strace, "-f", "--seccomp-bpf", "-qqq", "-o", str(trace)))
    await service.start()
    try:
        await ready(port)
        await stack.send(*(stack.traffic.message("0002", id=f"by-{way}", routes=[way]) for way in ("smpp", "http", "webservice")))
        await stack.until_ended(["by-smpp"])
        for way in ("http", "webservice"):
            await stack.until_told(f"by-{way}", "accepted")
        os.kill(int(trace.read_text().split(maxsplit=1)[0]), signal.SIGTERM)
        await service.wait()
    finally:
        for process_ in (service, provider):
            if process_.running:
                await process_.kill()
    calls = re.findall(r"^\d+ +(?:<\.\.\. )?([a-z0-9_]+)", trace.read_text(), re.MULTILINE)
    needed = set(calls) - {"fchown"}  # SQLite, as root alone, gives its files to the owner of the database
    assert len(needed) > 40
    assert needed - allowed(unit) == set()
    text = trace.read_text()
    (families,) = unit.settings["RestrictAddressFamilies"]
    assert set(re.findall(r" socket\((AF_\w+)", text)) <= {*families.split(), "AF_NETLINK"}  # getaddrinfo does without
    assert re.findall(r"(?:mmap|mprotect)\(.*PROT_WRITE\|PROT_EXEC.*", text) == []  # MemoryDenyWriteExecute
