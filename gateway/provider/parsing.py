"""How the answers of the HTTP API and of the web service are read: `parse` gives an answer to any bytes. Total.

`OUT-OF-DATE` is found anywhere and in any letter case. Rows end at a line's end, columns at a semicolon; a byte order mark, blank lines,
blanks around a column and a trailing semicolon are nothing. Rows are read first and codes second, since what looks like the code of a
refusal may be an id. What a function should answer and does not is `Unparsable`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from gateway.provider import sends
from gateway.provider.answers import (
    Added,
    Answer,
    CancelRow,
    Cancels,
    Changed,
    CostCentre,
    CostCentres,
    CreditRow,
    Credits,
    Inbox,
    InboxRow,
    Level,
    Levels,
    Operator,
    Operators,
    OutOfDate,
    Refused,
    SendMultipleAnswer,
    Statuses,
    StatusRow,
    Unparsable,
    User,
    Users,
)
from gateway.provider.fields import BYTE_ORDER_MARK, Hidden, decode, lines, plain_words, whole_number
from gateway.provider.results import RESULTS, STATUS_WORDS, Function, ResultClass, message_status

_WITHDRAWN = b"out-of-date"
_MARKUP = re.compile("[<{]|HTTP/")  # HTML, XML, JSON: nothing that the manual knows
_DATE = re.compile("[0-9]{1,4}[-/][0-9]{1,2}[-/][0-9]{1,4}.*")
_NEW_ROW_OF_INBOX = re.compile("1;[^;]*;[^;]*[-/][^;]*:[^;]*;")
_EMPTY_AT_TIMES = frozenset({Function.RECV, Function.INBOX})  # no reply, no row: the manual shows no other way to say so
_SUCCESS = re.compile(r"(?!.*\bNAO\b).*(SUCESSO|ADICIONAD)")

Row = TypeVar("Row", bound=Hidden)
Splitter = Callable[[str], list[str]]
Reader = Callable[[Function, Sequence[str]], Answer | None]


def parse(function: Function, body: bytes) -> Answer:
    """Read the answer of a function. Never raises."""
    if _WITHDRAWN in body.lower():
        return OutOfDate()
    rows = lines(decode(body.removeprefix(BYTE_ORDER_MARK))[0].replace("\0", " "))
    if not rows:
        return Inbox(rows=()) if function in _EMPTY_AT_TIMES else Unparsable(body=body)
    if _MARKUP.match(rows[0]):
        return Unparsable(body=body)
    return _READERS[function](function, rows) or Unparsable(body=body)


# --- Sending ----------------------------------------------------------------------------------------------------------------------


def _read_send(function: Function, rows: Sequence[str]) -> Answer | None:
    entries = sends.entries(function, rows)
    return entries[0] if len(entries) == 1 and entries[0].code is not None else None


def _read_send_multiple(function: Function, rows: Sequence[str]) -> Answer | None:
    entries = tuple(sends.entries(function, rows))
    return SendMultipleAnswer(entries=entries) if any(entry.code is not None for entry in entries) else None


# --- Rows -------------------------------------------------------------------------------------------------------------------------


def _columns(row: str) -> list[str]:
    return [column.strip() for column in row.split(";")]


def _columns_as_they_are(row: str) -> list[str]:
    return row.split(";")


def _refusal(function: Function, rows: Sequence[str]) -> Refused | None:
    """Read a code that refuses the whole request: the first line begins with it, and it is none of success."""
    code, *words = sends.fields(rows[0])
    if not sends.CODE.fullmatch(code):
        return None
    known = RESULTS[function].get(int(code))
    if known is None or known.result_class is ResultClass.ACCEPTED:
        return None
    return Refused(function=function, code=int(code), text=_joined(words))


def _joined(words: Sequence[str]) -> str:
    return " ".join(filter(None, words))


def _in_rows(
    rows: Sequence[str], read: Callable[[list[str]], Row | None], split: Splitter = _columns
) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Read each row; return what was read, and the rows that do not fit."""
    found = [(row, read(split(row))) for row in rows]
    return tuple(record for _, record in found if record is not None), tuple(row for row, record in found if record is None)


def _list_of(answer: Callable[..., Answer], read: Callable[[list[str]], Row | None], split: Splitter = _columns) -> Reader:
    """Make the reader of a function that answers with rows, or with the code of success alone where there are none."""

    def reader(function: Function, rows: Sequence[str]) -> Answer | None:
        if len(rows) == 1 and rows[0].rstrip("; ") == "1" and 1 in RESULTS[function]:
            return answer(rows=())
        found, strange = _in_rows(rows, read, split)
        if found:
            return answer(rows=found, strange=strange)
        return _refusal(function, rows)

    return reader


