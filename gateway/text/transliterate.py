"""Stand-ins for characters that an alphabet lacks: `não é só ação` becomes `nao e so acao`. Pure.

Done only where a producer or a setting asks for it, and told: `replacements` returns each character with what goes instead. The rules, in
the order in which they are tried:

1. A text that the alphabet holds as a whole is left alone: `Olé à vista` stays as it is in GSM 03.38.
2. `RULES`: typographic marks, spaces and signs as Brazilians type them, and the commonest emoji as emoticons.
3. What nobody sees goes: variation selectors, skin tones, joiners, zero-width spaces, marks of direction, soft hyphens, a combining accent.
4. A Latin letter with accents loses them. Where one must, all of the text's accents go (`together`), those that the alphabet would hold
   too: a mixture such as `nao é so` reads worse than either. Quotes, dashes or emoji alone cost no accent: `“Olé”` becomes `"Olé"`.
5. The rest as the library `anyascii` has it: other scripts in Latin letters, fractions, currencies, other emoji by name (`:fire:`).

The euro sign is in GSM 03.38 (two septets) and stays; it becomes EUR where the SMSC's default alphabet lacks it.

What has no stand-in (a control character, say) is not in the answer; it stays in the text, and the caller decides.
"""

import unicodedata
from collections.abc import Callable, Set
from functools import lru_cache

from anyascii import anyascii


def _each(characters: str, instead: str) -> dict[str, str]:
    return dict.fromkeys(characters, instead)


RULES: dict[str, str] = {
    **_each("\t\u00a0\u202f\u2007", " "),
    **_each("\v\x85\u2028\u2029", "\n"),
    **_each("`´‘’‚‛′‹›ʼ", "'"),
    **_each("“”„‟″«»", '"'),
    **_each("‐‑‒–—―−•·", "-"),
    "…": "...",
    "°": "o",  # 1° for 1º is more common in Brazil than degrees are
    "×": "x",
    "→": "->",
    "←": "<-",
    **_each("✔✅☑", "OK"),
    **_each("✖❌", "X"),
    **_each("🙂😀😃😄😁😊☺", ":)"),
    **_each("😂🤣😆😅", ":D"),
    "😉": ";)",
    **_each("😛😜😝", ":P"),
    **_each("😮😯😲", ":O"),
    **_each("🙁☹😞😟😔😢😭", ":("),
    **_each("❤♥🧡💛💚💙💜🖤🤍💕💖💗", "<3"),
    "💔": "</3",
}
"""What goes instead of a character, before any other rule."""

_UNSEEN = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u20e3") | frozenset(
    chr(point)
    for first, last in ((0x0300, 0x036F), (0x202A, 0x202E), (0x2066, 0x2069), (0xFE00, 0xFE0F), (0x1F3FB, 0x1F3FF))
    for point in range(first, last + 1)
)
_ACCENTS = frozenset(map(chr, range(0x0300, 0x0370)))


def replacements(held: Set[str], lacking: Set[str], holds: Callable[[str], bool], *, together: bool) -> dict[str, str]:
    """Return what goes instead of each character that has a stand-in.

    `held` and `lacking` are the characters of the text, by whether the alphabet holds them; `together` says: all accents or none.
    """
    found = {
        character: instead for character in sorted(lacking) if (instead := _stand_in(character)) is not None and all(map(holds, instead))
    }
    if together and any(character in _ACCENTS or _unaccented(character) for character in found):
        found |= {character: plain for character in sorted(held) if character > "\x7f" and (plain := _unaccented(character))}
    return found


@lru_cache(maxsize=4096)
def _stand_in(character: str) -> str | None:
    if character in RULES:
        return RULES[character]
    if character in _UNSEEN:
        return ""
    return _unaccented(character) or anyascii(character).replace("`", "'") or None


@lru_cache(maxsize=4096)
def _unaccented(character: str) -> str:
    """Return the letter of a Latin letter with accents, "" for any other character."""
    parts = unicodedata.normalize("NFD", character)
    return parts[0] if len(parts) > 1 and parts[0].isascii() and parts[0].isalpha() else ""
