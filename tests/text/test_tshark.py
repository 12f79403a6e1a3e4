"""Our parts in submit_sm, dissected by tshark: it joins them to the same text.

The capture is written by hand, so no right to capture is needed. tshark reads the text of a part and joins the octets of all; the
Portuguese tables it only names, so their octets are read by a foreign codec.
"""

import shutil
import struct
import subprocess
from pathlib import Path
from typing import cast

import pytest

from gateway.carriers.base import Prepared
from gateway.carriers.smpp_submit import Part, SubmitBuilder
from gateway.smpp.codec import encode
from gateway.text import TextStyle, compose
from tests.carriers.smsc import message, settings

TSHARK = shutil.which("tshark") or ""
PORT = 2775
RAW_IP = 101  # the link type

TEXT = ("Olá! Seu pedido já saiu para entrega e chega até às 18h. Não é preciso fazer nada: a atenção é toda nossa. " * 6)[:600]

DENSE = "ação é não, irmã: põe mão à obra já! " * 16

pytestmark = pytest.mark.skipif(not TSHARK, reason="tshark is not installed")


def pcap(payloads: list[bytes]) -> bytes:
    """Write one TCP segment a payload, from one side only."""
    written = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IP)
    sequence = 1
    for payload in payloads:
        tcp = struct.pack(">HHIIBBHHH", 40000, PORT, sequence, 1, 5 << 4, 0x18, 8192, 0, 0)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), 0, 0, 64, 6, 0, bytes([127, 0, 0, 1]), bytes([127, 0, 0, 1]))
        frame = ip + tcp + payload
        written += struct.pack("<IIII", 1, sequence, len(frame), len(frame)) + frame
        sequence += len(payload)
    return written


def submits(text: str, style: TextStyle) -> list[bytes]:
    """Make the PDUs of a message as a carrier with these settings does."""
    options = style._asdict()
    del options["flash"]
    builder = SubmitBuilder(settings(1, **options))
    sent = message(text=text, concatenation=7)
    prepared = builder.prepare(sent)
    assert isinstance(prepared, Prepared), prepared
    pdus = [builder.submit_sm(sent, cast("Part", part), 0.0) for part in prepared.parts]
    for number, pdu in enumerate(pdus, 1):
        pdu.sequence_number = number
    return [encode(pdu) for pdu in pdus]


def fields(capture: Path, *names: str) -> list[list[str]]:
    """Return the fields of each frame."""
    preferences = ["-o", "smpp.decode_sms_over_smpp:GSM 7-bit"]
    asked = [word for name in names for word in ("-e", name)]
    command = [TSHARK, "-r", str(capture), "-d", f"tcp.port=={PORT},smpp", *preferences, "-T", "fields", "-E", "separator=|", *asked]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    return [line.split("|") for line in done.stdout.decode().splitlines()]


@pytest.mark.parametrize(
    ("text", "style", "codec", "shifts"),
    [
        (TEXT, TextStyle(transliterate=True), "ascii", ["", ""]),
        (TEXT, TextStyle(transliterate=True, long_messages="udh16"), "ascii", ["", ""]),
        (TEXT, TextStyle(latin1=True), "latin-1", ["", ""]),
        (TEXT, TextStyle(), "utf-16-be", ["", ""]),
        (TEXT, TextStyle(long_messages="udh16"), "utf-16-be", ["", ""]),
        (TEXT, TextStyle(national_language=True), "gsm23.038-0-3", ["", "3"]),
        (DENSE, TextStyle(national_language=True), "gsm23.038-3-0", ["3", ""]),
    ],
)
@pytest.mark.parametrize("turned", [False, True], ids=["in order", "last first"])
def test_tshark_joins_our_parts_to_the_same_text(
    text: str, style: TextStyle, codec: str, shifts: list[str], turned: bool, tmp_path: Path
) -> None:
    if codec.startswith("gsm"):
        pytest.importorskip("gsmcodecs")
    composed = compose(text, "auto", style)
    total = len(composed.parts)
    frames = submits(text, style)
    numbers = range(1, total + 1)
    if turned:
        frames, numbers = frames[::-1], numbers[::-1]
    capture = tmp_path / "parts.pcap"
    capture.write_bytes(pcap(frames))
    names = ["gsm_sms.udh.mm.msg_id", "gsm_sms.udh.mm.msg_parts", "gsm_sms.udh.mm.msg_part"]
    names += ["gsm_sms.dis_iei_lang.locking_shift", "gsm_sms.dis_iei_lang.single_shift"]
    rows = fields(capture, *names, "_ws.malformed", "gsm_sms_ud.short_msg", "smpp.message_text")
    assert [row[:6] for row in rows] == [["7", str(total), str(number), *shifts, ""] for number in numbers]
    assert bytes.fromhex(rows[-1][6]).decode(codec) == "".join(part.text for part in composed.parts)
    if not style.national_language:
        assert [row[7] for row in rows] == [composed.parts[number - 1].text for number in numbers]


@pytest.mark.parametrize("transliterated", [True, False], ids=["gsm7", "ucs2"])
def test_tshark_reads_the_same_text_where_the_smsc_joins_or_cuts(transliterated: bool, tmp_path: Path) -> None:
    capture = tmp_path / "parts.pcap"
    names = ["smpp.sar_msg_ref_num", "smpp.sar_total_segments", "smpp.sar_segment_seqnum"]
    names += ["smpp.esm.submit.features", "_ws.malformed", "smpp.message_text"]
    sar, payload = (TextStyle(long_messages=way, transliterate=transliterated) for way in ("sar", "payload"))
    sent = [part.text for part in compose(TEXT, "auto", sar).parts]
    for style, texts in ((sar, sent), (payload, ["".join(sent)])):
        capture.write_bytes(pcap(submits(TEXT, style)))
        joined = [["7", str(len(texts)), str(number)] for number in range(1, len(texts) + 1)] if style is sar else [["", "", ""]]
        assert fields(capture, *names) == [[*each, "0x00", "", text] for each, text in zip(joined, texts, strict=True)]
