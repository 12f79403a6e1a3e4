"""Text to short_message octets and back, pure.

`gsm0338` is the 7-bit alphabet of GSM; `segment` picks an encoding, makes the octets, checks the length, and decodes replies.
"""

from gateway.text.gsm0338 import NotEncodableError
from gateway.text.segment import (
    DefaultAlphabet,
    EncodedText,
    Encoding,
    EncodingUnavailableError,
    TextTooLongError,
    WantedEncoding,
    choose,
    decode_inbound,
    encode,
)

__all__ = [
    "DefaultAlphabet",
    "EncodedText",
    "Encoding",
    "EncodingUnavailableError",
    "NotEncodableError",
    "TextTooLongError",
    "WantedEncoding",
    "choose",
    "decode_inbound",
    "encode",
]
