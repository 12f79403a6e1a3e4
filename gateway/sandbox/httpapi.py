"""The provider's HTTP API, to try against: every function of the manual, by GET alone, with its state kept in memory.

`/sms/<function>`, directory, function and parameter names in any letter case. Parameters are split at `&` as they came and then decoded:
UTF-8, or Windows-1252 where they are no UTF-8. Answers are UTF-8, a line each, ended by a line feed where there are several.

What the manual does not show, and is decided here:

- `send` answers `1;<md5>`; a refusal is its code alone (`explain`: with its text). So are 61 and 94, though the message is taken.
- `mult` answers a line a message, `code;md5;number;id`, the md5 empty where there is none, number and id as they were asked for. Settings
  choose other forms. What concerns the whole request (no such user, its shape) is answered as by `send`.
- `mult` layout 1 with fewer than two or more than three fields: 85; no such layout: 86; fewer than 2 numbers: 87; more than 1,000: 88.
- `stat`, `stam` and `recv` answer OUT-OF-DATE, or as they did before 2020-02-29 (`out_of_date = False`): then a message that is not found
  is told as such instead of by a date, and an empty inbox is an empty body.
- `cadus` answers -5 to a cost centre that does not exist; `altus`, `cict` and `cact` answer 0 to what the manual has no code for.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import unquote_to_bytes

from aiohttp import web

from gateway.sandbox.answers import HTTP_TEXTS, NOT_CONCLUDED, OUT_OF_DATE, STATUS_TEXTS, Code, Status, span_of, stamp
from gateway.sandbox.desk import Answer, Desk, echo, told, told_reply
from gateway.sandbox.provider_state import BATCH, Function, Stored, Submission, Verdict
from gateway.sandbox.settings import MultForm

OPERATORS = {
    55112: "ALGAR - FIXO",
    55114: "OI - FIXO",
    55115: "VIVO - FIXO",
    55320: "VIVO",
    55321: "CLARO",
    55331: "OI",
    55341: "TIM",
    55369: "SERCOMTEL",
}

_USER_TEXTS = {
    0: NOT_CONCLUDED,
    -1: "LOGIN DE USUARIO JA CADASTRADO NA PLATAFORMA",
    -2: "LOGIN DE USUARIO INVALIDO",
    -3: "NIVEL DE USUARIO NAO LOCALIZADO",
    -4: "NOME DE USUARIO INVALIDO",
    -5: "OCORRERAM PROBLEMAS AO CADASTRAR USUARIO NA PLATAFORMA",
    -6: "SENHA INVALIDA",
}
_CHANGED_USER_TEXTS = {
    1: "USUARIO ATUALIZADO COM SUCESSO",
    0: NOT_CONCLUDED,
    -1: "USUARIO NAO LOCALIZADO",
    -2: "NIVEL DE USUARIO NAO LOCALIZADO",
    -3: "SITUACAO DE ATIVACAO DE USUARIO INVALIDA",
    -4: "NOME DE USUARIO INVALIDO",
}
_ERROR = Answer("Internal Server Error", status=500)
_WITHOUT_USER = frozenset({"stat", "stam"})

Query = Mapping[str, str]


class HttpApi:
    """Serve the functions at a desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._provider = desk, desk.provider
        self._settings, self._customer = desk.provider.settings, desk.provider.customer
        self._asking: dict[str, Callable[[Query], str]] = {
            "cacl": self._cacl,
            "crdtf": self._crdtf,
            "cnnvl": self._cnnvl,
            "cnus": self._cnus,
            "cadus": self._cadus,
            "altus": self._altus,
            "crctn": self._crctn,
            "cict": self._cict,
            "cact": self._cact,
            "oper": self._oper,
            "stat": self._stat,
            "stam": self._stam,
            "recv": self._recv,
        }

    def routes(self) -> list[web.RouteDef]:
        """Return what an application needs to serve it."""
        return [web.get("/{directory:[sS][mM][sS]}/{function}", self._serve, allow_head=False)]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self._provider.statistics.requests += 1
        function = request.match_info["function"].lower()
        query = read_query(request.raw_path.partition("?")[2])
        if function not in {"send", "mult", *self._asking}:
            raise web.HTTPNotFound
        if function not in _WITHOUT_USER:
            refusal = self._provider.refusal(query.get("h" if function == "recv" else "u", ""))
            if refusal is not None:
                return self._refuse(refusal).response()
        match function:
            case "send":
                return await self._send(request, [_single(query)], "send")
            case "mult":
                return await self._mult(request, query)
            case _:
                return Answer(self._asking[function](query)).response()

    # --- sending ---

    async def _send(self, request: web.Request, submissions: Sequence[Submission], function: Function) -> web.StreamResponse:
        write = self._write_batch if function == "mult" else self._write_single
        return await self._desk.send(request, submissions, function, write=write, refuse=self._refuse, error=_ERROR)

    async def _mult(self, request: web.Request, query: Query) -> web.StreamResponse:
        read = _batch(query)
        if isinstance(read, Code):
            return self._refuse(read).response()
        return await self._send(request, read, "mult")

    def _write_single(self, verdicts: Sequence[Verdict]) -> Answer:
        return Answer(self._line(verdicts[0]))

    def _write_batch(self, verdicts: Sequence[Verdict]) -> Answer:
        form = self._settings.mult_form
        if form is MultForm.FEWER:
            verdicts = verdicts[:-1]
        elif form is MultForm.SHUFFLED:
            verdicts = verdicts[::-1]
        echoing = form in {MultForm.ECHO, MultForm.SHUFFLED}
        return Answer(_lines(echo(each, Code.SUCCESS) if echoing else self._line(each) for each in verdicts))

    def _line(self, verdict: Verdict) -> str:
        code, md5 = told(verdict, Code.SUCCESS)
        return f"{code};{md5}" if md5 else self._refuse(code).text

    def _refuse(self, code: int) -> Answer:
        return Answer(f"{code};{HTTP_TEXTS.get(code, '')}" if self._settings.explain else str(int(code)))

    # --- what was sent ---

    def _cacl(self, query: Query) -> str:
        return _lines(self._cancelled(md5) for md5 in _hashes(query)) or str(int(Code.LAYOUT))

    def _cancelled(self, md5: str) -> str:
        stored = self._provider.look(md5)
        if stored is not None:
            self._desk.fates.cancel(stored)
        status, text = _status(stored)
        id, number = (stored.external_id, stored.number) if stored is not None else ("", "")
        return f"{md5};{int(status)};{text};{id};{number};{stamp(time.time(), milliseconds=True)}"

    def _stat(self, query: Query) -> str:
        return self._withdrawn(lambda: _state(self._provider.look(query.get("h", "")), query))

    def _stam(self, query: Query) -> str:
        return self._withdrawn(lambda: _lines(f"{md5};{_state(self._provider.look(md5), query)}" for md5 in _hashes(query)))

    def _recv(self, query: Query) -> str:
        return self._withdrawn(lambda: self._replies(query))

    def _replies(self, query: Query) -> str:
        span = span_of(query.get("di", ""), query.get("df", ""))
        if span is None:
            return str(int(Code.NOT_CONCLUDED))
        found = self._provider.inbox(*span, again=query.get("r") == "1")
        return _lines(told_reply(each) for each in found)

    def _withdrawn(self, answer: Callable[[], str]) -> str:
        return OUT_OF_DATE if self._settings.out_of_date else answer()

    # --- the account ---

    def _crdtf(self, _query: Query) -> str:
        head = f"1;{int(not self._settings.post_paid)};{int(self._settings.distribution)}"
        return _lines(f"{head};{account};{long};{flash};{short};" for account, (long, flash, short) in self._customer.credits.items())

    def _cnnvl(self, _query: Query) -> str:
        return _lines(f"1;{id};{name};" for id, name in self._customer.levels.items())

    def _cnus(self, _query: Query) -> str:
        users = self._customer.users.values()
        return _lines(f"1;{each.id};{int(each.active)};{each.login};{each.name};{each.level};" for each in users)

    def _cadus(self, query: Query) -> str:
        name, login, password, level, centres = (query.get(each, "") for each in "ndptc")
        result = self._customer.add_user(login, name, password, level, centres)
        return f"1;{result};USUARIO ADICIONADO COM SUCESSO" if result > 0 else f"{result};{_USER_TEXTS[result]}"

    def _altus(self, query: Query) -> str:
        code = self._customer.change_user(query.get("id", ""), {name: query[name] for name in "nsptc" if name in query})
        return f"{code};{_CHANGED_USER_TEXTS[code]}"

    def _crctn(self, _query: Query) -> str:
        return _lines(f"1;{each.id};{each.name};{int(each.active)};{each.mails};" for each in self._customer.centres.values())

    def _cict(self, query: Query) -> str:
        id = self._customer.add_centre(query.get("d", ""), query.get("e", ""))
        texts = {-1: "CENTRO DE CUSTOS JÁ CADASTRADO", 0: NOT_CONCLUDED}
        return f"{id};{texts.get(id, 'CENTRO ADICIONADO COM SUCESSO')}"

    def _cact(self, query: Query) -> str:
        code = self._customer.change_centre(query.get("id", ""), {name: query[name] for name in "se" if name in query})
        return f"{code};{'CENTRO ATUALIZADO COM SUCESSO' if code else NOT_CONCLUDED}"

    def _oper(self, _query: Query) -> str:
        return "CODIGO DA OPERADORA;NOME DA OPERADORA\n" + _lines(f"{code};{name}" for code, name in OPERATORS.items())


