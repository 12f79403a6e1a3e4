"""Everything at debug level, with secrets planted wherever one can stand: no log line and no command tells one.

A number may show masked ("55119****4321"). What a producer calls its messages (`id`) does show: it is the correlation.
"""

import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.ports import free_port
from tests.support.stack import SMPP_PASSWORD, Stack
from tests.support.traffic import MARK
from tests.support.waiting import until

MAGIC = [f"{code:04}" for code in range(10)] + [
    "1011",
    "1008",
    *(f"20{number:02}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17)),
]
USER = "integra-s3creta"  # the provider's `u`
WEB_MAGIC = (("0000", "0005", "2003", "2012", "2013", "3005", "5555"), ("2001", "2002", "2014", "2017"))  # one bad answer spoils a batch
BROKER_PASSWORD, TOKEN, METADATA, CORRELATION = "br0ker-s3nha", "t0ken-of-call-backs", "metadado-privado", "correlacao-privada"
STRAY = "11912344321"  # in payloads that are refused
MASKED = "55119****4321"
REFUSED = (
    b'{"id": "refused-1", "to": "' + STRAY.encode() + b'", "text": "Segredo", "colour": "' + STRAY.encode() + b'"}',
    b'{"id": "refused-2", "to": "+55 (11) 91234-432", "text": "Segredo"}',
    b'{"id": "refused-3", "to": "11912344321", "text": ["Segredo"]}',
    b'{"id": "refused-4", "to": "11912344321", "text": "Segredo", "kind": "Segredo"}',
    b'{"id": "refused-5", "to": "11912344321", "text": "Segredo", "+5511912344321": 1}',
    b'{"id": "refused-6", "to": "11912344321", "text": "Segredo", "from": "Segredo 11912344321"}',
    b"Segredo 11912344321 \xff",
    b"",
)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    ports = {"http": free_port(), "callbacks": free_port()}
    called = f"http://127.0.0.1:{ports['callbacks']}"
    sandbox = (
        *("--max-rate", "400", "--http-port", str(ports["http"]), "--user", USER),
        *("--callback-url", f"{called}/callback/{TOKEN}"),
    )
    made = Stack(tmp_path, settings(ports), users={"gateway": BROKER_PASSWORD, "auditor": "any"}, sandbox=sandbox)
    yield made
    await made.close()


def settings(ports: dict[str, int]) -> dict[str, dict[str, Any]]:
    web = {"user": USER, "timeout": 2.0, "max_rate": 0.0}
    return {
        "broker": {"username": "gateway", "password": BROKER_PASSWORD, "response_topics": ["answers/#"]},
        "callbacks": {"enabled": True, "listen": f"127.0.0.1:{ports['callbacks']}", "token": TOKEN},
        "carriers.http": {"kind": "http", "base_url": f"http://127.0.0.1:{ports['http']}/sms", **web},
        "carriers.webservice": {"kind": "webservice", "url": f"http://127.0.0.1:{ports['http']}/wbsapi.asmx", **web},
        "gateway": {"in_doubt_deadline": 2.0, "max_attempts": 2},
        "log": {"level": "debug", "format": "json"},
    }


def secrets(stack: Stack) -> Iterator[str]:
    """Name what must not show, however it is written."""
    yield from (SMPP_PASSWORD, USER, BROKER_PASSWORD, TOKEN, MARK, METADATA, CORRELATION)
    for number in {*stack.traffic.number_of.values(), STRAY}:
        yield from (number, f"{number[:2]} {number[2:7]}-{number[7:]}", f"({number[:2]}) {number[2:]}", number[-9:], number[-8:])


def told(output: str, stack: Stack) -> list[str]:
    plain = output.encode().decode("unicode_escape", errors="replace")  # what JSON has escaped
    return [secret for secret in secrets(stack) if secret in output or secret in plain]


@pytest.mark.fault
async def test_no_log_and_no_command_tells_a_number_a_text_or_a_secret(stack: Stack) -> None:
    stack.write_config()
    stack.broker.start()
    await stack.start_sandbox()
    await stack.start_gateway()
    await stack.ready()
    ids = await live(stack)
    output = [*await commands(stack, ids[0])]
    os.kill(stack.gateway.pid, signal.SIGHUP)
    await until(lambda: '"reloaded"' in stack.gateway.output, "reloaded")
    stack.broker.restart()
    await stack.sandbox.kill()
    for command in (("credits",), ("inbox", "--via", "webservice"), ("status", "0123456789")):
        output += (await stack.command("account", *command))[1:]  # which fail, and say why
    await stack.http_until("/readyz", lambda _, body: '"smpp": "down"' in body)
    await stack.start_sandbox()
    await stack.ready()
    stack.write_config({**stack.sections, "gateway": {"nothing": 1}})
    os.kill(stack.gateway.pid, signal.SIGHUP)
    await until(lambda: "gateway.nothing" in stack.gateway.output, "refused")
    assert await stack.gateway.stop() == 0
    output += (await stack.command("run"))[1:]
    assert told(stack.gateway.output, stack) == []
    for text in output:
        assert told(text, stack) in ([], [METADATA])  # the producer's own notes, which `show` shows
    assert "Traceback" not in stack.gateway.output
    assert MASKED in "".join(output)
    every = {line["event"] for line in map(json.loads, stack.gateway.output.splitlines())}
    assert {"message taken", "payload refused", "cancel taken", "event sent", "bound", "bind lost", "draining", "stopped"} <= every


async def live(stack: Stack) -> list[str]:
    """Send what has every outcome, and what is refused; wait until all has ended."""
    fields = {"metadata": {"k": METADATA}, "receipt": True}
    payloads = [stack.traffic.message(magic, **fields) for magic in MAGIC]
    payloads.append(stack.traffic.message(id="shown", to=STRAY, text=f"{MARK} mostrado"))
    async with stack.client("auditor-1", username="auditor", password="any") as client:
        for magics in WEB_MAGIC:
            for way in ("http", "webservice"):
                batch = [stack.traffic.message(magic, routes=[way], **fields) for magic in magics]
                for payload in batch:
                    await client.publish("sms/submit/loja", json.dumps(payload), qos=1)
                await settled(stack, way, len(batch))
        for payload in payloads:
            await client.publish("sms/submit/loja", json.dumps(payload), qos=1)
        for body in REFUSED:
            await client.publish("sms/submit/loja", body, qos=1)
        await client.publish("sms/submit/LOJA 11912344321", b"{}", qos=1)
        await client.publish("sms/submit/loja", json.dumps(payloads[0] | {"text": f"{MARK} outro"}), qos=1)  # duplicate_id
        await client.publish("sms/cancel/loja", b'{"id": "0002-0"}', qos=1)
        await client.publish("sms/cancel/loja", b'{"id": "11912344321", "text": "Segredo"}', qos=1)
    await stack.until_metric("mensageiro_messages_total", lambda number: number >= len(payloads) - 3)
    for state in ("scheduled", "queued", "active", "deferred", "in_doubt"):
        await stack.until_metric(f'mensageiro_queue_messages{{state="{state}"}}', lambda number: number == 0)
    for carrier in ("smpp", "http", "webservice"):
        await stack.until_metric(f'mensageiro_receipts_total{{carrier="{carrier}"', lambda number: number > 0)
    for kind in ("reply", "status", "dlr"):
        await stack.until_metric(f'mensageiro_callbacks_total{{kind="{kind}",result="ok"}}', lambda number: number > 0)
    return ["shown", *(str(payload["id"]) for payload in payloads)]


async def settled(stack: Stack, carrier: str, wanted: int) -> None:
    """Wait until a carrier has said so often what became of a message."""
    await stack.until_metric(f'mensageiro_messages_total{{carrier="{carrier}"', lambda number: number >= wanted)


async def commands(stack: Stack, id: str) -> list[str]:
    """Run what prints, and return all of it."""
    found = []
    for command in (
        ("show", id),
        ("show", id, "--json"),
        ("queue", "list", "--all"),
        ("queue", "list", "--all", "--json"),
        ("queue", "stats"),
        ("account", "credits"),
        ("account", "users", "list", "--json"),
        ("check-config",),
        ("check-config", "--json"),
        ("healthcheck", "--json"),
        ("queue", "replay", id),
    ):
        code, stdout, stderr = await stack.command(*command)
        assert code == 0, (command, stderr)
        found += [stdout, stderr]
    return found


NAME = re.compile(r"^[a-zA-Z][^_]*$")


def test_the_name_of_an_event_is_a_short_sentence_in_lower_case() -> None:
    source = Path(__file__).parent.parent.parent / "gateway"
    found = []
    for path in sorted(source.rglob("*.py")):
        for name in re.findall(r'\blog\.(?:debug|info|warning|error|critical|exception)\(\s*"([^"]+)"', path.read_text(encoding="utf-8")):
            found.append((path.relative_to(source).as_posix(), name))
    assert len(found) > 30
    assert [each for each in found if not NAME.match(each[1]) or not each[1][0].islower() or each[1].endswith(".")] == []
