"""The listener for call-backs on real sockets: what it hands on, when it answers, what it refuses, and what it never tells."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
import structlog
from structlog.testing import capture_logs
from yarl import URL

from gateway.carriers.base import Arrival
from gateway.carriers.callback_guard import Guard
from gateway.carriers.callback_inbound import CallbackReader, Reading
from gateway.carriers.callbacks import DEFAULT, MAX_LINE, Callbacks, Limits
from gateway.message import Receipt, Reply
from gateway.metrics import Metrics
from tests.support.waiting import DEADLINE

NOW = 1_800_000_000.0
TOKEN = "s3cret-token-of-the-path"
MD5 = "0f6e2f7b2a1f9c7d5e4b3a2918070605"
STATUS = f"msisdn=5511987654321&status=1&date=2026-11-24%2010:20:30&type=2&md5={MD5}&uuid=4711"
DLR = f"MSISDN=11987654321&Status=2&DATE=24/11/2026+10:20:30&Type=3&MD5={MD5}"
REPLY = f"msisdn=5511987654321&message=N%E3o+quero&date=2026-11-24T10:20:30.250&type=1&md5={MD5}&uuid=4711"
SECRETS = (TOKEN, "987654321", MD5, "4711", "quero")
ZONE = ZoneInfo("America/Sao_Paulo")
AT = datetime(2026, 11, 24, 10, 20, 30, tzinfo=ZONE).timestamp()


class Rig:
    """A listener, and a stage that answers as the test says."""

    def __init__(self, limits: Limits = DEFAULT, reader: CallbackReader | None = None, **guard: Any) -> None:
        settings: dict[str, Any] = {"token": TOKEN, "allow": (), "trusted_proxies": (), "max_rate": 0.0, "now": 0.0}
        self.metrics = Metrics([])
        self.listener = Callbacks(
            ("127.0.0.1", 0), Guard(**(settings | guard)), reader or CallbackReader(ZONE), self.metrics, lambda: NOW, limits=limits
        )
        self.port = 0
        self.items: list[Receipt | Reply] = []
        self._stage: asyncio.Task[None] | None = None

    async def start(self, *, committed: bool | None = True) -> None:
        """Listen; answer everything so, or nothing where `committed` is None."""
        self.port = await self.listener.start()
        if committed is not None:
            self._stage = asyncio.create_task(self._answer(committed))

    async def _answer(self, committed: bool) -> None:
        while True:
            arrivals = await self.listener.inbound()
            self.items += [arrival.item for arrival in arrivals]
            self.listener.acknowledge([arrival.token for arrival in arrivals], committed=committed)

    async def arrivals(self) -> list[Arrival]:
        async with asyncio.timeout(DEADLINE):
            return await self.listener.inbound()

    def url(self, query: str = STATUS, word: str = "callback", token: str = TOKEN) -> str:
        return f"http://127.0.0.1:{self.port}/{word}/{token}?{query}"

    async def get(self, query: str = STATUS, **options: Any) -> tuple[int, bytes]:
        return await self.request("GET", self.url(query, **options))

    async def request(self, method: str, url: str, **options: Any) -> tuple[int, bytes]:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(DEADLINE)) as session,
            session.request(method, URL(url, encoded=True), **options) as answer,
        ):
            return answer.status, await answer.read()

    async def send(self, octets: bytes) -> bytes:
        """Write to a connection of its own, and return all that comes until it is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(octets)
            async with asyncio.timeout(DEADLINE):
                return await reader.read()
        finally:
            writer.close()

    def counted(self, kind: str, result: str) -> float | None:
        return self.metrics.registry.get_sample_value("mensageiro_callbacks_total", {"kind": kind, "result": result})

    async def close(self) -> None:
        await self.listener.stop(0)
        if self._stage is not None:
            self._stage.cancel()
            with suppress(asyncio.CancelledError):
                await self._stage


@pytest.fixture
async def rigs() -> AsyncIterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(*args: Any, **options: Any) -> Rig:
        made.append(Rig(*args, **options))
        return made[-1]

    yield make
    for rig in made:
        await rig.close()


@pytest.fixture
async def rig(rigs: Callable[..., Rig]) -> Rig:
    rig = rigs()
    await rig.start()
    return rig


# --- What it hands on -------------------------------------------------------------------------------------------------------------


async def test_a_status_call_back_is_a_receipt_that_names_no_carrier(rig: Rig) -> None:
    assert await rig.get(STATUS) == (200, b"OK\n")
    (receipt,) = rig.items
    assert receipt == Receipt(
        carrier="",
        message_id=MD5,
        code=1,
        final=False,
        to="5511987654321",
        surrogate=4711,
        done_at=1795526430.0,  # 10:20:30 in Sao Paulo is 13:20:30 UTC
        received_at=NOW,
        raw=STATUS.encode(),
    )
    assert rig.counted("status", "ok") == 1


