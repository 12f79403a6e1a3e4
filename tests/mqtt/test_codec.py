"""Golden packets, round trips and random bytes.

`paho` packets were captured from paho-mqtt 2.2 (aiomqtt 2.5) on a loopback socket, `mosquitto` ones from mosquitto 2.0.11 answering it;
`spec` ones stand in the text of OASIS MQTT 5.0.
"""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mqtt.codec import (
    Connack,
    Connect,
    Disconnect,
    Puback,
    Suback,
    Will,
    decode_connack,
    decode_disconnect,
    decode_puback,
    decode_publish,
    decode_suback,
    encode_connect,
    encode_disconnect,
    encode_puback,
    encode_publish,
    encode_subscribe,
)
from gateway.mqtt.constants import describe_reason
from gateway.mqtt.errors import MalformedPacketError, ProtocolError, UnsendableError
from gateway.mqtt.framing import PacketReader
from gateway.mqtt.primitives import decode_utf8, decode_varint, encode_varint

LIMIT = 1 << 20


def split(packet: bytes) -> tuple[int, bytes]:
    """Return first byte and body of one whole packet."""
    (only,) = PacketReader(LIMIT).feed(packet)
    return only


CONNECT = bytes.fromhex(  # paho
    "106900044d51545405ec001e0d1100093a802103e82700100000000d6d656e7361676569726f2d6d31130300106170706c69636174696f6e2f6a736f6e"
    "000e736d732f676174657761792f6d3100107b227374617465223a22646f776e227d000267770006733363726574"
)
CONNACK = bytes.fromhex("200900000622000a210014")  # mosquitto
SUBSCRIBE = bytes.fromhex("8221000100000c736d732f7375626d69742f2329000c736d732f63616e63656c2f2329")  # paho
SUBACK = bytes.fromhex("90050001000101")  # mosquitto
PUBLISH = bytes.fromhex(  # mosquitto, forwarding a PUBLISH of paho's
    "3256000e736d732f7375626d69742f63726d0001390300106170706c69636174696f6e2f6a736f6e08000b63726d2f616e7377657273090002010226000161"
    "00013126000161000132020000003c7b226964223a2231227d"
)


def test_a_connect_with_will_properties_and_credentials_is_what_paho_sends() -> None:
    will = Will("sms/gateway/m1", b'{"state":"down"}')
    connect = Connect(
        "mensageiro-m1",
        keep_alive=30,
        session_expiry_interval=604800,
        receive_maximum=1000,
        maximum_packet_size=1 << 20,
        username="gw",
        password=b"s3cret",
        will=will,
    )
    assert encode_connect(connect) == CONNECT


def test_a_password_does_not_show_in_a_connect_s_repr() -> None:
    assert "s3cret" not in repr(Connect("c", password=b"s3cret"))


def test_a_subscribe_at_qos_1_without_stored_retained_messages_is_what_paho_sends() -> None:
    assert encode_subscribe(1, ["sms/submit/#", "sms/cancel/#"]) == SUBSCRIBE


def test_mosquitto_s_connack_tells_its_receive_maximum() -> None:
    assert decode_connack(split(CONNACK)[1]) == Connack(session_present=False, reason=0, receive_maximum=20)


def test_a_connack_tells_everything_that_the_session_needs() -> None:
    properties = "11 00000e10 12 0003 616263 13 000a 1f 0002 6f6b 21 0005 24 01 25 00 27 00001000 28 01 2a 01 22 0000"
    body = bytes.fromhex("0100 26" + properties)
    assert decode_connack(body) == Connack(
        session_present=True,
        reason=0,
        receive_maximum=5,
        maximum_packet_size=4096,
        maximum_qos=1,
        retain_available=False,
        server_keep_alive=10,
        session_expiry_interval=3600,
        assigned_client_identifier="abc",
        reason_string="ok",
    )


def test_a_connack_of_mqtt_3_1_1_without_properties_is_understood() -> None:
    assert decode_connack(b"\0\1").reason == 1


def test_mosquitto_s_suback_grants_qos_1_twice() -> None:
    assert decode_suback(split(SUBACK)[1]) == Suback(1, (1, 1))


def test_a_publish_forwarded_by_mosquitto_is_decoded_with_all_its_properties() -> None:
    first, body = split(PUBLISH)
    publish = decode_publish(first & 0x0F, body)
    assert (publish.topic, publish.payload, publish.qos, publish.packet_id) == ("sms/submit/crm", b'{"id":"1"}', 1, 1)
    assert (publish.retain, publish.dup, publish.message_expiry_interval) == (False, False, 60)
    assert (publish.content_type, publish.response_topic, publish.correlation_data) == ("application/json", "crm/answers", b"\1\2")
    assert list(publish.user_properties) == [("a", "1"), ("a", "2")]


