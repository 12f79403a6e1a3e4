"""One request, three ends: answered, never written, written and not answered; and never written twice."""

import asyncio
import logging
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from gateway.carriers.http_client import BODY_LIMIT, Exchange, Fetched, NeverWritten, Unanswered, fetch, open_session, post
from gateway.demo.ports import free_port
from tests.carriers.rawhttp import CLOSE, HANG, RawServer, Reply, Request, ok
from tests.carriers.test_smpp_tls import certificate

SECRET = "126b114c"

MakeServer = Callable[[Callable[[Request], Reply]], Awaitable[RawServer]]


@pytest.fixture
async def serve() -> AsyncIterator[MakeServer]:
    made: list[RawServer] = []

    async def serve(answer: Callable[[Request], Reply]) -> RawServer:
        made.append(RawServer(answer))
        await made[-1].start()
        return made[-1]

    yield serve
    for server in made:
        await server.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(4) as session:
        yield session


async def get(session: aiohttp.ClientSession, server: RawServer, timeout: float = 10.0) -> Exchange:
    return await fetch(session, f"{server.url}/send", f"u={SECRET}&m=ol%E1", timeout)


async def test_an_answer_comes_with_its_status_and_the_query_leaves_as_it_was_written(
    serve: MakeServer, session: aiohttp.ClientSession
) -> None:
    server = await serve(lambda _: ok("1;md5"))
    assert await get(session, server) == Fetched(200, b"1;md5")
    assert server.requests[0].target == f"/sms/send?u={SECRET}&m=ol%E1"


async def test_requests_share_a_connection_that_is_kept_alive(serve: MakeServer, session: aiohttp.ClientSession) -> None:
    server = await serve(lambda _: ok("1"))
    for _ in range(5):
        await get(session, server)
    assert server.connections == 1


async def test_a_kept_alive_connection_that_closes_under_a_request_takes_it_once_and_leaves_it_unanswered(
    serve: MakeServer, session: aiohttp.ClientSession
) -> None:
    server = await serve(lambda request: ok("1") if len(server.requests) == 1 else CLOSE)
    assert await get(session, server) == Fetched(200, b"1")
    assert await get(session, server) == Unanswered("the connection ended before the answer")
    assert [request.connection for request in server.requests] == [1, 1]


async def test_a_kept_alive_connection_that_is_reset_under_a_request_takes_it_once(
    serve: MakeServer, session: aiohttp.ClientSession
) -> None:
    def reset(request: Request) -> Reply:
        if len(server.requests) == 1:
            return ok("1")
        for writer in server.open:
            writer.transport.abort()
        return CLOSE

    server = await serve(reset)
    await get(session, server)
    assert isinstance(await get(session, server), Unanswered)
    assert len(server.requests) == 2


async def test_aiohttp_left_to_itself_would_have_sent_it_twice(serve: MakeServer) -> None:
    server = await serve(lambda request: ok("1") if len(server.requests) == 1 else CLOSE)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{server.url}/send") as response:
            await response.read()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.get(f"{server.url}/send")
    assert len(server.requests) == 3, "the guard in http_client may go: aiohttp does not repeat any more"


async def test_a_connection_that_the_server_closed_while_idle_is_not_used_again(serve: MakeServer, session: aiohttp.ClientSession) -> None:
    server = await serve(lambda _: ok("1", 200, "Connection: close")._replace(close=True))
    for _ in range(3):
        assert await get(session, server) == Fetched(200, b"1")
    assert server.connections == 3


async def test_what_a_server_says_unasked_is_nobodys_answer(serve: MakeServer, session: aiohttp.ClientSession) -> None:
    server = await serve(lambda request: ok(f"answer {len(server.requests)}"))
    assert await get(session, server) == Fetched(200, b"answer 1")
    (writer,) = server.open
    writer.write(ok("1;8eb339e2545a9e01d60e542d6798a4b5").raw)
    await writer.drain()
    _, arrived = await asyncio.open_connection("127.0.0.1", server.port)  # what was written before has been read by then
    arrived.close()
    assert await get(session, server) == Fetched(200, b"answer 2")
    assert [request.connection for request in server.requests] == [1, 3]


