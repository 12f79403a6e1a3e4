"""Our octets in the eyes of others: smpplib, smpp34 (Rust) and tshark; and theirs in ours."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import smpp34
import smpplib.consts
import smpplib.smpp
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.smpp import (
    AlertNotification,
    BindTransceiver,
    CancelSm,
    DataSm,
    DeliverSm,
    DistributionList,
    EnquireLink,
    GenericNack,
    Outbind,
    Pdu,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    SmeAddress,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    Tag,
    Unbind,
    UnsuccessSme,
    decode,
    encode,
)
from gateway.smpp.pdu import type_of_response

ASCII = st.characters(min_codepoint=33, max_codepoint=126)
OCTETS = st.integers(0, 255)
ADDRESS = st.text(ASCII, max_size=20)
FIELDS = {
    "service_type": st.text(ASCII, max_size=5),
    "source_addr_ton": OCTETS,
    "source_addr_npi": OCTETS,
    "source_addr": ADDRESS,
    "dest_addr_ton": OCTETS,
    "dest_addr_npi": OCTETS,
    "destination_addr": ADDRESS,
    "esm_class": OCTETS,
    "protocol_id": OCTETS,
    "priority_flag": OCTETS,
    "schedule_delivery_time": st.sampled_from(["", "260115103000000+"]),
    "validity_period": st.sampled_from(["", "000002000000000R"]),
    "registered_delivery": OCTETS,
    "replace_if_present_flag": OCTETS,
    "data_coding": OCTETS,
    "sm_default_msg_id": OCTETS,
    "short_message": st.binary(max_size=254),
}
MESSAGES = st.sampled_from([SubmitSm, DeliverSm])


@given(MESSAGES, st.fixed_dictionaries(FIELDS), st.dictionaries(st.integers(0x1400, 0x3FFF), st.binary(max_size=40)))
@settings(deadline=None, max_examples=150)
def test_smpp34_writes_and_reads_the_same_octets(
    pdu_type: type[SubmitSm] | type[DeliverSm], fields: dict[str, Any], tlvs: dict[int, bytes]
) -> None:
    theirs_type = smpp34.SubmitSm if pdu_type is SubmitSm else smpp34.DeliverSm
    foreign_tlvs = [smpp34.Tlv(tag, value) for tag, value in tlvs.items()]
    theirs = theirs_type(tlvs=foreign_tlvs, sequence_number=7, **fields)
    ours = pdu_type(tlvs=tlvs, sequence_number=7, **fields)
    assert encode(ours) == theirs.encode()
    assert decode(theirs.encode()) == ours
    read = smpp34.decode(encode(ours))
    assert isinstance(read, theirs_type)
    assert {name: getattr(read, name) for name in FIELDS} == fields
    assert {tlv.tag: tlv.value for tlv in read.tlvs} == tlvs


class Numbers:
    """What smpplib wants of its client to make a PDU."""

    def next_sequence(self) -> int:
        return 7


def foreign(name: str, **fields: Any) -> bytes:
    """The octets of a PDU made by smpplib."""
    pdu = smpplib.smpp.make_pdu(name, client=Numbers())
    for field, value in {"sequence": 7, **fields}.items():
        setattr(pdu, field, value)
    if hasattr(pdu, "prep"):
        pdu.prep()
    octets: bytes = pdu.generate()
    return octets


@given(st.fixed_dictionaries({name: FIELDS[name] for name in FIELDS if name != "service_type"}))
@settings(deadline=None, max_examples=60)
def test_smpplib_writes_the_same_submit_sm(fields: dict[str, Any]) -> None:
    ours = SubmitSm(sequence_number=7, **fields)
    assert foreign("submit_sm", **fields) == encode(ours)


def test_smpplib_writes_the_same_optional_parameters() -> None:
    theirs = foreign("submit_sm", user_message_reference=42, sar_msg_ref_num=1, sar_total_segments=2)
    pdu = decode(theirs)
    assert isinstance(pdu, SubmitSm)
    assert pdu.tlvs == {Tag.USER_MESSAGE_REFERENCE: b"\0\x2a", Tag.SAR_MSG_REF_NUM: b"\0\1", Tag.SAR_TOTAL_SEGMENTS: b"\2"}


@pytest.mark.parametrize(
    ("name", "pdu"),
    [
        ("bind_transceiver", BindTransceiver("esme", "secret", "SMPP", 0x34, 1, 1, "55*")),
        ("data_sm", DataSm("", 1, 1, "27000", 1, 1, "5511987654321", 4, 1, 8)),
        ("query_sm", QuerySm("3a9f", 1, 1, "27000")),
        ("query_sm_resp", QuerySmResp("3a9f", "260115103000000+", 2, 0)),
        ("enquire_link", EnquireLink()),
        ("unbind", Unbind()),
        ("generic_nack", GenericNack()),
        ("submit_sm_resp", SubmitSmResp("3a9f")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_smpplib_writes_the_other_pdus_alike(name: str, pdu: Pdu) -> None:
    pdu.sequence_number = 7
    skipped = {"command_status", "sequence_number", "tlvs", "repeated_tlvs", "malformed_tail"}
    fields = {field: getattr(pdu, field) for field in pdu.__struct_fields__ if field not in skipped}
    assert foreign(name, **fields).hex(" ") == encode(pdu).hex(" ")


def test_smpplib_reads_our_receipt() -> None:
    ours = DeliverSm(
        source_addr="5511987654321",
        esm_class=4,
        short_message=b"id:1 stat:DELIVRD",
        tlvs={Tag.RECEIPTED_MESSAGE_ID: b"1\0", Tag.MESSAGE_STATE: b"\x02"},
        sequence_number=7,
    )
    theirs = smpplib.smpp.parse_pdu(encode(ours), client=Numbers())
    assert (theirs.short_message, theirs.message_state, theirs.receipted_message_id) == (b"id:1 stat:DELIVRD", 2, b"1")
    assert (theirs.source_addr, theirs.sequence) == (b"5511987654321", 7)


# --- tshark ---

EVERYTHING: list[Pdu] = [
    BindTransceiver("esme", "secret", "SMPP", 0x34, 1, 1, ""),
    Outbind("smsc", "secret"),
    SubmitSm(source_addr="27000", destination_addr="5511987654321", short_message=b"oi", tlvs={0x0204: b"\0\1"}),
    SubmitMulti(dest_addresses=(SmeAddress(1, 1, "5511987654321"), DistributionList("all")), short_message=b"oi"),
    DeliverSm(source_addr="5511987654321", esm_class=4, short_message=b"id:1", tlvs={0x001E: b"1\0", 0x0427: b"\2"}),
    DataSm(destination_addr="5511987654321", tlvs={0x0424: b"oi"}),
    QuerySm("1"),
    CancelSm(message_id="1"),
    ReplaceSm(message_id="1", short_message=b"oi"),
    EnquireLink(),
    Unbind(),
    GenericNack(command_status=3),
    AlertNotification(source_addr="5511987654321", tlvs={0x0422: b"\0"}),
    SubmitSmResp("3a9f"),
    SubmitMultiResp("3a9f", (UnsuccessSme(1, 1, "5511987654321", 0x0B),)),
    QuerySmResp("3a9f", "260115103000000+", 2, 0),
    *(response() for response in type_of_response.values()),
]


@pytest.mark.skipif(not shutil.which("tshark") or not shutil.which("text2pcap"), reason="tshark is not installed")
def test_tshark_knows_every_pdu_and_finds_none_malformed(tmp_path: Path) -> None:
    dump = tmp_path / "pdus.txt"
    frames = [encode(pdu) for pdu in EVERYTHING]
    dump.write_text("".join(f"000000 {frame.hex(' ')}\n" for frame in frames))
    capture = tmp_path / "pdus.pcap"
    subprocess.run(["text2pcap", "-q", "-T", "40000,2775", dump, capture], check=True, capture_output=True, timeout=30)
    command = ["tshark", "-r", str(capture), "-d", "tcp.port==2775,smpp", "-o", "tcp.analyze_sequence_numbers:FALSE"]
    command += ["-T", "fields", "-e", "smpp.command_id", "-e", "_ws.malformed", "-e", "_ws.expert.message"]
    read = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.splitlines()
    assert [line.split("\t") for line in read] == [[f"0x{pdu.command_id:08x}", "", ""] for pdu in EVERYTHING]