def test_a_publish_with_properties_is_what_paho_sends() -> None:
    packet = encode_publish(
        "sms/submit/crm",
        b'{"id":"1"}',
        packet_id=2,
        message_expiry_interval=60,
        content_type="application/json",
        response_topic="crm/answers",
        correlation_data=b"\1\2",
        user_properties=[("a", "1"), ("a", "2")],
    )
    paho = "3256000e736d732f7375626d69742f63726d000239020000003c0300106170706c69636174696f6e2f6a736f6e08000b63726d2f616e7377657273"
    assert packet == bytes.fromhex(paho + "09000201022600016100013126000161000132" + "7b226964223a2231227d")


def test_a_puback_without_a_reason_code_means_success() -> None:
    assert decode_puback(bytes.fromhex("000a")) == Puback(10, 0)  # spec s3.4.2.1
    assert encode_puback(1) == bytes.fromhex("40020001")  # paho


@pytest.mark.parametrize("body", ["000a87", "000a8700", "000a87051f00026e6f"])
def test_a_puback_s_reason_code_is_read_with_and_without_properties(body: str) -> None:
    assert decode_puback(bytes.fromhex(body)) == Puback(10, 0x87)


def test_a_disconnect_is_understood_empty_and_with_a_reason_string() -> None:
    assert decode_disconnect(b"") == Disconnect()
    assert decode_disconnect(bytes.fromhex("8e")) == Disconnect(0x8E)
    assert decode_disconnect(bytes.fromhex("8b051f0002") + b"by") == Disconnect(0x8B, "by")
    assert encode_disconnect() == bytes.fromhex("e000")  # paho
    assert encode_disconnect(0x04) == bytes.fromhex("e00104")


@pytest.mark.parametrize(
    ("value", "encoded"),  # spec s1.5.5, table 1-1
    [(0, "00"), (127, "7f"), (128, "8001"), (16383, "ff7f"), (16384, "808001"), (2097152, "80808001"), (268435455, "ffffff7f")],
)
def test_variable_byte_integers_are_those_of_the_specification(value: int, encoded: str) -> None:
    data = bytes.fromhex(encoded)
    assert encode_varint(value) == data
    assert decode_varint(data, 0) == (value, len(data))


def test_the_specification_s_example_string_is_decoded() -> None:
    assert decode_utf8(bytes.fromhex("000541f0aa9b94"), 0) == ("A\U0002a6d4", 7)  # spec s1.5.4.2


@pytest.mark.parametrize("string", ["0003eda080", "000100", "0001ff", "000541"])
def test_a_string_that_is_no_utf_8_holds_nul_or_is_cut_is_malformed(string: str) -> None:
    with pytest.raises(MalformedPacketError):
        decode_utf8(bytes.fromhex(string), 0)


@pytest.mark.parametrize("topic", ["", "a/+", "a/#", "a\0b", "x" * 65536, "\ud800"])
def test_a_topic_name_that_mqtt_forbids_is_unsendable(topic: str) -> None:
    with pytest.raises(UnsendableError) as caught:
        encode_publish(topic, b"", packet_id=1)
    assert caught.value.reason == 0x90


@pytest.mark.parametrize("value", ["x" * 65536, "\ud800", "a\0"])
def test_a_user_property_that_does_not_fit_is_unsendable(value: str) -> None:
    with pytest.raises(UnsendableError):
        encode_publish("t", b"", packet_id=1, user_properties=[("name", value)])


@pytest.mark.parametrize(
    ("flags", "body"),
    [
        (0x06, "000161000100"),  # QoS 3
        (0x08, "00016100"),  # DUP at QoS 0
        (0x02, "000161000000"),  # packet identifier 0
        (0x02, "000161"),  # ends before the packet identifier
        (0x02, "00016100010502"),  # properties longer than the packet
        (0x02, "00016100010111"),  # a property of CONNACK
        (0x02, "0001610001040300"),  # a property that is cut
        (0x02, "00016100010a020000000102000000"),  # the last property is longer than the property length
        (0x02, "00016100010a02000000010200000001"),  # the same property twice
        (0x02, "0001610001ffffffff01"),  # a property length of five bytes
    ],
)
def test_a_broken_publish_is_a_protocol_error(flags: int, body: str) -> None:
    with pytest.raises(ProtocolError):
        decode_publish(flags, bytes.fromhex(body))


