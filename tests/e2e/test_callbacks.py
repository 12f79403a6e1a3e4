"""Call-backs to the real process: their news reach the broker, whatever comes first, comes twice or is killed in between."""

import asyncio
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from gateway.demo.ports import free_port
from tests.e2e.conftest import MakeStack
from tests.e2e.test_full_disk import _fill, _until_it_cannot_commit, disk
from tests.support.stack import Stack
from tests.support.waiting import until, write_locked

__all__ = ["disk"]  # a fixture

TOKEN = "s3cret-token-of-the-path"
NO_RECEIPT = "2004"  # the sandbox takes it, and reports nothing
HELD = 90.0  # s that a call-back may be held, and more


class Provider:
    """Calls back as the provider does: by GET, with the parameters of its manual."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def call(self, word: str = "callback", /, **parameters: Any) -> int:
        """Return the status of the answer. Raises ClientError where there is none."""
        url = f"http://127.0.0.1:{self._port}/{word}/{TOKEN}?{urlencode(parameters)}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(HELD)) as session, session.get(url) as answer:
            return answer.status

    async def status(self, run: Stack, id: str, number: int, **parameters: Any) -> int:
        return await self.call(**(_of(run, id) | {"status": number, "type": 2} | parameters))

    async def dlr(self, run: Stack, id: str, number: int, **parameters: Any) -> int:
        return await self.call(**(_of(run, id) | {"status": number, "type": 3} | parameters))


def _of(run: Stack, id: str) -> dict[str, Any]:
    """What every call-back says of a message that the provider took."""
    number = f"55{run.traffic.number_of[id]}"
    md5 = next((entry["message_id"] for entry in run.ledger() if entry["to"].endswith(number[2:])), "")
    return {"msisdn": number, "date": "2026-11-24 10:20:30", "md5": md5}


async def _stack(stack: MakeStack, sections: dict[str, Any] | None = None, **options: Any) -> tuple[Stack, Provider]:
    port = free_port()
    callbacks = {"enabled": True, "listen": f"127.0.0.1:{port}", "token": TOKEN}
    return await stack({"callbacks": callbacks, **(sections or {})}, **options), Provider(port)


async def _sent(run: Stack, number: int = 1) -> list[str]:
    ids = await run.send(*run.traffic.messages(number, NO_RECEIPT))
    for id in ids:
        await run.until_told(id, "accepted")
    return ids


async def _asked_in_vain(run: Stack, provider: Provider, id: str) -> asyncio.Task[int]:
    """Call back while the journal is busy."""
    asked = asyncio.create_task(provider.dlr(run, id, 2))
    await run.until_metric("mensageiro_journal_errors_total", lambda number: number > 0)
    return asked


async def test_status_and_dlr_are_told_once_each_however_often_and_in_whatever_order_they_come(stack: MakeStack) -> None:
    run, provider = await _stack(stack)
    ordered, failed, disordered = await _sent(run, 3)
    for _ in range(2):
        assert await provider.status(run, ordered, 1) == 200
        assert await provider.dlr(run, ordered, 5) == 200
        assert await provider.dlr(run, ordered, 2) == 200
        assert await provider.status(run, failed, 2) == 200
        assert await provider.dlr(run, disordered, 2) == 200
        assert await provider.status(run, disordered, 1) == 200
    await run.accounted()
    await until(lambda: len(run.told(ordered)) == 4, "the confirmation too")
    assert run.story(ordered) == ["accepted", "receipt:enroute", "receipt:delivered!", "receipt:delivered~"]
    assert [event["confirmed"] for event in run.told(ordered)[2:]] == [False, True]
    assert run.told(ordered)[1]["done_at"] == "2026-11-24T13:20:30.000Z"
    assert run.story(failed) == ["accepted", "receipt:undeliverable!"]
    assert run.story(disordered) == ["accepted", "receipt:delivered!"]
    assert {event["carrier"] for event in run.events} == {"smpp"}
    assert await run.metric('mensageiro_callbacks_total{kind="dlr",result="ok"}') == 6
    assert TOKEN not in run.gateway.output


async def test_a_call_back_before_the_answer_is_told_after_it(stack: MakeStack) -> None:
    run, provider = await _stack(stack, sandbox=("--response-delay", "1"))
    (id,) = await run.send(run.traffic.message(NO_RECEIPT))
    await until(lambda: bool(run.ledger()), "the provider has it")
    assert await provider.dlr(run, id, 2) == 200
    assert run.told(id) == [], "the test was too slow"
    await run.accounted()
    assert run.story(id) == ["accepted", "receipt:delivered!"]


async def test_a_reply_is_told_with_the_message_that_it_answers(stack: MakeStack) -> None:
    run, provider = await _stack(stack)
    (id,) = await _sent(run)
    said = _of(run, id) | {"type": 1, "message": "N\u00e3o, obrigado"}
    assert await provider.call("resposta", **said) == 200
    assert await provider.call(msisdn="5511912345678", message="oi", date="", type=1) == 200
    await until(lambda: sum(event["type"] == "reply" for event in run.events) == 2, "two replies")
    answer, other = sorted((event for event in run.events if event["type"] == "reply"), key=lambda event: event["in_reply_to"] or "~")
    assert (answer["in_reply_to"], answer["from"], answer["text"]) == (id, run.traffic.number_of[id], "N\u00e3o, obrigado")
    assert (answer["to"], answer["received_at"]) == (None, "2026-11-24T13:20:30.000Z")
    assert (other["in_reply_to"], other["text"]) == (None, "oi")


async def test_what_was_answered_200_survives_a_kill_and_what_was_not_may_come_again(stack: MakeStack) -> None:
    run, provider = await _stack(stack)
    ids = await _sent(run, 12)
    answers = [asyncio.create_task(provider.dlr(run, id, 2)) for id in ids]
    await until(lambda: any(answer.done() for answer in answers), "one is answered")
    await run.gateway.kill()
    statuses = await asyncio.gather(*answers, return_exceptions=True)
    answered = [id for id, status in zip(ids, statuses, strict=True) if status == 200]
    await run.start_gateway()
    await run.ready()
    await run.until_ended(answered)
    for id in ids:
        assert await provider.dlr(run, id, 2) == 200
    await run.accounted()
    assert {tuple(run.story(id)) for id in ids} == {("accepted", "receipt:delivered!")}


@pytest.mark.fault
async def test_a_journal_that_is_busy_holds_the_request_and_nothing_is_told_before(stack: MakeStack) -> None:
    run, provider = await _stack(stack)
    (id,) = await _sent(run)
    with write_locked(run.state_dir / "journal.db"):
        asked = await _asked_in_vain(run, provider, id)
        assert not asked.done()
    assert await asked == 200
    await run.accounted()


@pytest.mark.fault
async def test_a_gateway_that_leaves_while_its_journal_is_busy_says_503_and_the_call_back_may_come_again(stack: MakeStack) -> None:
    run, provider = await _stack(stack)
    (id,) = await _sent(run)
    with write_locked(run.state_dir / "journal.db"):
        asked = await _asked_in_vain(run, provider, id)
        stopping = asyncio.create_task(run.gateway.stop(120))
        assert await asked == 503
    await stopping
    assert "call-backs refused" in run.gateway.output
    await run.start_gateway()
    await run.ready()
    assert await provider.dlr(run, id, 2) == 200
    await run.accounted()


@pytest.mark.fault
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
async def test_a_full_disk_holds_a_call_back_and_room_lets_it_be_answered(stack: MakeStack, disk: Path) -> None:
    run, provider = await _stack(stack, {"gateway": {"state_dir": str(disk / "state")}})
    ids = await _sent(run, 20)
    filler = _fill(disk)
    await _until_it_cannot_commit(run)
    asked = [asyncio.create_task(provider.dlr(run, id, 2)) for id in ids]
    assert await provider.call("none/of/ours") == 404, "the listener answers, and has had its turn"
    assert not any(each.done() for each in asked)
    filler.unlink()
    assert set(await asyncio.gather(*asked)) == {200}
    await run.accounted()
    assert {tuple(run.story(id)) for id in ids} == {("accepted", "receipt:delivered!")}


async def test_a_port_that_is_taken_refuses_to_start_and_names_the_key(stack: MakeStack) -> None:
    port = free_port()
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    run = await stack({"callbacks": {"enabled": True, "listen": f"127.0.0.1:{port}", "token": TOKEN}}, start=False)
    await run.start_broker()
    run.write_config()
    await run.start_gateway()
    assert await run.gateway.wait() != 0
    assert "callbacks.listen: cannot listen on" in run.gateway.output
    taken.close()
