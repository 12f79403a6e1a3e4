"""What the sending functions answer, read message by message, and whose answer each is. Total.

The manual says that success is a 1 with an md5, and shows no answer. So `entries` takes whatever has codes and protocols in an order that
makes sense: "1;<md5>", "1 <md5>", "1" and the md5 on the next line, a line a message, all on one line, with or without echoes of number and
id. A code beside something that cannot be told apart from a code is not believed, and `match_batch` gives a message an answer only where
echo or order proves it is its own: better in doubt than wrong.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from gateway.provider.answers import Entry
from gateway.provider.results import RESULTS, Function, ResultClass

CODE = re.compile("-?[0-9]{1,3}")
_MD5 = re.compile("[0-9A-Fa-f]{31,32}")  # the manual's own examples have 31 at times
_OPAQUE = re.compile("(?=[^0-9]*[0-9])[0-9A-Za-z-]{16,64}")
_NUMBER = re.compile("(?:55)?([0-9]{10,11})")
_DELIMITERS = re.compile("[;|\t]")
_CODE_AND_REST = re.compile(r"(-?[0-9]{1,3})[ ,:=-]+(.*)")
_TAKEN = frozenset({ResultClass.ACCEPTED, ResultClass.UNDER_REVIEW})
# What one answer can say of all messages of a request: not that one of them, who knows which, is bad or was taken.
_OF_ALL = frozenset(
    {
        ResultClass.NOT_CONCLUDED,
        ResultClass.BAD_REQUEST,
        ResultClass.NOT_BY_THIS_CARRIER,
        ResultClass.BAD_ACCOUNT,
        ResultClass.NO_CREDITS,
    }
)


def is_protocol(field: str) -> bool:
    """Tell whether a field may be a protocol: an md5, or something as opaque."""
    return bool(_MD5.fullmatch(field) or _OPAQUE.fullmatch(field))


def entries(function: Function, rows: Iterable[str]) -> list[Entry]:
    """Read codes, protocols and what stands beside them, from lines that are not blank."""
    found: list[Entry] = []
    for row in rows:
        for record in _records(row):
            if len(record) == 1 and is_protocol(record[0]):
                _add_bare(found, function, record[0])
            else:
                found.append(_entry(function, record))
    return found


def fields(row: str) -> list[str]:
    """Split a line at its delimiters, a code from its words even at a space; no empty field at the end."""
    found = [field.strip() for field in _DELIMITERS.split(row)]
    while len(found) > 1 and not found[-1]:
        found.pop()
    if match := _CODE_AND_REST.fullmatch(found[0]):
        found[:1] = [match[1], match[2].strip()]
    return found


def _records(row: str) -> list[list[str]]:
    """Split a line into the fields of each message that it tells of."""
    if "|" in row and ";" in row:
        chunks = [fields(chunk) for chunk in row.split(";") if chunk.strip()]
        if all(CODE.fullmatch(chunk[0]) and len(chunk) > 1 for chunk in chunks):
            return chunks
    found = fields(row)
    return _grouped(found) or [found]


def _grouped(found: Sequence[str]) -> list[list[str]] | None:
    """Split a line of several messages: each a code and a protocol and as much more as the others, or one code for all protocols."""
    number = len(_protocols(found))
    if number < 2 or not CODE.fullmatch(found[0]):
        return None
    if len(found) == number + 1:
        return [[found[0], protocol] for protocol in found[1:]]
    width, rest = divmod(len(found), number)
    groups = [list(found[start : start + width]) for start in range(0, len(found), width)]
    whole = not rest and all(CODE.fullmatch(group[0]) and len(_protocols(group)) == 1 for group in groups)
    return groups if whole else None


def _protocols(found: Iterable[str]) -> list[str]:
    """Return the md5s among fields, or where there are none what else may be a protocol."""
    candidates = [field for field in found if is_protocol(field)]
    return [field for field in candidates if _MD5.fullmatch(field)] or candidates


def _add_bare(found: list[Entry], function: Function, protocol: str) -> None:
    """Add a protocol that stands alone on its line: it belongs to the code before it."""
    last = found[-1] if found else Entry(function=function, code=1 if _MD5.fullmatch(protocol) else None)
    code = last.code if last.result_class in _TAKEN and not _has_digits(last.fields) else None
    if found and not last.protocol and code is not None:
        found.pop()
    found.append(Entry(function=function, code=code, protocol=protocol))


def _entry(function: Function, record: Sequence[str]) -> Entry:
    """Read one message's fields. The code goes first, or right after what it is about: a number, an id or a protocol."""
    places = [place for place, field in enumerate(record[:2]) if CODE.fullmatch(field)]
    protocol = next(iter(_protocols(record)), "")
    if not places or (len(places) == 2 and not protocol and int(record[1]) in RESULTS[function]):
        return Entry(function=function, code=None, protocol=protocol, fields=tuple(record))
    rest = [*record[: places[0]], *record[places[0] + 1 :]]
    if protocol:
        rest.remove(protocol)
    code = record[places[0]]
    exact = code == "0" or int(code) != 0  # 00 is not what the manual knows as 0, and that one is sent again
    return Entry(function=function, code=int(code) if exact else None, protocol=protocol, fields=tuple(filter(None, rest)))


