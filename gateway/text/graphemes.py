"""Where a text may be cut so that no sign falls apart: between grapheme clusters, near enough. Pure.

Kept together are a letter and its combining marks, emoji joined by ZWJ or followed by a skin tone or a variation selector, the two letters
of a flag, a keycap, the syllables of Hangul jamo, and CR LF. That is Unicode Standard Annex #29 without the prepended marks of some Indic
scripts and without its longer conjuncts, which SMS in Portuguese does not need.
"""

import unicodedata
from functools import lru_cache

_ZWJ = "\u200d"
_JOINING = frozenset({"Mn", "Me", "Mc"})  # general categories of what continues the sign before it


def may_cut(text: str, at: int) -> bool:
    """Tell whether a sign ends before index `at`, which has a character on either side."""
    before, after = text[at - 1], text[at]
    if after < "\u0300":  # the common case: nothing below joins what stands before it
        return not (after == "\n" and before == "\r") and before != _ZWJ
    if _continues(after) or before == _ZWJ:
        return False
    if _is_regional(after) and _is_regional(before):
        return _regional_run(text, at) % 2 == 0
    return not (_is_jamo(after) and (_is_jamo(before) or _is_syllable(before))) and not (_is_jamo(before) and _is_syllable(after))


def last_cut(text: str, start: int, end: int) -> int:
    """Return the last index up to `end` where `text[start:]` may be cut; `end` itself where a single sign fills all of it."""
    at = end
    while at > start and not may_cut(text, at):
        at -= 1
    return at if at > start else end


@lru_cache(maxsize=4096)
def _continues(character: str) -> bool:
    return (
        unicodedata.category(character) in _JOINING
        or character in "\u200c\u200d"
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= character <= "\U000e007f"  # tags: the flags of England, Scotland, Wales
    )


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _regional_run(text: str, at: int) -> int:
    """Count the regional indicators that end before `at`: two make a flag."""
    start = at
    while start and _is_regional(text[start - 1]):
        start -= 1
    return at - start


def _is_jamo(character: str) -> bool:
    return "\u1100" <= character <= "\u11ff"


def _is_syllable(character: str) -> bool:
    return "\uac00" <= character <= "\ud7a3"