def _credit_row(columns: list[str]) -> CreditRow | None:
    numbers = [whole_number(column) for column in columns[:7]]
    if len(numbers) < 7 or numbers[0] != 1:
        return None
    _, modality, distribution, id, long_code, flash, short_code = numbers
    if modality is None or distribution is None or id is None or long_code is None or flash is None or short_code is None:
        return None
    return CreditRow(modality=modality, distribution=distribution, id=id, long_code=long_code, flash=flash, short_code=short_code)


def _identified(columns: list[str], least: int) -> int | None:
    """Return the id of a row that begins with 1 and an id."""
    if len(columns) < least or columns[0] != "1":
        return None
    return whole_number(columns[1])


def _without_trailing(columns: list[str], number: int) -> list[str]:
    """Drop the empty column that a trailing delimiter makes beyond the ones that are known."""
    return columns[:-1] if len(columns) > number and not columns[-1] else columns


def _level(columns: list[str]) -> Level | None:
    id = _identified(columns, 3)
    return None if id is None else Level(id=id, name=";".join(_without_trailing(columns, 3)[2:]))


def _user(columns: list[str]) -> User | None:
    columns = _without_trailing(columns, 6)
    id = _identified(columns, 6)
    if id is None or columns[2] not in {"0", "1"}:
        return None
    return User(id=id, active=columns[2] == "1", login=columns[3], name=";".join(columns[4:-1]), level=columns[-1])


def _cost_centre(columns: list[str]) -> CostCentre | None:
    columns = _without_trailing(columns, 5)
    id = _identified(columns, 4)
    if id is None:
        return None
    if len(columns) == 4:
        columns.append("")
    active = {"0": False, "1": True}.get(columns[-2])
    mails = tuple(filter(None, (mail.strip() for mail in columns[-1].split("|"))))
    return CostCentre(id=id, name=";".join(columns[2:-2]), active=active, mails=mails)


def _operator(columns: list[str]) -> Operator | None:
    code = whole_number(columns[0])
    if code is None or len(columns) < 2:
        return None
    return Operator(code=code, name=";".join(_without_trailing(columns, 2)[1:]))


def _read_operators(function: Function, rows: Sequence[str]) -> Answer | None:
    """Read codes and names under a header. A code of a refusal is one only where it stands first."""
    if refused := _refusal(function, rows):
        return refused
    header = plain_words(rows[0]).startswith("CODIGO")
    found, strange = _in_rows(rows[header:], _operator)
    return Operators(rows=found, strange=strange) if found or (header and not strange) else None


def _inbox_row(columns: list[str]) -> InboxRow | None:
    if len(columns) < 5 or columns[0] != "1":
        return None
    columns = _without_trailing(columns, 7)
    columns += [""] * (7 - len(columns))
    _, protocol, at_text, number, *text, external_id, reference = columns
    return InboxRow(protocol=protocol, at_text=at_text, number=number, text=";".join(text), external_id=external_id, reference=reference)


def _read_inbox(function: Function, rows: Sequence[str]) -> Answer | None:
    """Read replies, whose texts may have line ends: what does not begin as a row goes on with the one before."""
    joined: list[str] = []
    for row in rows:
        if joined and _NEW_ROW_OF_INBOX.match(joined[-1]) and not _NEW_ROW_OF_INBOX.match(row):
            joined[-1] += f"\n{row}"
        else:
            joined.append(row)
    return _inbox_rows(function, joined)


def _cancel_row(columns: list[str]) -> CancelRow | None:
    if len(columns) < 2 or not columns[0]:
        return None
    _, _, description, external_id, number, at_text, *_ = [*columns, *[""] * 6]
    status = _status(columns[1], description)
    if status is None:
        return None
    return CancelRow(protocol=columns[0], status=status, description=description, external_id=external_id, number=number, at_text=at_text)


def _status(number: str, description: str) -> int | None:
    """Return a status by its number, or where there is none by the manual's word for it."""
    if sends.CODE.fullmatch(number):
        return int(number)
    return STATUS_WORDS.get(plain_words(description))


def _stat_row(columns: list[str], protocol: str = "") -> StatusRow | None:
    """Read date and description and what may follow: an operator, a status, an external id and a number.

    There is no date where the message is not known.
    """
    if plain_words(columns[0]) in STATUS_WORDS:
        columns = ["", *columns]
    elif len(columns) < 2 or not _DATE.fullmatch(columns[0]):
        return None
    at_text, description, *more = columns
    if more and sends.CODE.fullmatch(more[0]):  # Anatel's codes of operators have five digits: here none was asked for
        more.insert(0, "")
    operator, number, external_id, phone, *_ = [*more, *[""] * 4]
    return StatusRow(
        protocol=protocol,
        status=_status(number, description),
        description=description,
        at_text=at_text,
        operator=operator,
        external_id=external_id,
        number=phone,
    )


