"""The SMPP carrier and messages of several parts: one part at a time, all over one session, each way of carrying them."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.carriers.base import Prepared
from gateway.carriers.smpp_submit import SubmitBuilder
from gateway.message import Answer, Deferred, InDoubt, Message, Scope, Submitted
from gateway.smpp.codec import decode, encode
from gateway.smpp.constants import CommandStatus, EsmClass, Tag
from gateway.smpp.pdu import SubmitSm
from gateway.text.udh import Concatenation, split_header
from tests.carriers.smsc import Rig, Smsc, message, settings

Start = Callable[..., Rig]
LONG = "Não perca: a sua consulta está marcada para amanhã às 14h30. " * 4  # 244 characters: four parts in UCS2
NOW = 1_800_000_000.0


def parts_of(text: str = LONG, concatenation: int | None = 0x1234, fields: dict[str, Any] | None = None, **changes: Any) -> list[SubmitSm]:
    builder = SubmitBuilder(settings(1, **changes))
    found: list[SubmitSm] = []
    total = number = 1
    while number <= total:
        wanted = message(text=text, part=number, parts=total, concatenation=concatenation, expires_at=NOW + 60, **(fields or {}))
        prepared = builder.prepare(wanted)
        assert isinstance(prepared, Prepared), prepared
        total = len(prepared.parts)
        found.append(builder.submit_sm(wanted, prepared.parts[number - 1], NOW))  # type: ignore[arg-type] # a Part
        assert decode(encode(found[-1])) == found[-1]
        number += 1
    return found


def text_of(pdus: Sequence[SubmitSm]) -> str:
    bodies = [split_header(pdu.short_message)[1] if pdu.esm_class & EsmClass.UDHI else pdu.short_message for pdu in pdus]
    return b"".join(bodies).decode("utf-16-be")


@pytest.mark.parametrize(("way", "wide", "reference"), [("udh", False, 0x34), ("udh16", True, 0x1234)])
def test_a_user_data_header_joins_the_parts(way: str, wide: bool, reference: int) -> None:
    pdus = parts_of(long_messages=way)
    assert len(pdus) == 4
    assert all(pdu.esm_class == EsmClass.UDHI for pdu in pdus)
    joined = [split_header(pdu.short_message)[0].concatenation for pdu in pdus]
    assert joined == [Concatenation(reference, 4, number, wide) for number in (1, 2, 3, 4)]
    assert text_of(pdus) == LONG
    assert all(len(pdu.short_message) <= 140 for pdu in pdus)


def test_sar_tlvs_join_the_parts_and_no_header_stands_beside_them() -> None:
    pdus = parts_of(long_messages="sar", national_language=True)
    assert [pdu.esm_class for pdu in pdus] == [0, 0, 0, 0]
    assert {pdu.tlvs[Tag.SAR_MSG_REF_NUM] for pdu in pdus} == {b"\x12\x34"}
    assert [(pdu.tlvs[Tag.SAR_TOTAL_SEGMENTS], pdu.tlvs[Tag.SAR_SEGMENT_SEQNUM]) for pdu in pdus] == [
        (b"\4", bytes([number])) for number in (1, 2, 3, 4)
    ]
    assert text_of(pdus) == LONG


def test_a_payload_carries_the_text_whole() -> None:
    (pdu,) = parts_of(long_messages="payload")
    assert (pdu.esm_class, pdu.short_message) == (0, b"")
    assert pdu.tlvs[Tag.MESSAGE_PAYLOAD].decode("utf-16-be") == LONG


def test_a_short_text_goes_as_ever_whatever_long_messages_says() -> None:
    for way in ("udh", "udh16", "sar", "payload"):
        (pdu,) = parts_of("oi", long_messages=way)
        assert (pdu.esm_class, pdu.short_message, set(pdu.tlvs)) == (0, b"oi", {Tag.USER_MESSAGE_REFERENCE})


def test_every_part_asks_for_a_receipt_and_has_a_reference_of_its_own() -> None:
    pdus = parts_of()
    assert {pdu.registered_delivery for pdu in pdus} == {1}
    assert len({pdu.tlvs[Tag.USER_MESSAGE_REFERENCE] for pdu in pdus}) == 4


def test_national_language_tables_are_named_in_each_part() -> None:
    text = "Não é só ação, são três opções à mão. " * 6
    pdus = parts_of(text, national_language=True)
    headers = [split_header(pdu.short_message)[0] for pdu in pdus]
    assert all(header.concatenation and 3 in (header.single_shift, header.locking_shift) for header in headers)
    assert {pdu.data_coding for pdu in pdus} == {0}
    (single,) = parts_of("Não", national_language=True)
    assert single.esm_class == EsmClass.UDHI
    assert split_header(single.short_message)[0].concatenation is None


def test_a_flash_message_of_several_parts_keeps_its_class() -> None:
    assert {pdu.data_coding for pdu in parts_of(fields={"kind": "flash"})} == {0x18}


def test_what_was_transliterated_is_told() -> None:
    builder = SubmitBuilder(settings(1))
    prepared = builder.prepare(message(text="não é só ação", transliterate=True))
    assert isinstance(prepared, Prepared)
    assert prepared.encoding == "gsm7"
    assert prepared.replaced["ã"] == "a"
    everywhere = SubmitBuilder(settings(1, transliterate=True)).prepare(message(text="não é só ação"))
    assert isinstance(everywhere, Prepared)
    assert everywhere.replaced == prepared.replaced


def test_parts_that_would_not_fit_each_other_are_told_apart() -> None:
    text = "A sua consulta está marcada. " * 10
    changes: list[dict[str, Any]] = [
        {}, {"long_messages": "udh16"}, {"long_messages": "sar"}, {"latin1": True}, {"transliterate": True}, {"national_language": True},
        {"source_addr": "28000"},
    ]  # fmt: skip
    cuts = [SubmitBuilder(settings(1, **each)).prepare(message(text=text)) for each in changes]
    assert len({prepared.cut for prepared in cuts if isinstance(prepared, Prepared)}) == len(changes)
    alike = "a" * 66 + "🦜" * 20  # cut before the parrots whatever the header's width
    narrow, wide = (SubmitBuilder(settings(1, long_messages=way)).prepare(message(text=alike)) for way in ("udh", "udh16"))
    assert isinstance(narrow, Prepared)
    assert isinstance(wide, Prepared)
    assert [part.octets for part in narrow.parts] == [part.octets for part in wide.parts]  # type: ignore[attr-defined] # a Part
    assert narrow.cut != wide.cut


def test_the_parts_of_a_message_are_the_same_each_time_it_is_prepared() -> None:
    builder = SubmitBuilder(settings(1))
    first, second = (builder.prepare(message(text=LONG, part=part, parts=4)) for part in (1, 2))
    assert first == second
    assert isinstance(first, Prepared)
    assert first.cut
    assert builder.prepare(message(text="oi")).cut == 0  # type: ignore[union-attr] # it is prepared


# --- over sessions ---


def long_message(row: int = 1, part: int = 1, **fields: Any) -> Message:
    return message(row, text=LONG, part=part, parts=4, attempt=part, concatenation=9, **fields)


async def test_a_part_is_submitted_and_answered_by_itself(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    rig.submit(long_message())
    (answer,) = await rig.answers(1)
    assert isinstance(answer, Answer)
    assert (answer.part, answer.parts, answer.outcome) == (1, 4, Submitted(("id-1",), "ucs2"))
    assert len(smsc.submits) == 1


async def test_all_parts_of_a_message_go_over_one_session(smsc: Smsc, start: Start) -> None:
    rig = start(binds=3)
    await rig.ready(3)
    for part in (1, 2, 3, 4):
        rig.submit(long_message(1, part), long_message(2, part))
        await rig.answers(2)
    for reference in {pdu.tlvs[Tag.USER_MESSAGE_REFERENCE] for _, pdu in smsc.submits}:
        assert reference
    streams = [{id(stream) for stream, pdu in smsc.submits[place::2]} for place in (0, 1)]
    assert [len(each) for each in streams] == [1, 1]


async def test_the_session_of_a_message_that_was_sent_or_refused_is_forgotten(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    for row in (1, 2):
        rig.submit(long_message(row, 1))
        await rig.answers(1)
        assert rig.carrier._homes.of(row) is not None
    rig.submit(long_message(1, 4))
    await rig.answers(1)
    smsc.on_submit = smsc.refuse(CommandStatus.ESME_RINVDSTADR)
    rig.submit(long_message(2, 2))
    await rig.answers(1)
    assert [rig.carrier._homes.of(row) for row in (1, 2)] == [None, None]


async def test_a_part_waits_for_room_in_its_session(smsc: Smsc, start: Start) -> None:
    rig = start(binds=2, window=1)
    await rig.ready(2)
    rig.submit(long_message(1, 1))
    await rig.answers(1)
    home, _ = smsc.submits[0]
    smsc.on_submit = smsc.hold
    rig.submit(message(7), message(8))  # one fills the session of the first part
    await smsc.submitted(3)
    (stream, pdu) = next(each for each in smsc.submits[1:] if each[0] is home)
    other = next(each for each in smsc.submits[1:] if each[0] is not home)
    other[0].respond(other[1], message_id="free")
    await rig.answers(1)
    rig.submit(long_message(1, 2))
    assert len(smsc.submits) == 3
    smsc.on_submit = smsc.accept
    stream.respond(pdu, message_id="done")
    answers = await rig.answers(2)
    assert sorted((answer.row, answer.part) for answer in answers if isinstance(answer, Answer)) in ([(1, 2), (7, 1)], [(1, 2), (8, 1)])
    assert smsc.submits[3][0] is home


async def test_a_part_waits_until_its_session_can_be_written_again_though_nothing_comes_from_it(smsc: Smsc, start: Start) -> None:
    rig = start(binds=2)
    await rig.ready(2)
    rig.submit(long_message(1, 1))
    await rig.answers(1)
    connection = rig.carrier._homes.of(1)
    assert connection is not None
    home = connection.stream
    home.pause_writing()  # as the loop does while the peer does not read
    rig.submit(long_message(1, 2))
    assert len(smsc.submits) == 1
    home.resume_writing()
    (answer,) = await rig.answers(1)
    assert isinstance(answer, Answer)
    assert (answer.part, len({id(stream) for stream, _ in smsc.submits})) == (2, 1)


async def test_a_part_that_waits_for_a_session_that_ends_comes_back_unwritten(smsc: Smsc, start: Start) -> None:
    rig = start(binds=2, window=1)
    await rig.ready(2)
    rig.submit(long_message(1, 1))
    await rig.answers(1)
    home, _ = smsc.submits[0]
    smsc.on_submit = smsc.hold
    rig.submit(message(7), message(8))
    await smsc.submitted(3)
    other = next(each for each in smsc.submits[1:] if each[0] is not home)
    other[0].respond(other[1], message_id="free")
    await rig.answers(1)
    rig.submit(long_message(1, 2))
    home.abort()
    outcomes = {answer.row: answer.outcome for answer in await rig.answers(2) if isinstance(answer, Answer)}
    assert isinstance(outcomes[1], Deferred)
    assert outcomes[1].scope is Scope.CARRIER
    assert any(isinstance(outcome, InDoubt) for outcome in outcomes.values())


async def test_after_its_session_a_message_goes_on_over_another(smsc: Smsc, start: Start) -> None:
    rig = start(binds=2)
    await rig.ready(2)
    rig.submit(long_message(1, 1))
    await rig.answers(1)
    home, _ = smsc.submits[0]
    home.abort()
    await rig.observer.signal.until(lambda: rig.observer.reconnects)
    await rig.carrier.wait_credit()
    rig.submit(long_message(1, 2))
    (answer,) = await rig.answers(1)
    assert isinstance(answer.outcome, Submitted)
    assert smsc.submits[1][0] is not home


async def test_a_throttled_part_goes_again_over_the_session_of_its_message(smsc: Smsc, start: Start) -> None:
    rig = start(binds=3)
    await rig.ready(3)
    rig.submit(long_message(1, 1))
    await rig.answers(1)
    smsc.on_submit = smsc.refuse(CommandStatus.ESME_RTHROTTLED)
    rig.submit(long_message(1, 2))
    await rig.answers(1)
    smsc.on_submit = smsc.accept
    await rig.carrier.wait_credit()
    rig.submit(long_message(1, 2))
    await rig.answers(1)
    assert len({id(stream) for stream, _ in smsc.submits}) == 1


async def test_a_throttled_part_is_put_off_and_told_as_that_part(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.refuse(CommandStatus.ESME_RTHROTTLED)
    rig = start()
    await rig.ready()
    rig.submit(long_message(1, 2))
    (answer,) = await rig.answers(1)
    assert isinstance(answer, Answer)
    assert (answer.part, answer.parts) == (2, 4)
    assert isinstance(answer.outcome, Deferred)


async def test_an_unanswered_part_is_in_doubt_as_that_part(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.hold
    rig = start(response_timeout=0.05)
    await rig.ready()
    rig.submit(long_message(1, 3))
    (answer,) = await rig.answers(1)
    assert isinstance(answer, Answer)
    assert (answer.part, answer.parts) == (3, 4)
    assert isinstance(answer.outcome, InDoubt)
