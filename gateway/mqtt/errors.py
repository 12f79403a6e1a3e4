"""What can be wrong with MQTT bytes, and whose fault it is. Every error carries the reason code that tells the peer (MQTT 5 s2.4)."""

from gateway.mqtt.constants import ReasonCode


class MqttError(Exception):
    """Base of all errors of this package."""

    def __init__(self, detail: str, reason: int) -> None:
        super().__init__(detail)
        self.reason = reason


class ProtocolError(MqttError):
    """The peer sent what the protocol does not allow here. Ends the connection. MQTT 5 s4.13"""

    def __init__(self, detail: str, reason: int = ReasonCode.PROTOCOL_ERROR) -> None:
        super().__init__(detail, reason)


class MalformedPacketError(ProtocolError):
    """The peer sent bytes that are no MQTT packet. Ends the connection. MQTT 5 s1.2"""

    def __init__(self, detail: str, reason: int = ReasonCode.MALFORMED_PACKET) -> None:
        super().__init__(detail, reason)


class UnsendableError(MqttError):
    """A packet of ours cannot be put on the wire (topic, property or size). Concerns this one packet; nothing was sent."""
