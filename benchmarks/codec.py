"""Measure the SMPP core: microseconds per encode, decode, receipt, and round trip through two sessions.

Run `python benchmarks/codec.py`. Each figure is the best of several runs, which is what the code costs when the machine
leaves it alone.
"""

import sys
import timeit
from collections.abc import Callable

from gateway.smpp import (
    BindTransceiver,
    CommandStatus,
    DeliverSm,
    EsmClass,
    RequestReceived,
    ResponseReceived,
    Role,
    Session,
    SessionSettings,
    SubmitSm,
    SubmitSmResp,
    Tag,
    decode,
    encode,
    parse_receipt,
)

NUMBER = 20_000
REPEAT = 7
RECEIPT_TEXT = b"id:3a9f001c sub:001 dlvrd:001 submit date:2601151030 done date:2601151031 stat:DELIVRD err:000 text:Ola, mundo"


def submit_sm() -> SubmitSm:
    """Build a submit_sm as the gateway sends it: 100 characters, receipt asked, our reference."""
    return SubmitSm(
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr="551130000000",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="5511987654321",
        registered_delivery=1,
        short_message=b"x" * 100,
        tlvs={Tag.USER_MESSAGE_REFERENCE: b"\x00\x07"},
    )


def receipt() -> DeliverSm:
    """Build a delivery receipt with text and the two usual TLVs."""
    return DeliverSm(
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr="5511987654321",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="551130000000",
        esm_class=EsmClass.DELIVERY_RECEIPT,
        short_message=RECEIPT_TEXT,
        tlvs={Tag.RECEIPTED_MESSAGE_ID: b"3a9f001c\0", Tag.MESSAGE_STATE: b"\x02"},
    )


def bound_sessions() -> tuple[Session, Session]:
    """Return an ESME and an SMSC that are bound to each other."""
    settings = SessionSettings(window=1000)
    esme, smsc = Session(Role.ESME, settings, 0.0), Session(Role.SMSC, settings, 0.0)
    esme.send(BindTransceiver(system_id="bench"), 0.0)
    (event,) = smsc.receive(esme.data_to_send(), 0.0)
    if isinstance(event, RequestReceived):
        smsc.respond(event.pdu, CommandStatus.ESME_ROK, system_id="smsc")
    esme.receive(smsc.data_to_send(), 0.0)
    return esme, smsc


def round_trips(batch: int) -> Callable[[], None]:
    """Return a run of `batch` submit_sm through both sessions, each from send to its ResponseReceived."""
    esme, smsc = bound_sessions()
    pdus = [submit_sm() for _ in range(batch)]

    def run() -> None:
        for pdu in pdus:
            esme.send(pdu, 1.0)
        for event in smsc.receive(esme.data_to_send(), 1.0):
            if isinstance(event, RequestReceived):
                smsc.respond(event.pdu, message_id="3a9f001c")
        answered = esme.receive(smsc.data_to_send(), 1.0)
        if not all(isinstance(event, ResponseReceived) for event in answered) or len(answered) != batch:
            raise RuntimeError("a round trip got lost")

    return run


def measure(run: Callable[[], object], per_run: int = 1) -> float:
    """Return the microseconds of one of the `per_run` things that `run` does."""
    number = NUMBER // per_run
    return min(timeit.repeat(run, number=number, repeat=REPEAT)) / number / per_run * 1e6


def main() -> None:
    """Print the table."""
    mt, dlr = submit_sm(), receipt()
    dlr_frame, mt_frame = encode(dlr), encode(mt)
    resp = SubmitSmResp(message_id="3a9f001c")
    resp_frame = encode(resp)
    rows = [
        ("encode submit_sm", measure(lambda: encode(mt))),
        ("decode submit_sm", measure(lambda: decode(mt_frame))),
        ("encode submit_sm_resp", measure(lambda: encode(resp))),
        ("decode submit_sm_resp", measure(lambda: decode(resp_frame))),
        ("decode deliver_sm (receipt, 2 TLVs)", measure(lambda: decode(dlr_frame))),
        ("parse_receipt", measure(lambda: parse_receipt(dlr))),
        ("round trip, one at a time", measure(round_trips(1))),
        ("round trip, 50 at a time", measure(round_trips(50), 50)),
    ]
    sys.stdout.write(f"{'operation':<38}{'us':>8}\n")
    for name, microseconds in rows:
        sys.stdout.write(f"{name:<38}{microseconds:>8.2f}\n")


if __name__ == "__main__":
    main()
