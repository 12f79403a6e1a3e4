"""Messages in doubt to the same number: only proof settles one, and never the wrong one."""

import hashlib
from typing import Any

import pytest

from gateway.provider.dlr import DlrCode
from gateway.sandbox.messages import Taken
from gateway.sandbox.scenario import Behaviour, PlannedReceipt, Reaction, ReceiptForm
from gateway.sandbox.settings import SmscSettings
from gateway.sandbox.smsc import Smsc
from gateway.smpp.pdu import DataSm, SubmitSm
from tests.e2e.conftest import MakeStack
from tests.support.stack import SMPP_PASSWORD, Stack


def _twice(run: Stack, magic: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make two messages to one number, with different texts."""
    first = run.traffic.message(magic)
    return first, {"id": "second", "to": first["to"], "text": "Segredo da segunda mensagem"}


@pytest.mark.fault
async def test_two_messages_to_one_number_that_nobody_answers_both_end_in_doubt(stack: MakeStack) -> None:
    run = await stack({"gateway": {"in_doubt_deadline": 1.5}, "carriers.smpp": {"response_timeout": 1.0}})
    first, second = _twice(run, "2001")
    await run.send(first, second)
    await run.until_ended([first["id"], "second"])
    assert run.story(first["id"]) == run.story("second") == ["in_doubt", "in_doubt!"]
    assert run.ledger() == []


async def test_two_messages_to_one_number_whose_responses_were_lost_are_each_proven_by_their_own_receipt(stack: MakeStack) -> None:
    run = await stack()
    first, second = _twice(run, "2002")
    await run.send(first, second)
    await run.until_ended([first["id"], "second"])
    message_id_of = {entry["digest"]: entry["message_id"] for entry in run.ledger()}
    for payload in (first, second):
        assert run.story(payload["id"])[0] == "in_doubt"
        (shown,) = await run.json("show", payload["id"])
        digest = hashlib.blake2b(payload["text"].encode(), digest_size=8).hexdigest()
        if digest in message_id_of:
            assert [part["message_id"] for part in shown["part_ids"]] == [message_id_of[digest]], "a receipt settled the wrong one"
            assert run.story(payload["id"])[-1] == "receipt:delivered!"
        else:
            assert run.story(payload["id"]) == ["in_doubt", "in_doubt!"]


class VagueSmsc(Smsc):
    """Takes everything, drops the connection, and tells in receipts neither our reference nor an id that we know."""

    def take(self, pdu: SubmitSm | DataSm, system_id: str, scenario: Behaviour, at: float) -> Taken:
        """Change what the destination asks for."""
        vague = Behaviour(Reaction.DROP, receipts=(PlannedReceipt(DlrCode.DELIVERED, ReceiptForm.TEXT_ONLY),))
        return super().take(pdu, system_id, vague, at)


async def test_receipts_that_could_be_of_either_settle_neither(stack: MakeStack) -> None:
    run = await stack(start=False)
    smsc = VagueSmsc(SmscSettings(port=run.smpp_port, system_id="sandbox", password=SMPP_PASSWORD, ledger_path=run.ledger_path))
    await run.start_broker()
    run.write_config({"gateway": {"in_doubt_deadline": 2.0}})
    await run.start_gateway()
    await run.http_until("/readyz", lambda _, body: '"broker": true' in body)
    first, second = _twice(run, "5555")
    await run.send(first, second)
    await run.until_metric('mensageiro_queue_messages{state="queued"}', lambda number: number == 2)
    await smsc.start()
    try:
        await run.until_ended([first["id"], "second"])
    finally:
        await smsc.stop()
    assert len(run.ledger()) == 2
    assert run.story(first["id"]) == run.story("second") == ["in_doubt", "in_doubt!"]
    assert await run.metric("mensageiro_parked_receipts") == 2
