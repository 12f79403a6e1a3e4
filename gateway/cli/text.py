"""`mensageiro text`: what a text costs before it is sent. Needs no configuration, no broker and no provider.

The settings that matter are those of an SMPP carrier; each has an option, with the setting's default.
"""

import json
import sys
import unicodedata
from typing import Any, get_args

import click

from gateway import printing
from gateway.cli.shared import fail, json_option
from gateway.text import (
    Composed,
    DefaultAlphabet,
    Encoding,
    LongMessages,
    NotEncodableError,
    TextStyle,
    TextTooLongError,
    WantedEncoding,
    compose,
)

MOST_CHARACTERS = 600
"""What the provider takes at most, counted before encoding."""

_UNITS = {Encoding.GSM7: "septets", Encoding.GSM7_PT: "septets", Encoding.LATIN1: "octets", Encoding.UCS2: "UTF-16 units"}


@click.command("text", short_help="Show how a text would be sent, and what it costs.")
@click.argument("text")
@click.option("--encoding", "wanted", default="auto", show_default=True, type=click.Choice(get_args(WantedEncoding)))
@click.option("--transliterate", is_flag=True, help="Replace what the alphabet lacks (ã -> a).")
@click.option("--national-language", is_flag=True, help="The Portuguese tables may be used, with udh and udh16.")
@click.option("--latin1", is_flag=True, help="Latin-1 may be used unasked.")
@click.option("--long-messages", default="udh", show_default=True, type=click.Choice(get_args(LongMessages)))
@click.option("--apostrophe", default="keep", show_default=True, type=click.Choice(["keep", "space"]))
@click.option("--alphabet", "default_alphabet", default="gsm0338", show_default=True, type=click.Choice(get_args(DefaultAlphabet)))
@click.option("--flash", is_flag=True, help="As a flash message.")
@json_option
def text_command(text: str, wanted: WantedEncoding, as_json: bool, **style: Any) -> None:
    """Show the encoding of TEXT, its parts and what was replaced; "-" reads it from stdin. Exit code 1: it cannot be sent so."""
    if text == "-":
        text = sys.stdin.read().rstrip("\n")
    if not 1 <= len(text) <= MOST_CHARACTERS:
        fail(f"text: has {len(text)} characters, and may have 1 to {MOST_CHARACTERS}", 1)
    try:
        composed = compose(unicodedata.normalize("NFC", text), wanted, TextStyle(**style))
    except (NotEncodableError, TextTooLongError) as error:
        fail(f"text: {error}", 1)
    if as_json:
        click.echo(json.dumps(_described(composed), indent=2, ensure_ascii=False))
    else:
        _show(composed)


def _described(composed: Composed) -> dict[str, Any]:
    """Describe a text as it would travel, for JSON; octets and header elements in hexadecimal."""
    return {
        "encoding": composed.encoding.value,
        "data_coding": composed.data_coding,
        "units": sum(part.units for part in composed.parts),
        "limit": composed.limit,
        "parts": [{"units": part.units, "text": part.text, "octets": part.octets.hex()} for part in composed.parts],
        "segments": composed.segments,
        "left": _left(composed),
        "header_elements": composed.elements.hex(),
        "replaced": composed.replaced,
    }


def _left(composed: Composed) -> int:
    """Count the units that the last message at the phone still has room for."""
    last = composed.parts[-1].units
    return composed.limit - last if composed.segments == len(composed.parts) else composed.segments * composed.limit - last


def _show(composed: Composed) -> None:
    units = _UNITS[composed.encoding]
    summary = [
        ("encoding", composed.encoding.value),
        ("data_coding", f"{composed.data_coding:#04x}"),
        (units, sum(part.units for part in composed.parts)),
        ("messages", f"{composed.segments}, of up to {composed.limit} {units}; room for {_left(composed)} more"),
    ]
    if composed.elements:
        summary.append(("header elements", composed.elements.hex(" ")))
    summary += [
        ("replaced", f"{_visible(character)} -> {'a space' if instead == ' ' else _visible(instead)}")
        for character, instead in composed.replaced.items()
    ]
    printing.table(("", ""), summary)
    click.echo()
    rows = [(number, part.units, _visible(part.text)) for number, part in enumerate(composed.parts, 1)]
    printing.table(("part", units, "text"), rows)


def _visible(text: str) -> str:
    """Show what a terminal would act on, or show as nothing, by its code point."""
    return "".join(character if character.isprintable() else f"<U+{ord(character):04X}>" for character in text) or "nothing"
