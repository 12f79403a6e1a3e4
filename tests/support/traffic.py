"""Messages with a destination of their own each, so that the provider's ledger tells which of them it took."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

AREA_CODES = ("11", "21", "27", "31", "41", "48", "51", "61", "71", "81", "85", "91")
ORDINARY = "5555"  # no magic number: accepted and delivered
MARK = "Segredo"  # begins every text; must never show in a log

Payload = dict[str, Any]


class Traffic:
    """Make payloads, and remember who was written to."""

    def __init__(self) -> None:
        self.number_of: dict[str, str] = {}
        self.magic_of: dict[str, str] = {}
        self._made: Counter[str] = Counter()

    @property
    def ids(self) -> list[str]:
        """Every id that was made."""
        return list(self.number_of)

    def message(self, magic: str = ORDINARY, **fields: Any) -> Payload:
        """Make a submit payload to a number that nobody else has and that ends in `magic`."""
        count = self._made[magic]
        self._made[magic] += 1
        number = f"{AREA_CODES[count % len(AREA_CODES)]}9{count:04d}{magic}"
        id = fields.get("id", f"{magic}-{count}")
        payload = {"id": id, "to": number, "text": f"{MARK} {id}: as nove na praia"} | fields
        self.number_of[id] = str(payload["to"])
        self.magic_of[id] = magic
        return payload

    def messages(self, number: int, magic: str = ORDINARY, **fields: Any) -> list[Payload]:
        """Make `number` of them."""
        return [self.message(magic, **fields) for _ in range(number)]

    def taken(self, ledger: Iterable[Mapping[str, Any]]) -> Counter[str]:
        """Count how often the provider took each id."""
        id_of = {number: id for id, number in self.number_of.items()}
        return Counter(id_of.get(entry["to"].removeprefix("55"), entry["to"]) for entry in ledger)

    def copies(self, ledger: Iterable[Mapping[str, Any]]) -> Counter[str]:
        """Count how often the provider took the same of each id: a message, or one of its parts."""
        id_of = {number: id for id, number in self.number_of.items()}
        most: Counter[str] = Counter()
        for (to, _), times in Counter((entry["to"].removeprefix("55"), entry["digest"]) for entry in ledger).items():
            id = id_of.get(to, to)
            most[id] = max(most[id], times)
        return most

    def leaks(self, log: str) -> list[str]:
        """Name what of our messages shows in a log: a text, or a number, however it is written."""
        found = [MARK] if MARK in log else []
        told = {digits[start : start + 9] for digits in re.findall("[0-9]{9,}", log) for start in range(len(digits) - 8)}
        return found + [number for number in set(self.number_of.values()) if number[-9:] in told or (len(number) < 9 and number in log)]
