"""From a text to the octets of its parts, and from the octets of a reply to its text. Pure.

Sending: `compose` picks an encoding, transliterates where asked, and cuts; `udh` joins the parts at the phone. Reading: `udh.split_header`,
`inbound.coding`, `inbound.decode`.
"""

from gateway.text.compose import PLAIN, Composed, TextStyle, compose, replace
from gateway.text.encodings import (
    DefaultAlphabet,
    Encoding,
    EncodingUnavailableError,
    LongMessages,
    NotEncodableError,
    TextTooLongError,
    WantedEncoding,
)
from gateway.text.inbound import decode_inbound
from gateway.text.segment import TextPart

__all__ = [
    "PLAIN",
    "Composed",
    "DefaultAlphabet",
    "Encoding",
    "EncodingUnavailableError",
    "LongMessages",
    "NotEncodableError",
    "TextPart",
    "TextStyle",
    "TextTooLongError",
    "WantedEncoding",
    "compose",
    "decode_inbound",
    "replace",
]
