"""Where requests that send messages are taken and answered, well or badly, as the magic numbers say; for HTTP API and web service alike.

`Desk.send` takes all messages of one request and answers it once: what breaks the answer breaks it for the whole request. What is told to
be taken is in the ledger before. `Answer` is what a front end would say; `Desk` decides whether it gets through.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from aiohttp import web

from gateway.sandbox.answers import Code, stamp
from gateway.sandbox.fates import Fates
from gateway.sandbox.provider_state import Function, Provider, Received, Submission, Verdict
from gateway.sandbox.scenario import WebReaction, web_behaviour

HTML = """<!DOCTYPE html>
<html><head><title>Manutenção programada</title></head>
<body><h1>Sistema em manutenção</h1><p>Tente novamente em 1 hora; protocolo 97.</p></body></html>
"""
ELSEWHERE = "/manutencao"

_REQUEST_CODES = {
    "send": {85, 86, 87, 88},
    "mult": {85, 86, 87, 88},
    "sendUnique": {83, 85, 86, 87, 88},
    "sendMultiple": {83, 85, 86, 87, 88},
}
_BREAKING = frozenset(WebReaction) - {WebReaction.ANSWER, WebReaction.CALL_BACK_FIRST}
_BEFORE_TAKING = frozenset({WebReaction.SILENCE, WebReaction.ERROR, WebReaction.REDIRECT})
_MORE_THAN_THERE_IS = 64  # octets that a broken answer promises beyond its end


class Answer(NamedTuple):
    """A body, and how it goes out."""

    text: str
    content_type: str = "text/plain"
    status: int = 200

    def response(self) -> web.Response:
        """Make it aiohttp's."""
        return web.Response(text=self.text, content_type=self.content_type, charset="utf-8", status=self.status)


def told(verdict: Verdict, success: int) -> tuple[int, str]:
    """Return code and protocol: only a success by 1 shows one. `success` is the code of an ordinary one."""
    code = success if verdict.code is None else int(verdict.code)
    return code, verdict.stored.md5 if code == Code.SUCCESS and verdict.stored is not None else ""


def echo(verdict: Verdict, success: int) -> str:
    """Write the line of one message of a batch, with number and id as they were asked for."""
    code, md5 = told(verdict, success)
    return f"{code};{md5};{verdict.submission.number};{verdict.submission.external_id}"


def told_reply(reply: Received) -> str:
    """Write the line of a reply, as `recv` and `inbox` do."""
    message = reply.message
    return f"1;{message.md5};{stamp(reply.at, milliseconds=True)};{message.number};{reply.text};{message.external_id};"


class Desk:
    """Take requests on the running loop; `close` lets those go that are left open on purpose."""

    def __init__(self, provider: Provider, fates: Fates) -> None:
        self.provider, self.fates = provider, fates
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End every wait."""
        self._closing.set()

    async def send(
        self,
        request: web.Request,
        submissions: Sequence[Submission],
        function: Function,
        *,
        write: Callable[[Sequence[Verdict]], Answer],
        refuse: Callable[[int], Answer],
        error: Answer,
    ) -> web.StreamResponse:
        """Take what is to be taken and answer: `write` says a line a message, `refuse` a code for the whole request."""
        behaviours = [web_behaviour(each.number) for each in submissions]
        reaction = next((each.reaction for each in behaviours if each.reaction in _BREAKING), WebReaction.ANSWER)
        if reaction in _BEFORE_TAKING:
            return await self._act(request, reaction, error)
        code = next((each.code for each in behaviours if each.code in _REQUEST_CODES[function]), None)
        if code is not None:
            return refuse(code).response()
        verdicts = await self._take(submissions, function)
        if reaction is WebReaction.HALF:
            verdicts = verdicts[: len(verdicts) // 2]
        return await self._act(request, reaction, write(verdicts) if verdicts else Answer(""))

    async def _take(self, submissions: Sequence[Submission], function: Function) -> list[Verdict]:
        now = time.time()
        verdicts = [self.provider.submit(each, function, now) for each in submissions]
        self.provider.ledger.commit()
        for stored in (each.stored for each in verdicts if each.stored is not None):
            if stored.behaviour.reaction is WebReaction.CALL_BACK_FIRST:
                await self.fates.hurry(stored)  # however long it takes: its customer may give up, the others still have their fate
            else:
                self.fates.plan(stored, now)
        return verdicts

    async def _act(self, request: web.Request, reaction: WebReaction, answer: Answer) -> web.StreamResponse:
        settings = self.provider.settings
        await self._pause(settings.answer_delay)
        response: web.StreamResponse = answer.response()
        match reaction:
            case WebReaction.SILENCE:
                await self._pause(settings.silence)
                _cut(request)
            case WebReaction.DROP:
                _cut(request)
            case WebReaction.SLOW:
                await self._pause(settings.slow_answer)
            case WebReaction.CLOSE:
                response.force_close()
            case WebReaction.HTML:
                response = Answer(HTML, "text/html").response()
            case WebReaction.REDIRECT:
                response = web.Response(status=302, headers={"Location": ELSEWHERE})
            case WebReaction.CUT:
                response = await _break_off(request, answer)
            case _:
                pass  # an error is in the answer, and half a batch too
        return response

    async def _pause(self, seconds: float) -> None:
        if seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._closing.wait()


def _cut(request: web.Request) -> None:
    """Reset the connection."""
    if request.transport is not None:
        request.transport.abort()


async def _break_off(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Promise a whole body, send half of it, and close the connection."""
    body = answer.text.encode()
    response = web.StreamResponse(status=answer.status)
    response.content_type, response.charset = answer.content_type, "utf-8"
    response.content_length = len(body) + _MORE_THAN_THERE_IS
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
