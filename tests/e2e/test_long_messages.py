"""Texts of several parts, end to end: every encoding, every way of carrying them, and what happens to a part in the middle."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from gateway.sandbox.messages import Taken
from gateway.sandbox.scenario import ORDINARY, Behaviour, Reaction
from gateway.sandbox.settings import SmscSettings
from gateway.sandbox.smsc import Smsc
from gateway.smpp.constants import CommandStatus, EsmClass, Tag
from gateway.smpp.pdu import DataSm, SubmitSm
from gateway.smpp.tlv import message_octets
from gateway.text import inbound
from gateway.text.udh import NO_HEADER, split_header
from tests.e2e.conftest import MakeStack
from tests.support.stack import SMPP_PASSWORD, Stack
from tests.support.traffic import MARK
from tests.support.waiting import until

WAYS = ("udh", "udh16", "sar", "payload")
SENTENCE = f"{MARK}: não é só ação, há três opções à mão; você já pôde ler? "
TEXT = (SENTENCE * 12)[:600]
SCRIPTED = {"refused": "6661", "throttled": "6662", "dropped": "6663", "silent": "6664"}


class ReadingSmsc(Smsc):
    """Keeps every PDU that it takes, and treats the second part of some messages its own way."""

    def __init__(self, port: int, ledger: Any, response_delay: float) -> None:
        settings = SmscSettings(port=port, password=SMPP_PASSWORD, ledger_path=ledger, receipt_delay=0.0, response_delay=response_delay)
        super().__init__(settings)
        self.pdus: dict[str, list[SubmitSm | DataSm]] = defaultdict(list)
        self.tries: dict[str, int] = defaultdict(int)

    def behaviour_of(self, pdu: SubmitSm | DataSm) -> Behaviour:
        """Look at the part, not at the destination alone."""
        if number_of(pdu) != 2:
            return super().behaviour_of(pdu)
        tail = pdu.destination_addr[-4:]
        self.tries[tail] += 1
        if tail == SCRIPTED["refused"]:
            return Behaviour(command_status=CommandStatus.ESME_RINVMSGLEN, receipts=())
        if tail == SCRIPTED["throttled"] and self.tries[tail] == 1:
            return Behaviour(command_status=CommandStatus.ESME_RTHROTTLED, receipts=())
        if tail == SCRIPTED["dropped"] and self.tries[tail] == 1:
            return Behaviour(Reaction.DROP)
        if tail == SCRIPTED["silent"]:
            return Behaviour(Reaction.SILENCE, receipts=())
        return ORDINARY

    def take(self, pdu: SubmitSm | DataSm, system_id: str, scenario: Behaviour, at: float) -> Taken:
        """Keep it."""
        self.pdus[pdu.destination_addr].append(pdu)
        return super().take(pdu, system_id, scenario, at)

    def text(self, to: str) -> str:
        """Read what a phone would show of the parts sent to it."""
        pieces = []
        for pdu in sorted(self.pdus["55" + to], key=number_of):
            octets = message_octets(pdu)
            header, body = split_header(octets) if pdu.esm_class & EsmClass.UDHI else (NO_HEADER, octets)
            pieces.append((body, inbound.coding(pdu.data_coding, "gsm0338", {}, header)))
        return inbound.decode(pieces)[0]


def number_of(pdu: SubmitSm | DataSm) -> int:
    """Return which part a PDU is."""
    if Tag.SAR_SEGMENT_SEQNUM in pdu.tlvs:
        return pdu.tlvs[Tag.SAR_SEGMENT_SEQNUM][0]
    joined = split_header(message_octets(pdu))[0].concatenation if pdu.esm_class & EsmClass.UDHI else None
    return joined.number if joined else 1


def parts_by(way: str, encoding: str) -> int:
    """Return how many parts 600 characters are: a wider reference leaves less room."""
    if way == "payload":
        return 1
    return {"ucs2": 10 if way == "udh16" else 9, "latin1": 5, "gsm7-pt": 5, "gsm7": 4}[encoding]


Run = Callable[..., Awaitable[tuple[Stack, ReadingSmsc]]]


@pytest.fixture
async def run(stack: MakeStack) -> AsyncIterator[Run]:
    """A gateway with an SMPP account for each way of carrying long messages, all at one SMSC that reads what it takes."""
    smscs: list[ReadingSmsc] = []

    async def make(*, response_delay: float = 0.0, **gateway: Any) -> tuple[Stack, ReadingSmsc]:
        stand = await stack(start=False)
        smscs.append(ReadingSmsc(stand.smpp_port, stand.ledger_path, response_delay))
        await smscs[-1].start()
        await stand.start_broker()
        base = {"kind": "smpp", "host": "127.0.0.1", "port": stand.smpp_port, "max_rate": 0.0}
        base |= {"password_file": str(stand.folder / "smpp.password"), "response_timeout": 2.0, "reconnect_min": 0.1, "window": 20}
        more = {
            f"carriers.{way}": base | {"system_id": way, "long_messages": way, "national_language": True, "latin1": True} for way in WAYS
        }
        stand.write_config({"gateway": {"routes": ["smpp", *WAYS], **gateway}, **more})
        await stand.start_gateway()
        await stand.ready()
        return stand, smscs[-1]

    yield make
    for smsc in smscs:
        await smsc.stop()


async def test_600_characters_arrive_in_every_encoding_and_every_way_with_a_receipt_for_each_part(run: Run) -> None:
    stand, smsc = await run()
    wanted: dict[str, Any] = {"ucs2": {}, "latin1": {}, "gsm7-pt": {}, "gsm7": {"transliterate": True}}
    payloads = [
        stand.traffic.message(id=f"{way}-{encoding}", text=TEXT, routes=[way], encoding=encoding, **more)
        for way in WAYS
        for encoding, more in wanted.items()
        if encoding != "gsm7-pt" or way.startswith("udh")  # the others have no header to name the tables in
    ]
    await stand.send(*payloads)
    await stand.until_ended([payload["id"] for payload in payloads])
    for payload in payloads:
        events = stand.told(payload["id"])
        accepted, receipts = events[0], events[1:]
        assert (accepted["type"], accepted["encoding"]) == ("accepted", payload["encoding"]), events
        parts = parts_by(payload["routes"][0], payload["encoding"])
        assert (accepted["parts"], len(accepted["message_ids"]), len(receipts)) == (parts, parts, parts), payload["id"]
        assert sorted(event["part"] for event in receipts) == list(range(1, parts + 1))
        assert {event["state"] for event in receipts} == {"delivered"}
        assert [event["final"] for event in receipts] == [False] * (parts - 1) + [True]
        sent = smsc.text(payload["to"])
        if payload["encoding"] == "gsm7":
            assert sent.isascii()
            assert accepted["replaced"]["ã"] == "a"
        else:
            assert sent == TEXT


@pytest.mark.fault
async def test_a_part_in_the_middle_is_refused_throttled_dropped_or_never_answered(run: Run) -> None:
    stand, smsc = await run(in_doubt_deadline=3.0)
    payloads = {name: stand.traffic.message(tail, id=name, text=TEXT, encoding="ucs2") for name, tail in SCRIPTED.items()}
    dropping = payloads.pop("dropped")  # it takes the session along: by itself
    await stand.send(*payloads.values())
    await stand.until_ended(payloads)
    payloads["dropped"] = dropping
    await stand.send(dropping)
    await stand.until_ended(["dropped"])
    refused, throttled, dropped, silent = (stand.told(name) for name in SCRIPTED)
    assert (refused[0]["type"], refused[0]["reason"]) == ("rejected", "refused_by_provider")
    assert refused[0]["detail"].startswith("part 2 of 9: ")
    assert refused[0]["detail"].endswith("; part 1 was sent, the rest not")
    assert len(smsc.pdus["55" + payloads["refused"]["to"]]) == 1
    assert [event["type"] for event in throttled] == ["accepted"] + ["receipt"] * 9
    assert smsc.text(payloads["throttled"]["to"]) == TEXT
    joined = {split_header(message_octets(pdu))[0].concatenation for pdu in smsc.pdus["55" + payloads["throttled"]["to"]]}
    assert len({each.reference for each in joined if each}) == 1
    assert dropped[0]["type"] == "in_doubt"
    assert [event["type"] for event in dropped[1:]] == ["accepted"] + ["receipt"] * 9, "its receipt proved the part, and the rest went on"
    assert smsc.text(payloads["dropped"]["to"]) == TEXT
    assert len(smsc.pdus["55" + payloads["dropped"]["to"]]) == 9
    assert [event["type"] for event in silent[:2]] == ["in_doubt", "in_doubt"]
    assert silent[1]["final"]
    assert len(smsc.pdus["55" + payloads["silent"]["to"]]) == 1


async def killed_under_way(stand: Stack, times: int) -> None:
    """Kill the gateway each time that the provider has taken some more parts, and start it again."""
    for _ in range(times):
        wanted = len(stand.ledger()) + 30
        await until(lambda: len(stand.ledger()) >= wanted, "more parts are taken")  # noqa: B023 - awaited within the turn
        await stand.gateway.kill()
        await stand.start_gateway()
        await stand.ready()


@pytest.mark.fault
async def test_killed_while_parts_are_on_their_way_no_part_is_sent_twice_and_every_message_ends(run: Run) -> None:
    stand, smsc = await run(in_doubt_deadline=3.0, response_delay=0.2)  # a hundred parts a second: the kills come in between
    payloads = [stand.traffic.message(id=f"long-{number}", text=TEXT, encoding="ucs2") for number in range(60)]
    await stand.send(*payloads)
    await killed_under_way(stand, 3)
    await stand.until_ended([payload["id"] for payload in payloads])
    for payload in payloads:
        numbers = [number_of(pdu) for pdu in smsc.pdus["55" + payload["to"]]]
        assert len(set(numbers)) == len(numbers), "a part was sent twice"
        assert numbers == sorted(numbers), "a part overtook another"
        last = [event for event in stand.told(payload["id"]) if event["final"]]
        assert len(last) == 1
        if last[0]["type"] == "receipt":
            assert smsc.text(payload["to"]) == TEXT


@pytest.mark.fault
async def test_killed_with_resubmit_every_part_arrives_and_none_twice_without_saying_so(run: Run) -> None:
    stand, smsc = await run(in_doubt="resubmit", in_doubt_deadline=5.0, response_delay=0.2)
    payloads = [stand.traffic.message(id=f"long-{number}", text=TEXT, encoding="ucs2") for number in range(60)]
    await stand.send(*payloads)
    await killed_under_way(stand, 6)
    await stand.until_ended([payload["id"] for payload in payloads])
    twice = 0
    for payload in payloads:
        numbers = [number_of(pdu) for pdu in smsc.pdus["55" + payload["to"]]]
        told = stand.told(payload["id"])
        (final,) = [event for event in told if event["final"]]
        accepted = [event for event in told if event["type"] == "accepted"]
        assert bool(accepted) == (final["type"] == "receipt"), told
        if accepted:
            assert set(numbers) == set(range(1, accepted[0]["parts"] + 1)), "a part is missing"
            assert accepted[0]["possible_duplicate"] or len(set(numbers)) == len(numbers), "a silent copy"
        twice += len(set(numbers)) < len(numbers)
    assert twice, "the kills hit nothing"