def _has_digits(found: Iterable[str]) -> bool:
    return any(letter.isdigit() for field in found for letter in field)


# --- Whose answer it is -----------------------------------------------------------------------------------------------------------


class Asked(Protocol):
    """What a request said of one message."""

    @property
    def number(self) -> str:
        """National digits."""
        ...

    @property
    def id(self) -> int | None:
        """Our number for it."""
        ...


class BatchMatch(NamedTuple):
    """Which entry answers which message, by their places in the request.

    Where `whole` is set it answers the request as a whole: nothing was taken. Else a message in `unmatched` is in doubt.
    """

    answers: dict[int, Entry]
    unmatched: tuple[int, ...]
    whole: Entry | None = None


def match_batch(answered: Sequence[Entry], asked: Sequence[Asked]) -> BatchMatch:
    """Give each message of a request its answer: by the echo of its id or number, else by order where the count is exact.

    An echo that contradicts another, and a message that is answered twice and differently, prove nothing. Order counts only where every
    echo that there is agrees with it.
    """
    whole = _whole(answered, asked)
    if whole is not None:
        return BatchMatch({}, (), whole)
    owners = _all_owners(answered, asked)
    if len(answered) == len(asked) and all(place in mine for place, mine in enumerate(owners)):
        answers = dict(enumerate(answered))
    else:
        answers = _by_echo(answered, owners, len(asked))
    answers = {place: entry for place, entry in answers.items() if entry.code is not None}
    return BatchMatch(answers, tuple(place for place in range(len(asked)) if place not in answers))


def _whole(answered: Sequence[Entry], asked: Sequence[Asked]) -> Entry | None:
    """Return the one entry that speaks of the whole request: a code alone."""
    if len(answered) != 1 or len(asked) < 2:
        return None
    entry = answered[0]
    return entry if entry.alone and entry.result_class in _OF_ALL else None


def _all_owners(answered: Sequence[Entry], asked: Sequence[Asked]) -> list[frozenset[int]]:
    """Return for each entry the places of the messages that it may be about: all of them where it echoes nothing."""
    ids = {str(each.id): place for place, each in enumerate(asked) if each.id is not None}
    numbers: dict[str, set[int]] = {}
    for place, each in enumerate(asked):
        numbers.setdefault(each.number, set()).add(place)
    echoed = any(field in ids for entry in answered for field in entry.fields)
    return [_owners(entry, ids, numbers, len(asked), echoed=echoed) for entry in answered]


def _owners(entry: Entry, ids: dict[str, int], numbers: dict[str, set[int]], size: int, *, echoed: bool) -> frozenset[int]:
    by_id = frozenset(ids[field] for field in entry.fields if field in ids)
    written = [match[1] for field in entry.fields if (match := _NUMBER.fullmatch(field)) and field not in ids]
    by_number = frozenset(place for number in written for place in numbers.get(number, ()))
    if by_id and written:
        return by_id & by_number
    if by_id or written:
        return by_id or by_number
    strange = echoed and any(field.isdigit() for field in entry.fields)  # an id, where ids are echoed, and none of ours
    return frozenset() if strange else frozenset(range(size))


def _by_echo(answered: Sequence[Entry], owners: Sequence[frozenset[int]], number: int) -> dict[int, Entry]:
    """Match entries that can be about one message only, where no other entry says something else of it."""
    claims = [(next(iter(mine)), entry) for entry, mine in zip(answered, owners, strict=True) if len(mine) == 1 and number > 1]
    different = Counter(place for place, _ in set(claims))
    rivals = frozenset().union(*(mine for mine in owners if 1 < len(mine) < number))
    return {place: entry for place, entry in claims if different[place] == 1 and place not in rivals}
