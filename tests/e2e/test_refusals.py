"""What refuses, and what is refused: second processes, ports in use, wrong passwords, sessions taken over."""

import asyncio
import re
import sqlite3
from contextlib import suppress

from gateway.demo.ports import free_port
from tests.e2e.conftest import MakeStack
from tests.support.stack import Process, Stack

CONNACK = b"\x20\x03\x00\x00\x00"
TAKEN_OVER = b"\xe0\x01\x8e"  # DISCONNECT 0x8E. MQTT 5 s3.14.2.1


def _says(output: str) -> str:
    """Return the one line that a process left for people."""
    (line,) = [line for line in output.splitlines() if line.startswith("mensageiro: ")]
    return line


async def test_a_second_process_on_the_same_journal_refuses_to_start_and_says_who_holds_it(stack: MakeStack) -> None:
    run = await stack()
    code, _, stderr = await run.command("run")
    assert code == 2
    assert f"is held by process {run.gateway.pid} (instance mensageiro, since " in _says(stderr)
    await run.send(run.traffic.message())  # the first one has not noticed
    await run.accounted()


async def test_a_port_in_use_is_named_in_one_line(stack: MakeStack) -> None:
    run = await stack()
    run.write_config({"gateway": {"state_dir": str(run.folder / "other")}})
    code, _, stderr = await run.command("run")
    assert code == 2
    assert _says(stderr) == f"mensageiro: admin.listen: cannot listen on 127.0.0.1:{run.admin_port}: Address already in use"


async def test_a_broker_that_refuses_us_is_told_once_and_not_hammered(stack: MakeStack) -> None:
    run = await stack(start=False, users={"gateway": "right"})
    run.broker.start()
    run.write_config({"broker": {"username": "gateway", "password": "wr0ng-s3cret"}})
    await run.start_gateway()
    await run.until_metric("mensageiro_broker_reconnects_total", lambda number: number == 1)
    await run.http_until("/readyz", lambda status, body: status == 503 and '"broker": false' in body)
    assert await run.gateway.stop() == 0
    assert run.gateway.output.count("broker not connected") == 1
    assert "wr0ng-s3cret" not in run.gateway.output


async def test_a_broker_that_lets_us_in_with_a_password_serves_us(stack: MakeStack) -> None:
    run = await stack(start=False, users={"gateway": "r1ght-s3cret"})
    run.broker.start()
    run.write_config({"broker": {"username": "gateway", "password": "r1ght-s3cret"}})
    await run.start_gateway()
    await run.http_until("/readyz", lambda _, body: '"broker": true' in body)
    assert await run.gateway.stop() == 0
    assert "r1ght-s3cret" not in run.gateway.output


async def test_a_wrong_smpp_password_suspends_the_carrier_and_keeps_the_messages(stack: MakeStack) -> None:
    run = await stack(start=False)
    await run.start_broker()
    await run.start_sandbox()
    wrong = run.folder / "wrong.password"
    wrong.write_text("wr0ng\n")
    run.write_config({"carriers.smpp": {"password_file": str(wrong)}})
    await run.start_gateway()
    await run.http_until("/readyz", lambda status, body: status == 503 and '"smpp": "suspended"' in body)
    await run.send(*run.traffic.messages(10))
    await run.until_metric('mensageiro_queue_messages{state="queued"}', lambda number: number == 10)
    assert await run.metric('mensageiro_smpp_reconnects_total{bind="smpp/0",reason="credentials"}') == 1, "one try, and then a long wait"
    assert await run.metric('mensageiro_carrier_state{carrier="smpp",state="suspended"}') == 1
    assert await run.gateway.stop() == 0
    assert "wr0ng" not in run.gateway.output
    run.write_config()
    await run.start_gateway()
    await run.accounted()


async def test_a_session_that_another_client_takes_over_ends_the_process_with_exit_code_1(stack: MakeStack) -> None:
    """mosquitto 2.0 closes the old connection without the DISCONNECT 0x8E that MQTT 5 asks for, so a few bytes play the broker."""
    run = await stack(start=False)
    port = free_port()
    server = await asyncio.start_server(_take_over, "127.0.0.1", port)
    async with server:
        run.write_config({"broker": {"url": f"mqtt://127.0.0.1:{port}"}})
        await run.start_gateway()
        assert await run.gateway.wait(15) == 1
    assert "another client connected with our client id" in run.gateway.output


async def _take_over(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        await _packet(reader)  # CONNECT
        writer.write(CONNACK)
        subscribe = await _packet(reader)
        writer.write(b"\x90\x05" + subscribe[:2] + b"\x00\x01\x01" + TAKEN_OVER)  # SUBACK of two filters at QoS 1
        await writer.drain()
    writer.close()


async def _packet(reader: asyncio.StreamReader) -> bytes:
    """Read a packet of at most 16 KiB; return what follows its fixed header."""
    _, length = await reader.readexactly(2)
    if length & 0x80:
        (more,) = await reader.readexactly(1)
        length = length & 0x7F | more << 7
    return await reader.readexactly(length)


async def test_a_wrong_configuration_is_told_in_one_line_that_names_the_key(stack: MakeStack) -> None:
    run = await stack(start=False)
    missing = str(run.folder / "missing")
    for sections, line in (
        ({"gateway": {"in_doubt": "perhaps"}}, "gateway.in_doubt: "),
        ({"broker": {"urll": "x"}}, "broker.urll: is no key that this section knows"),
        ({"carriers.smpp": {"password_file": missing}}, f"carriers.smpp.password_file: cannot read {missing}"),
        ({"journal": {"url": f"sqlite:{missing}/journal.db"}}, missing),
    ):
        run.write_config(sections)
        code, _, stderr = await run.command("run")
        assert (code, line in _says(stderr)) == (2, True), stderr
        assert len(stderr.splitlines()) == 1


async def test_a_journal_of_a_newer_version_is_left_alone(stack: MakeStack) -> None:
    run = await stack()
    await run.send(run.traffic.message())
    await run.accounted()
    assert await run.gateway.stop() == 0
    await _pretend_newer(run)
    code, _, stderr = await run.command("run")
    assert code == 2
    assert re.search(r"is of version 99; this program knows versions up to \d+$", _says(stderr))


async def _pretend_newer(run: Stack) -> None:
    connection = sqlite3.connect(run.state_dir / "journal.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()


async def test_sigterm_ends_a_gateway_that_never_reached_anybody(stack: MakeStack) -> None:
    run = await stack(start=False)
    run.write_config()
    await run.start_gateway()
    await run.http_until("/livez", lambda status, _: status == 200)
    assert await run.gateway.stop(10) == 0


async def test_a_sigterm_in_the_middle_of_the_start_ends_it_too(stack: MakeStack) -> None:
    run = await stack(start=False)
    run.write_config()
    process = Process(run.folder / "early.log", "run", "--config", str(run.folder / "gateway.toml"))
    await process.start()
    assert await process.stop(10) in (0, -15), process.output
