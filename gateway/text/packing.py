"""Septets packed into octets, as they are on the radio: what a few SMSCs deliver over SMPP too. Pure. 3GPP TS 23.038 s6.1.2"""


def unpack(octets: bytes, fill: int = 0) -> bytes:
    """Unpack into one septet an octet; the first `fill` bits only fill up the header before them. Any octets have a result.

    Octets do not tell whether their last seven bits are a septet or padding. Zeros are taken for padding, as senders write it: so an '@' at
    the end of every eighth septet is lost, which is known and cannot be helped.
    """
    bits = int.from_bytes(octets, "little") >> fill
    count = max(0, len(octets) * 8 - fill) // 7
    septets = bytes(bits >> 7 * place & 0x7F for place in range(count))
    spare = len(octets) * 8 - fill - count * 7
    return septets[:-1] if spare == 0 and septets.endswith(b"\0") else septets


def fill_bits(header: int) -> int:
    """Return how many bits stand between a header of so many octets and the next septet's boundary. 3GPP TS 23.040 s9.2.3.24"""
    return -header * 8 % 7