def _stam_row(columns: list[str]) -> StatusRow | None:
    return _stat_row(columns[1:], columns[0]) if columns[0] and len(columns) > 1 else None


def _state_row(columns: list[str]) -> StatusRow | None:
    """Read a state by the web service, whose layout the manual does not show: as `stam` or `cacl` has it, or a status, hash or none."""
    if dated := _stam_row(columns) or _stat_row(columns):
        return dated
    if message_status(whole_number(columns[0])) is not None:
        hashes = columns[1:2] if sends.is_protocol("".join(columns[1:2])) else []
        return StatusRow(protocol="".join(hashes), status=int(columns[0]), description=_joined(columns[1 + len(hashes) :]))
    row = _cancel_row(columns)
    return msgspec.convert(row, StatusRow, from_attributes=True) if row else None


def _state_records(rows: Sequence[str]) -> list[str]:
    """Put what stands on one line on lines of its own: hashes and states joined by pipe and semicolon, or by semicolons alone."""
    if any("|" in row for row in rows):
        return [chunk.replace("|", ";") for row in rows for chunk in row.split(";") if chunk.strip()]
    return [record for row in rows for record in _pairs(row)]


def _pairs(row: str) -> list[str]:
    columns = _columns(row.rstrip("; "))
    pairs = list(zip(columns[::2], columns[1::2], strict=False))
    alternate = len(columns) % 2 == 0 and all(sends.is_protocol(hash) and sends.CODE.fullmatch(state) for hash, state in pairs)
    return [";".join(pair) for pair in pairs] if alternate else [row]


def _read_states(function: Function, rows: Sequence[str]) -> Answer | None:
    found, strange = _in_rows(_state_records(rows), _state_row)
    return Statuses(rows=found, strange=strange) if found else _refusal(function, rows)


def _read_soap_cancels(function: Function, rows: Sequence[str]) -> Answer | None:
    found, strange = _in_rows(_state_records(rows), _state_row)
    cancels = tuple(msgspec.convert(row, CancelRow, from_attributes=True) for row in found)
    return Cancels(rows=cancels, strange=strange) if found else _refusal(function, rows)


# --- Changes ----------------------------------------------------------------------------------------------------------------------


def _read_added_user(function: Function, rows: Sequence[str]) -> Answer | None:
    code, *more = sends.fields(rows[0])
    if code != "1":
        return _refusal(function, rows)
    id = whole_number(more[0]) if more else None
    return Added(id=id, text=_joined(more if id is None else more[1:]))


def _read_added_cost_centre(function: Function, rows: Sequence[str]) -> Answer | None:
    """Tell an id from a code by the words beside it, since the id may be 1, 93 or 99."""
    code, *words = sends.fields(rows[0])
    text = _joined(words)
    id = whole_number(code)
    if id is not None and id > 0 and _SUCCESS.match(plain_words(text)):
        return Added(id=id, text=text)
    if refused := _refusal(function, rows):
        return refused
    return Added(id=id) if id is not None and id > 0 and not text else None


def _read_changed(function: Function, rows: Sequence[str]) -> Answer | None:
    code, *words = sends.fields(rows[0])
    return Changed(text=_joined(words)) if code == "1" else _refusal(function, rows)


_inbox_rows = _list_of(Inbox, _inbox_row, _columns_as_they_are)

_READERS: Mapping[Function, Reader] = {
    Function.SEND: _read_send,
    Function.MULT: _read_send_multiple,
    Function.CACL: _list_of(Cancels, _cancel_row),
    Function.CRDTF: _list_of(Credits, _credit_row),
    Function.CNNVL: _list_of(Levels, _level),
    Function.CNUS: _list_of(Users, _user),
    Function.CADUS: _read_added_user,
    Function.ALTUS: _read_changed,
    Function.CRCTN: _list_of(CostCentres, _cost_centre),
    Function.CICT: _read_added_cost_centre,
    Function.CACT: _read_changed,
    Function.OPER: _read_operators,
    Function.STAT: _list_of(Statuses, _stat_row),
    Function.STAM: _list_of(Statuses, _stam_row),
    Function.RECV: _read_inbox,
    Function.SEND_UNIQUE: _read_send,
    Function.SEND_MULTIPLE: _read_send_multiple,
    Function.INBOX: _read_inbox,
    Function.STATUS: _read_states,
    Function.CANCEL: _read_soap_cancels,
}
