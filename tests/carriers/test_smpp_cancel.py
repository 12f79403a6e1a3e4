"""cancel_sm: one for each message_id, one answer an order."""

from collections.abc import Callable

import pytest

from gateway.message import (
    CancelAnswer,
    CancelFailed,
    Cancelled,
    CancelOrder,
)
from gateway.smpp.constants import CommandStatus
from gateway.smpp.pdu import (
    CancelSm,
)
from gateway.smpp.stream import SmppStream
from tests.carriers.smsc import Rig, Smsc, message, rows

Start = Callable[..., Rig]


@pytest.mark.parametrize(
    ("command_status", "expected"),
    [
        (0, Cancelled()),
        (CommandStatus.ESME_RINVMSGID, CancelFailed("not_found")),
        (CommandStatus.ESME_RCANCELFAIL, CancelFailed("too_late")),
        (CommandStatus.ESME_RSYSERR, CancelFailed("refused")),
    ],
)
async def test_a_cancel_names_the_id_and_the_addresses_of_the_submit(
    smsc: Smsc, start: Start, command_status: int, expected: Cancelled | CancelFailed
) -> None:
    smsc.on_cancel = smsc.refuse(command_status)
    rig = start()
    await rig.ready()
    assert rig.carrier.ready_to_cancel
    rig.carrier.cancel([CancelOrder(5, "11987654321", None, ("id-9",))])
    (answer,) = await rig.answers(1)
    assert isinstance(answer, CancelAnswer)
    assert (answer.row, answer.outcome) == (5, expected)
    (pdu,) = smsc.cancels
    assert (pdu.message_id, pdu.source_addr, pdu.destination_addr) == ("id-9", "1140001000", "5511987654321")


async def test_a_message_of_several_ids_is_cancelled_only_when_every_part_is(smsc: Smsc, start: Start) -> None:
    smsc.on_cancel = lambda stream, pdu: stream.respond(pdu, 0 if pdu.message_id == "a" else 0x11)
    rig = start()
    await rig.ready()
    rig.carrier.cancel([CancelOrder(1, "11987654321", None, ("a", "b")), CancelOrder(2, "11987654321", None, ("a", "a"))])
    answers = await rig.answers(2)
    assert [answer.outcome for answer in answers] == [CancelFailed("too_late"), Cancelled()]


async def test_an_empty_message_id_is_never_cancelled(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    rig.carrier.cancel([CancelOrder(1, "11987654321", None, ()), CancelOrder(2, "11987654321", None, ("",))])
    answers = await rig.answers(2)
    assert [answer.outcome for answer in answers] == [CancelFailed("unknown")] * 2
    assert smsc.cancels == []


async def test_a_cancel_without_answer_is_unknown(smsc: Smsc, start: Start) -> None:
    smsc.on_cancel = smsc.hold
    rig = start(response_timeout=0.05)
    await rig.ready()
    rig.carrier.cancel([CancelOrder(1, "11987654321", None, ("id-1",))])
    assert [answer.outcome for answer in await rig.answers(1)] == [CancelFailed("unknown")]


async def test_a_cancel_without_a_bind_is_not_answered_so_that_it_is_asked_for_again(smsc: Smsc, start: Start) -> None:
    rig = start()
    assert not rig.carrier.ready_to_cancel
    rig.carrier.cancel([CancelOrder(1, "11987654321", None, ("id-1",))])
    await rig.ready()
    rig.carrier.cancel([CancelOrder(2, "11987654321", None, ("id-2",))])
    assert rows(await rig.answers(1)) == [2]
    assert len(smsc.cancels) == 1


async def test_a_late_answer_to_a_cancel_is_not_told_twice(smsc: Smsc, start: Start) -> None:
    held: list[tuple[SmppStream, CancelSm]] = []
    smsc.on_cancel = lambda stream, pdu: held.append((stream, pdu))
    rig = start(response_timeout=0.05)
    await rig.ready()
    rig.carrier.cancel([CancelOrder(1, "11987654321", None, ("id-1",))])
    await rig.answers(1)
    ((stream, pdu),) = held
    stream.respond(pdu)
    rig.submit(message(2))
    assert rows(await rig.answers(1)) == [2]


async def test_a_cancel_whose_id_cannot_be_encoded_is_unknown(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    rig.carrier.cancel([CancelOrder(1, "11987654321", None, ("x" * 200,))])
    assert [answer.outcome for answer in await rig.answers(1)] == [CancelFailed("unknown")]