async def test_a_dlr_call_back_is_read_by_a_table_of_its_own_and_names_in_any_letter_case(rig: Rig) -> None:
    await rig.get(DLR)
    await rig.get(DLR.replace("Status=2", "Status=5"))
    await rig.get(DLR.replace("Status=2", "Status=4"))
    found = [(item.code, item.final, item.confirmed, item.error_code) for item in rig.items if isinstance(item, Receipt)]
    assert found == [(2, True, True, None), (2, True, False, None), (None, False, True, "4")]
    assert rig.counted("dlr", "ok") == 3


async def test_a_reply_may_come_to_a_word_of_its_own_and_says_what_it_answers(rig: Rig) -> None:
    assert (await rig.get(REPLY, word="resposta"))[0] == 200
    (reply,) = rig.items
    assert reply == Reply(
        carrier="",
        sender="11987654321",
        to=None,
        text="N\u00e3o quero",
        encoding="windows-1252",
        received_at=1795526430.25,
        answers=MD5,
        surrogate=4711,
    )
    assert rig.counted("reply", "ok") == 1


@pytest.mark.parametrize(
    "query",
    [
        f"msisdn=5511987654321&status=2&date=x&md5={MD5}",  # as in the manual's own examples
        f"msisdn=5511987654321&status=2&type=4&md5={MD5}&uuid=4711",
        f"msisdn=5511987654321&status=ERRO&type=2&md5={MD5}&uuid=4711",
        f"msisdn=5511987654321&type=1&md5={MD5}&uuid=4711",
    ],
    ids=["no type", "another type", "no number", "a reply without message"],
)
async def test_what_the_manual_does_not_describe_is_kept_and_matches_nothing(rig: Rig, query: str) -> None:
    assert (await rig.get(query))[0] == 200
    assert rig.items == [Receipt(carrier="", message_id="", code=None, final=False, received_at=NOW, raw=query.encode())]
    assert (rig.counted("other", "invalid"), rig.counted("other", "ok")) == (1, 0)


@pytest.mark.parametrize("query", ["", "msisdn=&status=&date=", "msisdn=&message=&date=", "x=1"])
async def test_a_call_back_that_says_nothing_is_answered_and_leaves_nothing(rig: Rig, query: str) -> None:
    assert (await rig.get(query))[0] == 200
    assert rig.items == []
    assert rig.counted("other", "invalid") == 1


