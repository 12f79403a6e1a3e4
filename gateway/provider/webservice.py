"""The requests of the provider's web service, typed, and the arguments that they come to. Pure: SOAP itself is the carrier's.

    arguments(SendUnique(number="11987654321", text="oi", id=7), user)
        ->  {"Identificacao": ..., "Telefone": "11987654321", "Mensagem": "oi", "IdExterno": 7}

Optional arguments are left out, not sent empty. What an operation returns is a text like those of the HTTP API: `parsing.parse` reads it.
It knows no type 4, no priority, no normalising and no label. No repr shows a user, a number or a text.
"""

from collections.abc import Mapping
from typing import ClassVar

from gateway.message import Kind
from gateway.provider import parsing
from gateway.provider.answers import Answer
from gateway.provider.fields import Hidden
from gateway.provider.http import BatchItem, batch_content
from gateway.provider.results import Function

MAX_HASHES = 1000  # of a status or a cancel
KIND_NUMBERS: Mapping[Kind, int] = {"common": 0, "flash": 1, "short_code": 2}


class Request(Hidden, frozen=True, kw_only=True):
    """A request of one operation."""

    OPERATION: ClassVar[Function]

    def named(self) -> list[tuple[str, object]]:
        """Return names and values beside the user; one that is None is left out."""
        raise NotImplementedError


class SendUnique(Request, frozen=True, kw_only=True):
    """One message."""

    OPERATION: ClassVar[Function] = Function.SEND_UNIQUE
    SHOWN: ClassVar[tuple[str, ...]] = ("id", "kind", "cost_centre")

    number: str  # national digits
    text: str
    schedule: str | None = None  # local, ISO without a zone: fields.local_text(..., "T")
    kind: Kind = "common"  # no "short_code_flash"
    cost_centre: int | None = None
    id: int | None = None  # 0 to 4294967295

    def named(self) -> list[tuple[str, object]]:
        """Return names and values beside the user."""
        return [
            ("Telefone", self.number),
            ("Mensagem", self.text),
            ("Agenda", self.schedule),
            ("TipoMensagem", KIND_NUMBERS[self.kind] or None),
            ("CentroCustos", self.cost_centre),
            ("IdExterno", self.id),
        ]


class SendMultiple(Request, frozen=True, kw_only=True):
    """Up to 1,000 messages of number, text and id alone: whether fields between may be blank is unproven."""

    OPERATION: ClassVar[Function] = Function.SEND_MULTIPLE
    SHOWN: ClassVar[tuple[str, ...]] = ("items",)

    items: tuple[BatchItem, ...]

    @property
    def asked(self) -> tuple[BatchItem, ...]:
        """What `sends.match_batch` matches answers to."""
        return self.items

    def named(self) -> list[tuple[str, object]]:
        """Return names and values beside the user."""
        return [("Conteudo", batch_content(self.items))]


class ReadInbox(Request, frozen=True, kw_only=True):
    """The replies of a span of time; of today where none is given. Withdrawn."""

    OPERATION: ClassVar[Function] = Function.INBOX
    SHOWN: ClassVar[tuple[str, ...]] = ("since", "until", "again")

    since: str | None = None  # local, ISO without a zone
    until: str | None = None
    again: bool = False  # what was shown before, too

    def named(self) -> list[tuple[str, object]]:
        """Return names and values beside the user."""
        return [("DataInicial", self.since), ("DataFinal", self.until), ("Reexibir", 1 if self.again else None)]


class _OfHashes(Request, frozen=True, kw_only=True):
    SHOWN: ClassVar[tuple[str, ...]] = ("protocols",)

    protocols: tuple[str, ...]  # at most 1,000

    def named(self) -> list[tuple[str, object]]:
        """Return names and values beside the user."""
        return [("Hash", ";".join(self.protocols))]


class AskStatuses(_OfHashes, frozen=True, kw_only=True):
    """How far messages are. Withdrawn."""

    OPERATION: ClassVar[Function] = Function.STATUS


class CancelMessages(_OfHashes, frozen=True, kw_only=True):
    """Cancel messages that the provider has not sent yet."""

    OPERATION: ClassVar[Function] = Function.CANCEL


def arguments(request: Request, user: str) -> dict[str, object]:
    """Return the arguments of an operation by name, the user first."""
    return {"Identificacao": user, **{name: value for name, value in request.named() if value is not None}}


def parse(operation: Function, result: object) -> Answer:
    """Read what an operation returned: text as a rule, a number where the server's WSDL says so. Never raises."""
    match result:
        case None:
            return parsing.parse(operation, b"")
        case bytes():
            return parsing.parse(operation, result)
        case _:
            return parsing.parse(operation, str(result).encode("utf-8", "surrogatepass"))
