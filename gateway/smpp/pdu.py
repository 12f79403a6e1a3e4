"""The PDUs of SMPP 3.4 section 4, one class each, with the specification's field names in wire order.

Every PDU has `command_status` and `sequence_number` (both 0 unless given; the session numbers requests). C-octet
strings are `str`, Latin-1 in both directions, so that no octet is lost; `short_message` is `bytes`; numbers are
plain `int`. Lengths that follow from other fields (sm_length, number_of_dests, no_unsuccess) are not fields.

Optional parameters (`OptionalParameters`): `tlvs` maps tag to raw value in wire order. Of a tag that comes several
times `tlvs` keeps the first; the others stand in `repeated_tlvs`. Octets at the end of a received PDU that are no
whole TLV are kept in `malformed_tail`; they are never sent. `gateway.smpp.tlv` reads values by type.

A class is a msgspec.Struct: slots, equality, cheap to build. Its repr names the PDU and nothing of its content, since
texts, numbers and passwords must not reach a log or a traceback.
"""

from typing import ClassVar, final

from msgspec import Struct, field

from gateway.smpp.constants import INTERFACE_VERSION, CommandId, DestFlag, command_name, status_name


class Pdu(Struct, kw_only=True):
    """Stand above every PDU and hold what each header carries. SMPP 3.4 s3.2."""

    command_id: ClassVar[CommandId]

    command_status: int = 0
    sequence_number: int = 0

    def __repr__(self) -> str:
        """Name the PDU, its number and status; never its content."""
        return f"<{command_name(self.command_id)} #{self.sequence_number} {status_name(self.command_status)}>"


class OptionalParameters(Pdu, kw_only=True):
    """Stand above the PDUs that may carry optional parameters. SMPP 3.4 s3.2.4."""

    tlvs: dict[int, bytes] = field(default_factory=dict)
    repeated_tlvs: tuple[tuple[int, bytes], ...] = ()
    malformed_tail: bytes = b""


class _Bind(Pdu):
    system_id: str = ""
    password: str = ""
    system_type: str = ""
    interface_version: int = INTERFACE_VERSION
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""


class BindTransmitter(_Bind):
    """Ask for a session to submit messages. SMPP 3.4 s4.1.1."""

    command_id = CommandId.BIND_TRANSMITTER


class BindReceiver(_Bind):
    """Ask for a session to receive messages. SMPP 3.4 s4.1.3."""

    command_id = CommandId.BIND_RECEIVER


class BindTransceiver(_Bind):
    """Ask for a session to submit and receive messages. SMPP 3.4 s4.1.5."""

    command_id = CommandId.BIND_TRANSCEIVER


class _BindResp(OptionalParameters):
    system_id: str = ""


class BindTransmitterResp(_BindResp):
    """Answer bind_transmitter. SMPP 3.4 s4.1.2."""

    command_id = CommandId.BIND_TRANSMITTER_RESP


class BindReceiverResp(_BindResp):
    """Answer bind_receiver. SMPP 3.4 s4.1.4."""

    command_id = CommandId.BIND_RECEIVER_RESP


class BindTransceiverResp(_BindResp):
    """Answer bind_transceiver. SMPP 3.4 s4.1.6."""

    command_id = CommandId.BIND_TRANSCEIVER_RESP


class Outbind(Pdu):
    """Let the SMSC ask an ESME to bind as receiver; has no response. SMPP 3.4 s4.1.7."""

    command_id = CommandId.OUTBIND

    system_id: str = ""
    password: str = ""


class Unbind(Pdu):
    """Ask to end the session. SMPP 3.4 s4.2.1."""

    command_id = CommandId.UNBIND


class UnbindResp(Pdu):
    """Answer unbind. SMPP 3.4 s4.2.2."""

    command_id = CommandId.UNBIND_RESP


class GenericNack(Pdu):
    """Refuse a PDU whose header is wrong or unknown. SMPP 3.4 s4.3.1."""

    command_id = CommandId.GENERIC_NACK


class _Message(OptionalParameters):
    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""


class SubmitSm(_Message):
    """Submit a message to the SMSC. SMPP 3.4 s4.4.1."""

    command_id = CommandId.SUBMIT_SM


class _MessageIdResp(OptionalParameters):
    message_id: str = ""


class SubmitSmResp(_MessageIdResp):
    """Answer submit_sm with the SMSC's message_id. SMPP 3.4 s4.4.2."""

    command_id = CommandId.SUBMIT_SM_RESP


class SmeAddress(Struct, frozen=True):
    """Name one destination of submit_multi, or of its response. SMPP 3.4 s4.5.1.1."""

    dest_flag: ClassVar[DestFlag] = DestFlag.SME_ADDRESS

    dest_addr_ton: int
    dest_addr_npi: int
    destination_addr: str


class DistributionList(Struct, frozen=True):
    """Name a distribution list as destination of submit_multi. SMPP 3.4 s4.5.1.2."""

    dest_flag: ClassVar[DestFlag] = DestFlag.DISTRIBUTION_LIST

    dl_name: str