async def test_a_proxy_of_the_environment_never_sees_a_request(serve: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    server = await serve(lambda _: ok("1"))
    async with open_session(1) as session:
        assert await get(session, server) == Fetched(200, b"1")


async def test_nobody_listening_is_never_written(session: aiohttp.ClientSession) -> None:
    answer = await fetch(session, f"http://127.0.0.1:{free_port()}/sms/send", f"u={SECRET}", 10.0)
    assert answer == NeverWritten("no connection: Connection refused")


@pytest.mark.parametrize("host", ["nowhere.invalid", "url..com.br", f"{'x' * 64}.com.br"])
async def test_a_name_that_nobody_knows_is_never_written(session: aiohttp.ClientSession, host: str) -> None:
    answer = await fetch(session, f"http://{host}/sms/send", f"u={SECRET}", 10.0)
    assert answer == NeverWritten("no connection: the name is not known")


async def test_a_connection_that_does_not_come_about_in_time_is_never_written(session: aiohttp.ClientSession) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        filling = [socket.socket() for _ in range(4)]
        for each in filling:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        answer = await fetch(session, f"http://127.0.0.1:{port}/sms/send", f"u={SECRET}", 0.3)
        for each in filling:
            each.close()
    assert answer == NeverWritten("no connection in time")


async def test_a_request_that_waits_for_a_free_connection_in_vain_is_never_written(serve: MakeServer) -> None:
    server = await serve(lambda _: HANG)
    async with open_session(1) as session:
        first = asyncio.create_task(get(session, server, 0.6))
        await server.until_requests(1)
        assert await get(session, server, 0.2) == NeverWritten("no connection in time")
        assert await first == Unanswered("no answer in time")
    assert len(server.requests) == 1


CUT = "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n1;8eb339e2"
ENDLESS = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{BODY_LIMIT + 2:x}\r\n".encode() + bytes(BODY_LIMIT + 2)


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        (CLOSE, "the connection ended before the answer"),
        (HANG, "no answer in time"),
        (Reply(b"HTTP/1.1 200 OK\r\nContent-", close=True), "the connection ended before the answer"),
        (Reply(CUT.encode(), close=True), "the answer was cut"),
        (Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n1;8eb", close=True), "the answer was cut"),
        (Reply(b"1;8eb339e2\r\n\r\n", close=True), "the answer is not HTTP"),
        (Reply(b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n", close=True), "the answer is not HTTP"),
        (Reply(ENDLESS), "the answer is too long"),
    ],
)
async def test_what_is_written_and_not_wholly_answered_is_told(
    serve: MakeServer, session: aiohttp.ClientSession, reply: Reply, detail: str
) -> None:
    server = await serve(lambda _: reply)
    assert await get(session, server, 0.5) == Unanswered(detail)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_nobody_follows_it(serve: MakeServer, session: aiohttp.ClientSession, status: int) -> None:
    server = await serve(lambda _: ok("moved", status, f"Location: {server.url}/elsewhere"))
    assert await get(session, server) == Fetched(status, b"moved")
    assert len(server.requests) == 1


async def test_a_body_is_posted_once(serve: MakeServer, session: aiohttp.ClientSession) -> None:
    server = await serve(lambda request: ok("<ok/>") if len(server.requests) == 1 else CLOSE)
    headers = {"SOAPAction": '"urn:x"', "Content-Type": "text/xml"}
    assert await post(session, server.url, b"<a/>", headers, 5.0) == Fetched(200, b"<ok/>")
    assert await post(session, server.url, b"<a/>", headers, 5.0) == Unanswered("the connection ended before the answer")
    assert [(request.method, request.body, request.headers["soapaction"]) for request in server.requests] == [
        ("POST", b"<a/>", '"urn:x"')
    ] * 2


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_a_certificate_that_nobody_vouches_for_is_never_written(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    pem = certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, pem.with_suffix(".key"))
    server = RawServer(lambda _: ok("1"))
    await server.start(context)
    try:
        url = f"https://localhost:{server.port}/sms/send"
        assert await fetch(session, url, f"u={SECRET}", 10.0) == NeverWritten("no connection: the certificate is not valid for this host")
        async with open_session(1, ssl.create_default_context(cafile=pem)) as trusting:
            assert await fetch(trusting, url, f"u={SECRET}", 10.0) == Fetched(200, b"1")
        plain = await fetch(session, f"https://127.0.0.1:{server.port}/", "", 10.0)
        assert isinstance(plain, NeverWritten)
    finally:
        await server.stop()
    assert len(server.requests) == 1


async def test_no_end_and_no_log_line_tells_the_url(
    serve: MakeServer, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    replies = [ok("1"), CLOSE, HANG, Reply(CUT.encode(), close=True), Reply(b"rubbish\r\n\r\n", close=True)]
    server = await serve(lambda request: replies[len(server.requests) - 1])
    ends = [await get(session, server, 0.5) for _ in replies]
    await server.stop()
    ends.append(await get(session, server, 0.5))
    assert SECRET not in repr(ends)
    assert SECRET not in caplog.text
