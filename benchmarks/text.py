"""Measure texts: microseconds from a text to its parts, and from the parts of a reply to its text.

Run `python benchmarks/text.py`. Each figure is the best of several runs, which is what the code costs when the machine leaves it alone. The
budget is 20 us for a text of 160 septets, whatever is asked of it.
"""

import sys
import timeit
from collections.abc import Callable

from gateway.text import TextStyle, WantedEncoding, compose
from gateway.text.inbound import coding, decode
from gateway.text.udh import concatenation, header, split_header

NUMBER = 2_000
REPEAT = 7

PLAIN = ("Ola! Seu pedido 12345 saiu para entrega e chega hoje ate as 18h. Acompanhe em https://exemplo.com.br/p ou responda AJUDA. " * 2)[
    :160
]
EXTENDED = "{}€[" * 20 + "a" * 80  # its extension characters count twice
ACCENTS = ("Olá! Seu pedido já saiu para entrega e chega até às 18h. Não é preciso fazer nada: a atenção é toda nossa. " * 6)[:600]

STYLES: list[tuple[str, str, WantedEncoding, TextStyle]] = [
    ("gsm7, 160 septets", PLAIN, "auto", TextStyle()),
    ("gsm7, 160 septets, transliterate and apostrophe on", PLAIN, "auto", TextStyle(transliterate=True, apostrophe="space")),
    ("gsm7, 240 septets in 2 parts", EXTENDED, "auto", TextStyle()),
    ("gsm7 by transliteration, 160 characters", ACCENTS[:160], "auto", TextStyle(transliterate=True)),
    ("gsm7-pt, 135 characters, 152 septets", ACCENTS[:135], "auto", TextStyle(national_language=True)),
    ("latin1, 140 characters", ACCENTS[:140], "auto", TextStyle(latin1=True)),
    ("ucs2, 70 characters", ACCENTS[:70], "auto", TextStyle()),
    ("ucs2, 160 characters in 3 parts", ACCENTS[:160], "auto", TextStyle()),
    ("gsm7-pt, 600 characters in 5 parts", ACCENTS, "auto", TextStyle(national_language=True)),
    ("ucs2, 600 characters in 9 parts", ACCENTS, "auto", TextStyle()),
]


def measure(run: Callable[[], object]) -> float:
    """Return the microseconds of one run."""
    return min(timeit.repeat(run, number=NUMBER, repeat=REPEAT)) / NUMBER * 1e6


def reply(text: str, style: TextStyle) -> Callable[[], object]:
    """Return a run that reads the parts of `text` as a phone would have sent them."""
    composed = compose(text, "auto", style)
    total = len(composed.parts)
    received = [header(concatenation(7, total, at), composed.elements) + part.octets for at, part in enumerate(composed.parts, 1)]

    def run() -> str:
        pieces = []
        for data in received:
            udh, octets = split_header(data)
            pieces.append((octets, coding(composed.data_coding, "gsm0338", {}, udh)))
        return decode(pieces)[0]

    if run() != text:
        raise RuntimeError("a reply reads otherwise than it was written")
    return run


def main() -> None:
    """Print the table."""
    rows = [
        (name, measure(lambda text=text, wanted=wanted, style=style: compose(text, wanted, style))) for name, text, wanted, style in STYLES
    ]
    rows += [
        ("read a reply of one part", measure(reply(PLAIN[:150], TextStyle()))),
        ("read a reply of 5 parts in the Portuguese tables", measure(reply(ACCENTS, TextStyle(national_language=True)))),
    ]
    sys.stdout.write(f"{'operation':<56}{'us':>8}\n")
    for name, microseconds in rows:
        sys.stdout.write(f"{name:<56}{microseconds:>8.2f}\n")


if __name__ == "__main__":
    main()