def test_a_hundred_thousand_user_properties_are_read_in_linear_time() -> None:
    pairs = [("a", "b")] * 100_000
    first, body = split(encode_publish("t", b"p", packet_id=1, user_properties=pairs))
    assert len(decode_publish(first & 0x0F, body).user_properties) == 100_000


topics = st.text(st.characters(codec="utf-8", exclude_characters="+#\0"), min_size=1, max_size=30)
strings = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@settings(deadline=None, max_examples=150)
@given(
    topic=topics,
    payload=st.binary(max_size=300),
    packet_id=st.integers(0, 65535),
    retain=st.booleans(),
    expiry=st.none() | st.integers(0, 0xFFFFFFFF),
    response_topic=st.none() | topics,
    correlation=st.none() | st.binary(max_size=40),
    content_type=st.none() | strings,
    pairs=st.lists(st.tuples(strings, strings), max_size=4),
)
def test_a_publish_survives_encoding_and_decoding(
    topic: str,
    payload: bytes,
    packet_id: int,
    retain: bool,
    expiry: int | None,
    response_topic: str | None,
    correlation: bytes | None,
    content_type: str | None,
    pairs: list[tuple[str, str]],
) -> None:
    packet = encode_publish(
        topic,
        payload,
        packet_id=packet_id,
        retain=retain,
        message_expiry_interval=expiry,
        response_topic=response_topic,
        correlation_data=correlation,
        content_type=content_type,
        user_properties=pairs,
    )
    first, body = split(packet)
    publish = decode_publish(first & 0x0F, body)
    assert (publish.topic, publish.payload, publish.packet_id, publish.retain) == (topic, payload, packet_id, retain)
    assert (publish.qos, publish.message_expiry_interval, publish.response_topic) == (int(packet_id > 0), expiry, response_topic)
    assert (publish.correlation_data, publish.content_type, list(publish.user_properties)) == (correlation, content_type, pairs)


@settings(deadline=None, max_examples=200)
@given(first=st.integers(0, 255), body=st.binary(max_size=60))
def test_random_bodies_raise_nothing_but_protocol_errors(first: int, body: bytes) -> None:
    decoders = (decode_connack, decode_puback, decode_suback, decode_disconnect, lambda data: decode_publish(first & 0x0F, data))
    for decode in decoders:
        with suppress(ProtocolError):
            decode(body)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_damaged_golden_packet_raises_nothing_but_protocol_errors(data: st.DataObject) -> None:
    packet = bytearray(data.draw(st.sampled_from([PUBLISH, CONNACK, SUBACK])))
    packet[data.draw(st.integers(2, len(packet) - 1))] = data.draw(st.integers(0, 255))
    first, body = split(bytes(packet))
    decode = {2: decode_connack, 3: lambda data: decode_publish(first & 0x0F, data), 9: decode_suback}[first >> 4]
    with suppress(ProtocolError):
        decode(body)


@settings(deadline=None, max_examples=100)
@given(payloads=st.lists(st.binary(max_size=400), max_size=6), data=st.data())
def test_packets_survive_any_split_of_the_stream(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(encode_publish("t", payload, packet_id=1) for payload in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reader = PacketReader(LIMIT)
    packets = [packet for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True) for packet in reader.feed(stream[start:end])]
    assert [decode_publish(first & 0x0F, body).payload for first, body in packets] == payloads


def test_packets_survive_one_byte_at_a_time() -> None:
    reader = PacketReader(LIMIT)
    stream = CONNACK + SUBACK + PUBLISH + bytes.fromhex("d000")
    assert [first for byte in stream for first, _ in reader.feed(bytes((byte,)))] == [0x20, 0x90, 0x32, 0xD0]


def test_a_packet_above_the_maximum_is_refused_before_it_has_come() -> None:
    with pytest.raises(ProtocolError) as caught:
        list(PacketReader(1000).feed(bytes.fromhex("32ffff7f")))
    assert caught.value.reason == 0x95


def test_a_remaining_length_of_five_bytes_is_malformed() -> None:
    with pytest.raises(MalformedPacketError):
        list(PacketReader(LIMIT).feed(bytes.fromhex("32ffffffff01")))


def test_reason_codes_are_put_into_words_and_unknown_ones_stay_numbers() -> None:
    assert describe_reason(0x87) == "0x87 not authorized"
    assert describe_reason(0xF3) == "0xf3"