def read_query(raw: str) -> dict[str, str]:
    """Decode a query; names in lower case, the last of several counts."""
    found = {}
    for pair in raw.split("&"):
        name, _, value = pair.partition("=")
        found[_decode(name).lower()] = _decode(value)
    return found


def _decode(text: str) -> str:
    octets = unquote_to_bytes(text.replace("+", " "))
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


def _single(query: Query) -> Submission:
    return Submission(
        number=query.get("n", ""),
        text=query.get("m", ""),
        type=query.get("f", ""),
        external_id=query.get("id", ""),
        schedule=query.get("d", ""),
        centre=query.get("c", ""),
        normalise=query.get("z") == "1",
    )


def _batch(query: Query) -> list[Submission] | Code:
    """Read either layout of `mult`; its cost centre is `t`."""
    layout = query.get("l") or "0"
    if layout not in {"0", "1"}:
        return Code.LAYOUT
    if layout == "0":
        items = [[number, query.get("m", "")] for number in query.get("n", "").split(";") if number]
    else:
        items = [item.split("|") for item in query.get("c", "").split(";") if item]
    if len(items) < 2:
        return Code.TOO_FEW
    if len(items) > BATCH:
        return Code.TOO_MANY
    if not all(2 <= len(item) <= 3 for item in items):
        return Code.INNER_DELIMITER
    shared = Submission("", "", query.get("f", ""), "", query.get("d", ""), query.get("t", ""), query.get("z") == "1")
    return [shared._replace(number=number.strip(), text=text, external_id="".join(id)) for number, text, *id in items]


def _hashes(query: Query) -> list[str]:
    return [each.strip() for each in query.get("h", "").split(";") if each.strip()]


def _status(stored: Stored | None) -> tuple[Status, str]:
    """Return the status that these functions know: one on hold waits."""
    status = Status.NOT_FOUND if stored is None else Status.WAITING if stored.status is Status.ON_HOLD else stored.status
    return status, STATUS_TEXTS[status]


def _state(stored: Stored | None, query: Query) -> str:
    status, text = _status(stored)
    if stored is None:
        return text
    operator = list(OPERATORS)[int(stored.number[-1]) % len(OPERATORS)]
    line = f"{stamp(stored.taken_at, milliseconds=True)};{text}"
    complete = query.get("c") == "1"
    if query.get("o") == "1" or complete:
        line += f";{operator}"
    return f"{line};{int(status)};{stored.external_id};{stored.number}" if complete else line


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
