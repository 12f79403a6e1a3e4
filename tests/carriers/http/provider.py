"""A provider that answers HTTP as the manual says, for the tests of the HTTP carrier."""

from collections.abc import Callable
from typing import Any

from gateway.config import Http
from tests.carriers.rawhttp import Reply, Request, ok
from tests.carriers.requests_rig import USER, Rig

MD5 = "8eb339e2545a9e01d60e542d6798a4b5"
CREDITS = "1;1;0;0;5000;10;20;"
Start = Callable[..., Rig]


def settings(url: str = "http://127.0.0.1/sms", **changes: Any) -> Http:
    return Http(**{"base_url": url, "user": USER, "timeout": 10.0, **changes})


def md5_of(request: Request) -> str:
    return f"{int(request.query.get('id', 0)):032x}"


def line(item: str, code: int = 1) -> str:
    """Answer one message of a batch as the sandbox does."""
    number, _, id = item.split("|")
    return f"{code};{int(id):032x};{number};{id}" if code == 1 else f"{code};{number};{id}"


def items(request: Request) -> list[str]:
    return request.query["c"].split(";")


def decent(request: Request) -> Reply:
    """Answer as a provider does with whom all is well."""
    match request.function:
        case "send":
            return ok(f"1;{md5_of(request)}")
        case "mult":
            return ok("\r\n".join(line(item) for item in items(request)))
        case "crdtf":
            return ok(CREDITS)
        case _:
            return ok("", 404)


def answering(send: Reply | str, mult: Reply | str | None = None) -> Callable[[Request], Reply]:
    """Answer every `send`, or `mult`, the same way."""
    replies = {"send": send, "mult": send if mult is None else mult}

    def answer(request: Request) -> Reply:
        reply = replies.get(request.function)
        return decent(request) if reply is None else ok(reply) if isinstance(reply, str) else reply

    return answer
