"""smpplib's own client, an independent ESME, bound to the sandbox: what we encode, a foreign decoder understands."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from smpplib import consts, exceptions
from smpplib.client import Client

from gateway.smpp import CommandStatus, EsmClass, Tag


class Phone:
    """Hold a smpplib client with what it received."""

    def __init__(self, port: int) -> None:
        self.client = Client("127.0.0.1", port, timeout=5, allow_unknown_opt_params=True)
        self.responses: list[Any] = []
        self.deliveries: list[Any] = []
        self.client.set_message_sent_handler(lambda pdu: self.responses.append(pdu))
        self.client.set_message_received_handler(self._on_delivery)
        self.client.connect()

    def _on_delivery(self, pdu: Any) -> int:
        self.deliveries.append(pdu)
        return int(CommandStatus.ESME_ROK)

    def bind(self, **fields: Any) -> Any:
        """Bind as transceiver."""
        return self.client.bind_transceiver(**{"system_id": "company", "password": "secret"} | fields)

    def submit(self, destination: str) -> None:
        """Send one message that asks for a receipt."""
        self.client.send_message(
            source_addr_ton=consts.SMPP_TON_INTL,
            source_addr="27001",
            dest_addr_ton=consts.SMPP_TON_INTL,
            destination_addr=destination,
            short_message=b"hello",
            registered_delivery=True,
        )

    def read(self, responses: int, deliveries: int) -> None:
        """Read until this many have come; the client's time-out bounds each read."""
        while len(self.responses) < responses or len(self.deliveries) < deliveries:
            self.client.read_once(auto_send_enquire_link=False)

    def close(self) -> None:
        """Hang up."""
        self.client.disconnect()


@pytest.fixture
def phones() -> Iterator[list[Phone]]:
    """Collect clients, so that every socket is closed."""
    made: list[Phone] = []
    yield made
    for phone in made:
        phone.close()


def life_of_a_message(phones: list[Phone], port: int) -> Phone:
    phone = Phone(port)
    phones.append(phone)
    assert phone.bind().system_id == b"MENSAGEIRO"
    phone.submit("5511987654321")
    phone.read(responses=1, deliveries=1)
    assert phone.client.unbind().command == "unbind_resp"
    return phone


async def test_smpplib_binds_submits_gets_its_receipt_and_unbinds(smsc: Any, phones: list[Phone]) -> None:
    phone = await asyncio.to_thread(life_of_a_message, phones, smsc.port)
    (response,), (receipt,) = phone.responses, phone.deliveries
    assert response.message_id.decode() == smsc.taken[0].message_id
    assert receipt.receipted_message_id == response.message_id
    assert receipt.message_state == consts.SMPP_MESSAGE_STATE_DELIVERED
    assert receipt.esm_class == EsmClass.DELIVERY_RECEIPT
    assert receipt.source_addr == b"5511987654321"
    assert b"stat:DELIVRD" in receipt.short_message


def every_receipt_form(phones: list[Phone], port: int) -> Phone:
    phone = Phone(port)
    phones.append(phone)
    phone.bind()
    for tail in ("0005", "2008", "2009", "2010", "2011", "2013"):
        phone.submit("551198765" + tail)
    phone.read(responses=6, deliveries=9)
    return phone


async def test_smpplib_reads_every_form_of_receipt_and_a_parted_reply(smsc: Any, phones: list[Phone]) -> None:
    phone = await asyncio.to_thread(every_receipt_form, phones, smsc.port)
    assert len({pdu.sequence for pdu in phone.deliveries}) == 9
    assert sorted(pdu.short_message[5] for pdu in phone.deliveries if pdu.esm_class == consts.SMPP_GSMFEAT_UDHI) == [1, 2, 3]


def refused_bind(phones: list[Phone], port: int) -> int:
    phone = Phone(port)
    phones.append(phone)
    with pytest.raises(exceptions.PDUError) as caught:
        phone.bind(password="wrong")
    return int(caught.value.args[1])


async def test_smpplib_is_told_that_its_password_is_wrong(start_smsc: Any, phones: list[Phone]) -> None:
    smsc = await start_smsc(password="secret")
    assert await asyncio.to_thread(refused_bind, phones, smsc.port) == CommandStatus.ESME_RINVPASWD


def refused_submit(phones: list[Phone], port: int) -> int:
    phone = Phone(port)
    phones.append(phone)
    phone.bind()
    phone.submit("5511987651088")
    with pytest.raises(exceptions.PDUError) as caught:
        phone.read(responses=1, deliveries=0)
    return int(caught.value.args[1])


async def test_smpplib_is_told_that_it_is_throttled(smsc: Any, phones: list[Phone]) -> None:
    assert await asyncio.to_thread(refused_submit, phones, smsc.port) == CommandStatus.ESME_RTHROTTLED


def test_the_tags_of_smpplib_are_ours() -> None:
    assert {consts.OPTIONAL_PARAMS[tag] for tag in ("receipted_message_id", "message_state", "user_message_reference")} == {
        Tag.RECEIPTED_MESSAGE_ID,
        Tag.MESSAGE_STATE,
        Tag.USER_MESSAGE_REFERENCE,
    }
