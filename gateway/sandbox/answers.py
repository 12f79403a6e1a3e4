"""The words of the sandbox's HTTP API and web service: what the manual says of each code, and how dates are written. Pure.

A reading of the manual of its own: the gateway's tables are not asked, so that a mistake in them shows.
"""

from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Final

OUT_OF_DATE: Final = "OUT-OF-DATE"
"""What the functions that were withdrawn on 2020-02-29 answer."""

LOCAL: Final = timezone(timedelta(hours=-3))
"""The provider's zone."""

NOT_CONCLUDED: Final = "REQUISICAO NAO CONCLUIDA TENTE NOVAMENTE"
_NO_USER = "USUARIO/CLIENTE INVALIDO OU DESABILITADO"


class Code(IntEnum):
    """Codes of the functions that send."""

    NOT_CONCLUDED = 0
    SUCCESS = 1
    UNDER_REVIEW = 61
    CENTRE_REQUIRED = 76
    BLANK = 79
    MODALITY = 83  # of the HTTP API; the web service: an unexpected inner delimiter
    TOO_LONG = 84
    INNER_DELIMITER = 85
    LAYOUT = 86
    TOO_FEW = 87
    TOO_MANY = 88
    OPERATOR_PREFIX = 89
    AREA_CODE = 91
    PREFIX = 92
    NO_USER = 93
    INVALID = 95
    NOT_DIGITS = 96
    NO_CREDITS = 97
    NO_CUSTOMER = 99


_SHARED = {
    84: "QUANTIDADE MAXIMA DE CARACTERES EXCEDIDA",
    85: "DELIMITADOR INTERNO INESPERADO",
    86: "LAYOUT INESPERADO",
    87: "QUANTIDADE DE TELEFONES A BAIXO DO LIMITE MINIMO",
    88: "QUANTIDADE MAXIMA DE TELEFONES EXCEDIDA",
    89: "PREFIXO DE OPERADORA INVALIDO",
    90: "NUMERO DE TELEFONE EM BLACKLIST",
    91: "NUMERO DE TELEFONE COM DDD INVALIDO",
    92: "PREFIXO INVALIDO PARA O DDD INFORMADO",
    93: _NO_USER,
    94: "ERRO AO ATUALIZAR CREDITOS",
    95: "REGISTRO INVALIDO",
    96: "NUMERO DE TELEFONE NAO PODE CONTER CARACTERES ALPHA-NUMERICOS",
    97: "CREDITOS INSUFICIENTES",
    98: "USUARIO OU SENHA INVALIDO(A)",
    99: "CLIENTE INVALIDO",
}

HTTP_TEXTS = _SHARED | {
    0: NOT_CONCLUDED,
    1: "SUCESSO",
    61: "MENSAGEM EM ANALISE PELO ANTIFRAUDE",
    72: "USUARIO NAO TEM PRIVILEGIOS NECESSARIOS PARA CONCLUIR A REQUISICAO",
    73: "CLIENTE INVALIDO OU DESABILITADO",
    74: "USUARIO INVALIDO OU DESABILITADO",
    76: "CENTRO DE CUSTOS OBRIGATORIO",
    77: "NUMERO DE TELEFONE INVALIDADO POR DLR",
    78: "NUMERO CADASTRADO NO PROCON",
    79: "MENSAGEM EM BRANCO OU INVALIDA",
    83: "MODALIDADE DE ENVIO NAO PERMITIDA",
}
"""What `send` and `mult` mean by their codes."""

SOAP_TEXTS = _SHARED | {
    1: "SUCESSO",
    83: "DELIMITADOR INTERNO INESPERADO",
    200: "MENSAGEM ENVIADA E ACEITA PELO GATEWAY",
    300: "FALHA NA MENSAGEM OU REJEITADA PELO GATEWAY",
}
"""What `sendUnique` and `sendMultiple` mean by theirs."""


class Status(IntEnum):
    """Where the provider says a message is."""

    WAITING = 0
    SENT = 1
    ERROR = 2
    QUEUED = 3
    INVALID = 5
    ON_HOLD = 7
    CANCELLED = 9
    NOT_FOUND = 255


STATUS_TEXTS = {
    Status.WAITING: "AGUARDANDO ENVIO",
    Status.SENT: "ENVIADO",
    Status.ERROR: "ERRO",
    Status.QUEUED: "EM FILA DE ENVIO",
    Status.INVALID: "INVALIDO",
    Status.ON_HOLD: "EM ESPERA",
    Status.CANCELLED: "CANCELADO",
    Status.NOT_FOUND: "MENSAGEM NAO ENCONTRADA",
}


def stamp(at: float, *, milliseconds: bool = False) -> str:
    """Write a wall time as the provider does, in its zone: "2026-11-24 10:00:00", with or without ".123"."""
    moment = datetime.fromtimestamp(at, UTC).astimezone(LOCAL)
    text = moment.strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{moment.microsecond // 1000:03d}" if milliseconds else text


def moment(text: str) -> float | None:
    """Read a date of a request, in the provider's zone where it names none; None where it is no date."""
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (read if read.tzinfo is not None else read.replace(tzinfo=LOCAL)).timestamp()


def span_of(since: str, until: str) -> tuple[float, float] | None:
    """Read the span of a search, today where it is left out; None where a date is none."""
    today = datetime.now(LOCAL).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = moment(since) if since else today.timestamp()
    end = moment(until) if until else (today + timedelta(days=1)).timestamp()
    return None if begin is None or end is None else (begin, end)