class UnsuccessSme(Struct, frozen=True):
    """Name a destination that submit_multi did not reach, and why. SMPP 3.4 s4.5.2.1."""

    dest_addr_ton: int
    dest_addr_npi: int
    destination_addr: str
    error_status_code: int


class SubmitMulti(OptionalParameters):
    """Submit a message to 1 to 254 destinations. SMPP 3.4 s4.5.1."""

    command_id = CommandId.SUBMIT_MULTI

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addresses: tuple[SmeAddress | DistributionList, ...] = ()
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""


class SubmitMultiResp(OptionalParameters):
    """Answer submit_multi. SMPP 3.4 s4.5.2."""

    command_id = CommandId.SUBMIT_MULTI_RESP

    message_id: str = ""
    unsuccess_smes: tuple[UnsuccessSme, ...] = ()


class DeliverSm(_Message):
    """Deliver a reply or a delivery receipt to the ESME. SMPP 3.4 s4.6.1."""

    command_id = CommandId.DELIVER_SM


class DeliverSmResp(_MessageIdResp):
    """Answer deliver_sm; message_id is unused and empty. SMPP 3.4 s4.6.2."""

    command_id = CommandId.DELIVER_SM_RESP


class DataSm(OptionalParameters):
    """Carry a message in message_payload, either way. SMPP 3.4 s4.7.1."""

    command_id = CommandId.DATA_SM

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = 0


class DataSmResp(_MessageIdResp):
    """Answer data_sm. SMPP 3.4 s4.7.2."""

    command_id = CommandId.DATA_SM_RESP


class QuerySm(Pdu):
    """Ask what became of a message. SMPP 3.4 s4.8.1."""

    command_id = CommandId.QUERY_SM

    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""


class QuerySmResp(OptionalParameters):
    """Answer query_sm. SMPP 3.4 s4.8.2; optional parameters are tolerated though none is defined."""

    command_id = CommandId.QUERY_SM_RESP

    message_id: str = ""
    final_date: str = ""
    message_state: int = 0
    error_code: int = 0


class CancelSm(Pdu):
    """Ask to cancel a message that is not yet delivered. SMPP 3.4 s4.9.1."""

    command_id = CommandId.CANCEL_SM

    service_type: str = ""
    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""


class CancelSmResp(Pdu):
    """Answer cancel_sm. SMPP 3.4 s4.9.2."""

    command_id = CommandId.CANCEL_SM_RESP


class ReplaceSm(Pdu):
    """Ask to replace a message that is not yet delivered. SMPP 3.4 s4.10.1."""

    command_id = CommandId.REPLACE_SM

    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""


class ReplaceSmResp(Pdu):
    """Answer replace_sm. SMPP 3.4 s4.10.2."""

    command_id = CommandId.REPLACE_SM_RESP


class EnquireLink(Pdu):
    """Ask whether the peer is alive. SMPP 3.4 s4.11.1."""

    command_id = CommandId.ENQUIRE_LINK


class EnquireLinkResp(Pdu):
    """Answer enquire_link. SMPP 3.4 s4.11.2."""

    command_id = CommandId.ENQUIRE_LINK_RESP


class AlertNotification(OptionalParameters):
    """Tell the ESME that a handset is reachable again; has no response. SMPP 3.4 s4.12.1."""

    command_id = CommandId.ALERT_NOTIFICATION

    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    esme_addr_ton: int = 0
    esme_addr_npi: int = 0
    esme_addr: str = ""


@final
class UnknownPdu(Struct):
    """Hold a PDU whose command_id SMPP 3.4 does not define."""

    command_id: int
    command_status: int = 0
    sequence_number: int = 0
    body: bytes = b""

    def __repr__(self) -> str:
        """Name the PDU and its number; never its content."""
        return f"<unknown {command_name(self.command_id)} #{self.sequence_number}>"


type_of_response: dict[int, type[Pdu]] = {
    CommandId.BIND_TRANSMITTER: BindTransmitterResp,
    CommandId.BIND_RECEIVER: BindReceiverResp,
    CommandId.BIND_TRANSCEIVER: BindTransceiverResp,
    CommandId.UNBIND: UnbindResp,
    CommandId.SUBMIT_SM: SubmitSmResp,
    CommandId.SUBMIT_MULTI: SubmitMultiResp,
    CommandId.DELIVER_SM: DeliverSmResp,
    CommandId.DATA_SM: DataSmResp,
    CommandId.QUERY_SM: QuerySmResp,
    CommandId.CANCEL_SM: CancelSmResp,
    CommandId.REPLACE_SM: ReplaceSmResp,
    CommandId.ENQUIRE_LINK: EnquireLinkResp,
}
"""The response class of each request; outbind and alert_notification have none."""

Bind = BindTransmitter | BindReceiver | BindTransceiver
BindResp = BindTransmitterResp | BindReceiverResp | BindTransceiverResp