async def test_many_at_once_are_all_handed_on_in_order_of_each_connection(rig: Rig) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=20), timeout=aiohttp.ClientTimeout(DEADLINE)) as session:

        async def one(number: int) -> int:
            async with session.get(rig.url(f"msisdn=11987654321&status=1&type=2&md5={number}")) as answer:
                return answer.status

        assert set(await asyncio.gather(*map(one, range(500)))) == {200}
    assert sorted(int(item.message_id) for item in rig.items if isinstance(item, Receipt)) == list(range(500))
    requests = b"".join(f"GET /callback/{TOKEN}?type=2&status=1&md5=p{n} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for n in range(20))
    last = f"GET /callback/{TOKEN}?type=2&status=1&md5=p20 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    assert (await rig.send(requests + last)).count(b"HTTP/1.1 200") == 21
    assert [item.message_id for item in rig.items[500:] if isinstance(item, Receipt)] == [f"p{n}" for n in range(21)]


async def test_a_proxy_may_name_the_whole_url(rig: Rig) -> None:
    answer = await rig.send(
        f"GET http://gateway.example/callback/{TOKEN}?{STATUS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 200")
    assert len(rig.items) == 1


# --- When it answers --------------------------------------------------------------------------------------------------------------


async def test_no_answer_before_the_commit(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    await rig.start(committed=None)
    asked = asyncio.create_task(rig.get())
    (arrival,) = await rig.arrivals()
    assert (await rig.get(token="wrong-token-of-the-path"))[0] == 404  # the listener has had its turn
    assert not asked.done()
    rig.listener.acknowledge([arrival.token], committed=True)
    assert (await asked)[0] == 200


async def test_what_cannot_be_committed_is_answered_503_with_an_alarm(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    await rig.start(committed=False)
    with capture_logs() as lines:
        assert await rig.get() == (503, b"Service Unavailable\n")
    assert [(line["log_level"], line["number"]) for line in lines] == [("error", 1)]
    assert (rig.counted("status", "refused"), rig.counted("status", "ok")) == (1, 0)


async def test_a_stage_that_never_answers_is_waited_for_no_longer_than_the_limit(rigs: Callable[..., Rig]) -> None:
    rig = rigs(Limits(held=0.05))
    await rig.start(committed=None)
    with capture_logs() as lines:
        assert (await rig.get())[0] == 503
    assert [line["log_level"] for line in lines] == ["error"]


async def test_a_caller_who_leaves_takes_nothing_back(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    await rig.start(committed=None)
    _, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(f"GET /callback/{TOKEN}?{STATUS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    (arrival,) = await rig.arrivals()
    writer.close()
    await writer.wait_closed()
    asked = asyncio.create_task(rig.get(DLR))
    (second,) = await rig.arrivals()
    assert rig.listener.acknowledge([arrival.token, second.token], committed=True) == [False, True], "whom the answer can reach"
    assert (await asked)[0] == 200


async def test_on_leaving_what_is_committed_is_answered_200_and_the_rest_503(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    await rig.start(committed=None)
    asked = [asyncio.create_task(rig.get(query)) for query in (STATUS, DLR)]
    arrivals: list[Arrival] = []
    while len(arrivals) < 2:
        arrivals += await rig.arrivals()
    stopping = asyncio.create_task(rig.listener.stop(0.2))
    await asyncio.sleep(0)
    rig.listener.acknowledge([arrivals[0].token], committed=True)
    await stopping
    assert sorted([(await each)[0] for each in asked]) == [200, 503]
    with pytest.raises(aiohttp.ClientConnectorError):
        await rig.get()


async def test_a_connection_that_is_kept_alive_is_not_served_further_while_we_leave(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    await rig.start(committed=None)
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    request = f"GET /callback/{TOKEN}?{STATUS} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    writer.write(request + request)
    (arrival,) = await rig.arrivals()
    stopping = asyncio.create_task(rig.listener.stop(DEADLINE))
    await asyncio.sleep(0)
    rig.listener.acknowledge([arrival.token], committed=True)
    async with asyncio.timeout(DEADLINE):
        answers = await reader.read()
        await stopping
    writer.close()
    assert [answers.count(b"HTTP/1.1 200"), answers.count(b"HTTP/1.1 503")] in ([1, 1], [1, 0])


# --- What it refuses --------------------------------------------------------------------------------------------------------------


async def test_without_the_token_everything_is_the_same_404(rig: Rig) -> None:
    answers = {
        await rig.get(token="wrong-token-of-the-path"),
        await rig.request("GET", f"http://127.0.0.1:{rig.port}/"),
        await rig.request("GET", f"http://127.0.0.1:{rig.port}/metrics"),
        await rig.request("POST", f"http://127.0.0.1:{rig.port}/callback/wrong", data=b"x" * 10_000),
        await rig.request("GET", rig.url("x" * 9000, token="wrong")),
    }
    assert answers == {(404, b"Not Found\n")}
    assert rig.items == []
    assert rig.counted("other", "refused") == 5


async def test_an_address_that_is_not_listed_gets_the_same_404(rigs: Callable[..., Rig]) -> None:
    rig = rigs(allow=("203.0.113.0/24",), trusted_proxies=("127.0.0.1/32",))
    await rig.start()
    assert await rig.get() == (404, b"Not Found\n")
    for caller, status in (("203.0.113.9", 200), ("203.0.113.9, 198.51.100.1", 404), ("198.51.100.1, 203.0.113.9", 200)):
        assert (await rig.request("GET", rig.url(), headers={"X-Forwarded-For": caller}))[0] == status


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods_than_get_are_405(rig: Rig, method: str) -> None:
    assert (await rig.request(method, rig.url()))[0] == 405
    assert rig.items == []


async def test_a_body_is_413_and_is_not_waited_for(rig: Rig) -> None:
    assert (await rig.request("GET", rig.url(), data=b"x"))[0] == 413
    head = f"GET /callback/{TOKEN}?{STATUS} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode()
    assert (await rig.send(head)).startswith(b"HTTP/1.1 413")
    assert rig.items == []


@pytest.mark.parametrize("length", [8193, MAX_LINE + 100, 100_000])
async def test_a_query_that_is_too_long_is_414(rig: Rig, length: int) -> None:
    assert await rig.get("x" * length) == (414, b"URI Too Long\n")


async def test_more_than_the_rate_is_429(rigs: Callable[..., Rig]) -> None:
    rig = rigs(max_rate=0.001)
    await rig.start()
    assert [(await rig.get())[0] for _ in range(2)] == [200, 429]
    assert (rig.counted("other", "refused"), len(rig.items)) == (1, 1)


async def test_who_sends_no_whole_request_is_cut_off(rigs: Callable[..., Rig]) -> None:
    rig = rigs(Limits(first_request=0.2))
    await rig.start()
    assert await rig.send(b"") == b""
    assert await rig.send(f"GET /callback/{TOKEN} HTTP/1.1\r\nX-Slow: ".encode()) == b""


async def test_who_says_nothing_between_two_requests_is_cut_off(rigs: Callable[..., Rig]) -> None:
    rig = rigs(Limits(keep_alive=0.2))
    await rig.start()
    answer = await rig.send(f"GET /callback/{TOKEN}?{STATUS} HTTP/1.1\r\nHost: x\r\n\r\nGET /callback".encode())
    assert answer.count(b"HTTP/1.1 200") == 1


async def test_the_oldest_idle_connection_makes_room_for_a_new_one(rigs: Callable[..., Rig]) -> None:
    rig = rigs(Limits(connections=3))
    await rig.start(committed=None)
    busy_reader, busy = await asyncio.open_connection("127.0.0.1", rig.port)
    busy.write(f"GET /callback/{TOKEN}?{STATUS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    (held,) = await rig.arrivals()
    idle_reader, idle = await asyncio.open_connection("127.0.0.1", rig.port)
    _, kept = await asyncio.open_connection("127.0.0.1", rig.port)
    asked = asyncio.create_task(rig.get(DLR))
    (second,) = await rig.arrivals()
    async with asyncio.timeout(DEADLINE):
        assert await idle_reader.read() == b""
    rig.listener.acknowledge([held.token, second.token], committed=True)
    async with asyncio.timeout(DEADLINE):
        assert (await busy_reader.read()).startswith(b"HTTP/1.1 200")
    assert (await asked)[0] == 200
    for writer in (busy, idle, kept):
        writer.close()


async def test_what_a_caller_left_without_percent_encoding_is_read_as_it_was_meant(rig: Rig) -> None:
    for text in ("não, é amanhã".encode(), "não, é amanhã".encode("windows-1252")):
        target = f"/resposta/{TOKEN}?msisdn=11987654321&message=".encode() + text + b"&date=2026-11-24 10:20:30&type=1"
        answer = await rig.send(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
    assert [(item.text, item.received_at) for item in rig.items if isinstance(item, Reply)] == [("não, é amanhã", AT)] * 2
    assert rig.counted("reply", "ok") == 2


async def test_what_cannot_be_parsed_is_counted_as_refused(rig: Rig) -> None:
    assert (await rig.send(b"\x16\x03\x01\x02\x00")).split()[1] == b"400"
    assert rig.counted("other", "refused") == 1


# --- What it never tells ----------------------------------------------------------------------------------------------------------


class Failing(CallbackReader):
    """A fault of ours whose text quotes the request."""

    def read(self, query: bytes, now: float) -> Reading:
        raise ValueError(query.decode())


async def test_no_answer_names_software_and_none_quotes_the_request(rig: Rig) -> None:
    requests = [
        f"GET /callback/{TOKEN}?{STATUS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        f"GET /callback/{TOKEN}?{STATUS} NONSENSE\r\n\r\n",
        f"GET /callback/{TOKEN}?{STATUS} HTTP/1.1\r\nBad Header {MD5}\r\n\r\n",
        f"BREW /callback/{TOKEN}?{STATUS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        f"GET /callback/{TOKEN}?{STATUS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ]
    answers = [(await rig.send(request.encode("latin-1"))).decode().lower() for request in requests]
    assert [answer.split()[1] for answer in answers] == ["200", "400", "400", "400", "400", "400"]
    assert not [word for word in (*SECRETS, "aiohttp", "python", "server:") if any(word.lower() in answer for answer in answers)]


async def test_no_log_line_tells_a_path_a_query_or_a_text(rigs: Callable[..., Rig], capfd: pytest.CaptureFixture[str]) -> None:
    structlog.reset_defaults()
    for options in ({}, {"reader": Failing(ZONE)}, {"max_rate": 0.001}):
        rig = rigs(**options)
        await rig.start(committed=not options)
        for query in (STATUS, DLR, REPLY, "x" * 9000 + MD5):
            await rig.get(query)
        await rig.get(token=TOKEN + "x")
        await rig.send(f"GET /callback/{TOKEN}?{STATUS} NONSENSE\r\n\r\n".encode())
    out, err = capfd.readouterr()
    assert "ValueError" in out + err, "a fault is told by its type"
    assert not [secret for secret in SECRETS if secret in out + err]


async def test_a_fault_of_ours_is_500_and_the_next_request_is_served(rigs: Callable[..., Rig]) -> None:
    rig = rigs(reader=Failing(ZONE))
    await rig.start()
    with capture_logs() as lines:
        assert [await rig.get() for _ in range(2)] == [(500, b"Internal Server Error\n")] * 2
    assert [line["error"] for line in lines] == ["ValueError"] * 2
