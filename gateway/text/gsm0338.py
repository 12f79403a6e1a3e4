"""The GSM 7-bit default alphabet and its extension table, unpacked: one septet an octet.

That is how most SMSCs take `data_coding` 0 over SMPP. The alphabet holds à é ü É Ç but not á â ã ê í ó ô õ ú ç, so most Portuguese
sentences do not fit it: see `gateway.text.national_language` and `gateway.text.transliterate`.

Source of both tables: 3GPP TS 23.038 s6.2.1 and s6.2.1.1.
"""

from gateway.text.encodings import NotEncodableError
from gateway.text.septets import ESCAPE, SeptetAlphabet

__all__ = ["DEFAULT_ALPHABET", "ESCAPE", "EXTENSION_TABLE", "GSM", "NotEncodableError", "decode", "encodable", "encode", "missing"]

DEFAULT_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The character of each septet; ESCAPE stands for itself. 3GPP TS 23.038 s6.2.1"""

EXTENSION_TABLE = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
"""The character of each septet that follows ESCAPE. 3GPP TS 23.038 s6.2.1.1"""

GSM = SeptetAlphabet(DEFAULT_ALPHABET, EXTENSION_TABLE)

encode = GSM.encode
encodable = GSM.holds
missing = GSM.missing
decode = GSM.decode
