"""What ingest makes of a PUBLISH, and when it acknowledges it."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.broker.base import Broker, Inbound
from gateway.carriers.base import Carrier, Prepared
from gateway.carriers.smpp_submit import SubmitBuilder
from gateway.config import Smpp
from gateway.ingest import RAW_LIMIT, Ingest, Reader, Rules
from gateway.journal.base import Bells
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import Cancel, Message, QueueState, Reason, Refusal, Rejected
from gateway.metrics import Metrics
from tests.support.waiting import DEADLINE, until, write_locked

NOW = 1_800_000_000.0
TO = "11987654321"


class Preparing:
    """As much of a carrier as ingest asks for: an SMPP account's own `prepare`."""

    def __init__(self, name: str, **options: Any) -> None:
        self.name = name
        self._builder = SubmitBuilder(Smpp(system_id="user", password="x", **options))

    def prepare(self, message: Message) -> Prepared | Rejected:
        return self._builder.prepare(message)


class Terse(Preparing):
    """A carrier that takes ten characters."""

    def prepare(self, message: Message) -> Prepared | Rejected:
        if len(message.text) > 10:
            return Rejected(Reason.TEXT_TOO_LONG, "text: 11 characters, the limit is 10")
        return super().prepare(message)


class Wordy(Preparing):
    """A carrier that needs two parts for everything."""

    def prepare(self, message: Message) -> Prepared | Rejected:
        return Prepared((b"one", b"two"), "gsm7")


FAKES = {"smpp": Preparing("smpp"), "flash": Preparing("flash", kinds=("flash",)), "wordy": Wordy("wordy"), "terse": Terse("terse")}
CARRIERS = cast("dict[str, Carrier]", FAKES)
RULES = Rules(topic_prefix="sms", routes=("smpp", "flash"), default_valid_for=7200.0, response_topics=("answers/+",))


def publish(payload: bytes | dict[str, Any] = b"", topic: str = "sms/submit/shop", **options: Any) -> Inbound:
    values: dict[str, Any] = {
        "topic": topic, "payload": payload if isinstance(payload, bytes) else json.dumps(payload).encode(), "qos": 1, "retain": False,
        "dup": False, "expiry": None, "response_topic": None, "correlation": None, "content_type": None, "token": 1,
    }  # fmt: skip
    return Inbound(**(values | options))


def content(**fields: Any) -> dict[str, Any]:
    return {"id": "order-1", "to": TO, "text": "Ola"} | fields


def read(inbound: Inbound, rules: Rules = RULES) -> Message | Cancel | Refusal:
    return Reader(CARRIERS, rules).read(inbound, NOW)


def taken(rules: Rules = RULES, options: dict[str, Any] | None = None, **fields: Any) -> Message:
    item = read(publish(content(**fields), **(options or {})), rules)
    assert isinstance(item, Message), item
    return item


def refused(inbound: Inbound) -> Refusal:
    item = read(inbound)
    assert isinstance(item, Refusal), item
    return item


def rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).isoformat()


# --- What is taken ----------------------------------------------------------------------------------------------------------------


def test_accents_that_a_producer_wrote_apart_from_their_letters_are_put_on_them() -> None:
    assert taken(text="Ole\u0301 a\u0300 vista", encoding="gsm7").text == "Olé à vista"
    assert taken(text="nao e so", encoding="gsm7").text == "nao e so"


def test_every_field_of_a_payload_reaches_the_message() -> None:
    sender: dict[str, Any] = {"from": "EMPRESA"}
    message = taken(
        id="a:1", to="+55 (11) 98765-4321", text="Olá", priority=3, receipt=False, encoding="ucs2",
        transliterate=True, in_doubt="resubmit", metadata={"k": "v"}, options={"correlation": b"c", "response_topic": "answers/a"},
        **sender,
    )  # fmt: skip
    assert (message.source, message.id, message.to, message.text, message.sender) == ("shop", "a:1", TO, "Olá", "EMPRESA")
    assert (message.priority, message.receipt, message.encoding, message.transliterate) == (3, False, "ucs2", True)
    assert (message.in_doubt, message.metadata, message.routes, message.parts_by) == ("resubmit", {"k": "v"}, ("smpp",), {})
    assert (message.response_topic, message.correlation, message.received_at) == ("answers/a", b"c", NOW)


def test_a_topic_without_a_source_gives_a_message_without_one() -> None:
    item = read(publish(content(), topic="sms/submit"))
    assert isinstance(item, Message)
    assert item.source == ""


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_is_taken_at_any_qos_and_however_often_it_comes(qos: int) -> None:
    assert isinstance(read(publish(content(), qos=qos, dup=True)), Message)


def test_a_cancel_names_a_message_of_its_source() -> None:
    assert read(publish({"id": "order-1"}, topic="sms/cancel/shop")) == Cancel(source="shop", id="order-1", received_at=NOW)


# --- What is refused --------------------------------------------------------------------------------------------------------------

REFUSALS: dict[str, tuple[Inbound, Reason, str]] = {
    "no JSON": (publish(b"{"), Reason.INVALID_PAYLOAD, "payload: is not JSON"),
    "an unknown field": (publish(content(tto=1)), Reason.INVALID_PAYLOAD, "tto: is no field"),
    "a source that is none": (publish(content(), topic="sms/submit/Shop"), Reason.INVALID_PAYLOAD, "topic: the source must be"),
    "a topic of nobody": (publish(content(), topic="sms/submitted"), Reason.INVALID_PAYLOAD, "topic: "),
    "a cancel of nothing": (publish(b"{}", topic="sms/cancel"), Reason.INVALID_PAYLOAD, "id: is required"),
    "a retained message": (publish(content(), retain=True), Reason.RETAINED, "retained messages are not taken"),
    "a text beyond every limit": (publish(content(text="x" * 601)), Reason.TEXT_TOO_LONG, "text: has more than 600 characters"),
    "a retained cancel": (publish({"id": "a"}, topic="sms/cancel", retain=True), Reason.RETAINED, "retained"),
    "a foreign number": (publish(content(to="+1 202 555 0123")), Reason.INVALID_NUMBER, "to: the number is not Brazilian"),
    "an old mobile number": (publish(content(to="1187654321")), Reason.INVALID_NUMBER, "to: the ninth digit"),
    "a sender that is none": (publish(content(**{"from": "Açaí"})), Reason.INVALID_SENDER, "from: "),
    "a text beyond a carrier's limit": (publish(content(text="x" * 11, routes=["terse"])), Reason.TEXT_TOO_LONG, "text: "),
    "a text outside its alphabet": (publish(content(text="ação ã", encoding="gsm7")), Reason.NOT_ENCODABLE, "text: "),
    "a kind that no carrier sends": (publish(content(kind="short_code")), Reason.NO_ROUTE, "kind: "),
    "a field that no carrier has": (publish(content(label="May")), Reason.NO_ROUTE, "label: "),
    "routes that are not configured": (publish(content(routes=["fax"])), Reason.NO_ROUTE, "routes: names no carrier"),
    "a response topic of ours": (publish(content(), response_topic="sms/event/x"), Reason.RESPONSE_TOPIC, "Response Topic lies under"),
    "a response topic with wildcards": (publish(content(), response_topic="answers/#"), Reason.RESPONSE_TOPIC, "Response Topic has"),
    "a response topic of others": (publish(content(), response_topic="elsewhere"), Reason.RESPONSE_TOPIC, "Response Topic is matched by"),
    "a schedule beyond its expiry": (
        publish(content(schedule_at=rfc3339(7200), expires_at=rfc3339(3600))),
        Reason.INVALID_SCHEDULE,
        "expires_at: must be later than schedule_at",
    ),
    "a schedule of another century": (publish(content(schedule_at="2206-01-01T00:00:00Z")), Reason.INVALID_SCHEDULE, "schedule_at: "),
    "the last schedule there is": (
        publish(content(schedule_at="9999-12-31T23:59:59-14:00")),
        Reason.INVALID_SCHEDULE,
        "schedule_at: lies more than a year ahead",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("inbound", "reason", "detail"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_cannot_be_done_is_refused_for_one_reason(inbound: Inbound, reason: Reason, detail: str) -> None:
    refusal = refused(inbound)
    assert (refusal.reason, refusal.received_at, refusal.raw) == (reason, NOW, inbound.payload)
    assert refusal.detail.startswith(detail)


def test_ingest_gives_every_reason_but_those_of_later_stages() -> None:
    later = {Reason.DUPLICATE_ID, Reason.REFUSED_BY_PROVIDER, Reason.ATTEMPTS_EXHAUSTED, Reason.INCOMPLETE, Reason.OPERATOR}
    assert {reason for _, reason, _ in REFUSALS.values()} == set(Reason) - later


def test_a_refusal_says_whose_it_is_as_far_as_it_can_be_read() -> None:
    refusal = refused(publish(content(to="1", metadata={"k": "v"}), response_topic="answers/a", correlation=b"c"))
    assert (refusal.source, refusal.id, refusal.metadata) == ("shop", "order-1", {"k": "v"})
    assert (refusal.response_topic, refusal.correlation) == ("answers/a", b"c")
    assert refused(publish(b"\xff")).id is None


def test_a_refusal_is_never_told_on_a_response_topic_that_may_not_be_used() -> None:
    assert refused(publish(b"{", response_topic="sms/submit")).response_topic is None


def test_a_payload_that_is_refused_is_kept_as_far_as_its_limit() -> None:
    assert len(refused(publish(b"x" * 100_000)).raw) == RAW_LIMIT


def test_the_same_refused_payload_has_the_same_digest_and_only_that_one() -> None:
    first, again = refused(publish(b"{")), refused(publish(b"{", dup=True))
    assert first.digest == again.digest
    assert first.digest not in {refused(publish(b"{ ")).digest, refused(publish(b"{", topic="sms/submit")).digest}


def test_a_payload_that_is_refused_for_another_reason_than_before_is_told_the_new_one() -> None:
    assert refused(publish(b"", retain=True)).digest != refused(publish(b"")).digest


def test_metadata_that_is_too_large_is_not_told_back() -> None:
    refusal = refused(publish(content(metadata={"k": "v" * 1024})))
    assert (refusal.id, refusal.metadata) == ("order-1", {})


# --- The digest -------------------------------------------------------------------------------------------------------------------


def test_the_order_of_keys_and_white_space_are_no_content() -> None:
    one = read(publish(b'{"id":"a","to":"11987654321","text":"x","metadata":{"a":"1","b":"2"}}'))
    other = read(publish(b'{ "metadata": {"b": "2", "a": "1"},\n "text": "x", "to": "11987654321", "id": "a" }'))
    assert isinstance(one, Message)
    assert isinstance(other, Message)
    assert one.digest == other.digest


def test_a_default_that_is_written_out_is_no_other_content() -> None:
    assert taken().digest == taken(kind="common", priority=0, receipt=True, metadata={}).digest


@pytest.mark.parametrize(
    "change",
    [
        {"text": "Olá"}, {"to": "11987654322"}, {"to": "+5511987654321"}, {"priority": 1}, {"receipt": False}, {"valid_for": 60},
        {"metadata": {"a": "1"}}, {"from": "EMPRESA"}, {"encoding": "ucs2"}, {"routes": ["smpp"]}, {"in_doubt": "hold"},
        {"schedule_at": "2027-02-01T00:00:00Z"}, {"transliterate": True},
    ],
)  # fmt: skip
def test_other_content_has_another_digest(change: dict[str, Any]) -> None:
    assert taken(**change).digest != taken().digest


def test_how_a_message_came_is_no_content() -> None:
    assert taken(options={"dup": True, "expiry": 60, "correlation": b"c", "response_topic": "answers/a"}).digest == taken().digest


# --- Schedule and expiry ----------------------------------------------------------------------------------------------------------

TIMES: dict[str, tuple[dict[str, Any], int | None, float | None, float]] = {
    "the default": ({}, None, None, 7200),
    "valid_for": ({"valid_for": 60}, None, None, 60),
    "expires_at": ({"expires_at": rfc3339(90)}, None, None, 90),
    "expires_at in the past": ({"expires_at": rfc3339(-5)}, None, None, -5),
    "expires_at beyond what the provider takes": ({"expires_at": rfc3339(900_000)}, None, None, 172800),
    "a shorter Message Expiry": ({"valid_for": 600}, 30, None, 30),
    "a longer Message Expiry": ({"valid_for": 600}, 3000, None, 600),
    "a Message Expiry of zero": ({}, 0, None, 0),
    "a schedule": ({"schedule_at": rfc3339(1000)}, None, 1000, 8200),
    "a schedule with valid_for": ({"schedule_at": rfc3339(1000), "valid_for": 60}, None, 1000, 1060),
    "a schedule with expires_at": ({"schedule_at": rfc3339(1000), "expires_at": rfc3339(1001)}, None, 1000, 1001),
    "a schedule with Message Expiry": ({"schedule_at": rfc3339(1000)}, 30, 1000, 1030),
    "a schedule in the past": ({"schedule_at": rfc3339(-1000), "valid_for": 60}, None, None, 60),
    "a schedule in the past and expires_at": ({"schedule_at": rfc3339(-10), "expires_at": rfc3339(-20)}, None, None, -20),
    "a schedule of the year 1": ({"schedule_at": "0001-01-01T00:00:00+14:00"}, None, None, 7200),
}


@pytest.mark.parametrize(("fields", "expiry", "schedule", "expires"), TIMES.values(), ids=TIMES.keys())
def test_expiry_counts_from_the_later_of_receipt_and_schedule(
    fields: dict[str, Any], expiry: int | None, schedule: float | None, expires: float
) -> None:
    message = taken(options={"expiry": expiry}, **fields)
    assert message.schedule_at == (None if schedule is None else NOW + schedule)
    assert message.expires_at == NOW + expires


# --- Routes and Response Topic ----------------------------------------------------------------------------------------------------


def test_carriers_that_cannot_carry_a_message_are_left_out() -> None:
    assert taken().routes == ("smpp",)
    assert taken(kind="flash").routes == ("smpp", "flash")


def test_a_message_may_name_its_own_carriers_in_its_own_order_each_once() -> None:
    assert taken(kind="flash", routes=["flash", "fax", "smpp", "flash"]).routes == ("flash", "smpp")


def test_parts_are_counted_for_each_carrier_that_needs_several() -> None:
    assert taken(routes=["smpp"]).parts_by == {}
    assert taken(routes=["smpp", "wordy"]).parts_by == {"wordy": 2}


def test_what_is_wrong_with_the_message_is_told_before_what_a_carrier_lacks() -> None:
    assert refused(publish(content(text="x" * 161, routes=["flash", "terse"]))).reason is Reason.TEXT_TOO_LONG


def test_a_response_topic_is_ignored_where_none_are_allowed() -> None:
    rules = Rules(topic_prefix="sms", routes=("smpp",), default_valid_for=60.0)
    for topic in ("answers/a", "sms/submit", "#"):
        message = taken(rules, options={"response_topic": topic, "correlation": b"c"})
        assert (message.response_topic, message.correlation) == (None, b"c")


# --- What is never told -----------------------------------------------------------------------------------------------------------

texts = st.text("QXZÃé€漢😀09", min_size=4, max_size=30)
numbers = st.from_regex(r"\+?[0-9]{5,20}", fullmatch=True) | texts


@given(
    st.fixed_dictionaries(
        {"to": numbers, "text": texts},
        optional={
            "from": numbers, "kind": texts, "encoding": st.sampled_from(["gsm7", "latin1", "auto"]), "label": texts,
            "routes": st.lists(texts), "metadata": st.dictionaries(texts, texts | st.integers()), "id": texts,
        },
    )
)  # fmt: skip
@settings(deadline=None, max_examples=200)
def test_no_refusal_tells_a_number_or_a_text(fields: dict[str, Any]) -> None:
    item = read(publish(content(**fields)))
    if isinstance(item, Refusal):
        told = [value for value in fields.values() if isinstance(value, str) and value not in ("gsm7", "latin1", "auto")]
        assert not any(value in item.detail for value in told), item.detail


@given(st.binary(max_size=100), st.text(max_size=20), st.booleans(), st.none() | st.text(max_size=20))
@settings(deadline=None, max_examples=200)
def test_no_publish_makes_the_reader_raise(payload: bytes, topic: str, retain: bool, response_topic: str | None) -> None:
    for each in (topic, "sms/submit", "sms/cancel", f"sms/submit/{topic}"):
        assert read(publish(payload, topic=each, retain=retain, response_topic=response_topic)) is not None


# --- The stage: commit, then acknowledge ------------------------------------------------------------------------------------------


class HandingOver:
    """A broker that hands over what a test puts in, and shows what is acknowledged."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[list[Inbound]] = asyncio.Queue()
        self.acknowledged: asyncio.Queue[Sequence[object]] = asyncio.Queue()

    async def inbound(self) -> list[Inbound]:
        return await self.batches.get()

    def acknowledge(self, tokens: Sequence[object]) -> None:
        self.acknowledged.put_nowait(tokens)


class Bench:
    """The stage between such a broker and a real journal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broker = HandingOver()
        self.journal = SqliteJournal(
            path, Policies(instance="test", owner="test"), commit_interval=0.0, clock=lambda: NOW, lock_timeout=0.05
        )
        self.metrics = Metrics(["smpp"])
        self.bells = Bells()
        broker = cast("Broker", self.broker)
        self.stage = Ingest(broker, self.journal, CARRIERS, RULES, self.metrics, self.bells, lambda: NOW)

    async def acknowledged(self) -> Sequence[object]:
        async with asyncio.timeout(DEADLINE):
            return await self.broker.acknowledged.get()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "journal.db")
    await bench.journal.open()
    task = asyncio.create_task(bench.stage.run())
    yield bench
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await bench.journal.close()


def count(path: Path, table: str) -> int:
    """Look with eyes of our own at what is committed."""
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        connection.close()


async def test_a_batch_is_acknowledged_once_all_of_it_is_on_disk(bench: Bench) -> None:
    bench.broker.batches.put_nowait([publish(content(id="a"), token="t1"), publish(b"{", token="t2"), publish(content(id="b"), token="t3")])
    assert await bench.acknowledged() == ["t1", "t2", "t3"]
    assert (count(bench.path, "message"), count(bench.path, "refused")) == (2, 1)
    assert bench.bells.queue.is_set()
    assert bench.bells.outbox.is_set()
    assert bench.metrics.messages.labels("", "rejected")._value.get() == 1.0


async def test_nothing_is_acknowledged_while_the_journal_cannot_commit(bench: Bench) -> None:
    with write_locked(bench.path):
        bench.broker.batches.put_nowait([publish(content(id="a"), token="t1")])
        bench.broker.batches.put_nowait([publish(content(id="b"), token="t2")])
        await until(lambda: not bench.journal.available, "the journal cannot commit")
        assert bench.broker.acknowledged.empty()
        assert bench.broker.batches.qsize() == 1, "and nothing more is read meanwhile"
    assert await bench.acknowledged() == ["t1"]
    assert await bench.acknowledged() == ["t2"]
    assert count(bench.path, "message") == 2


async def test_the_same_message_twice_is_acknowledged_twice_and_queued_once(bench: Bench) -> None:
    bench.broker.batches.put_nowait([publish(content(), token="t1"), publish(content(), token="t2", dup=True)])
    assert await bench.acknowledged() == ["t1", "t2"]
    assert bench.journal.stats().queue[QueueState.QUEUED].number == 1
    assert bench.metrics.duplicates._value.get() == 1.0


async def test_the_same_id_with_other_content_is_refused_and_the_first_goes_on(bench: Bench) -> None:
    bench.broker.batches.put_nowait([publish(content(), token="t1"), publish(content(text="other"), token="t2")])
    await bench.acknowledged()
    (event,) = [json.loads(row.payload) for row in await bench.journal.outbox(0, 10)]
    assert (event["type"], event["reason"], event["id"], event["final"]) == ("rejected", "duplicate_id", "order-1", True)
    assert bench.journal.stats().queue[QueueState.QUEUED].number == 1


async def test_a_message_whose_carriers_were_taken_out_of_the_settings_is_not_refused_when_it_comes_again(bench: Bench) -> None:
    before = Reader(CARRIERS, RULES).read(publish(content(routes=["terse"])), NOW)
    await bench.journal.append([before])
    gone = Reader({name: carrier for name, carrier in CARRIERS.items() if name != "terse"}, RULES)
    await bench.journal.append([gone.read(publish(content(routes=["terse"]), dup=True), NOW)])
    assert await bench.journal.outbox(0, 10) == [], "nothing is told yet, and nothing is refused"
    assert bench.journal.stats().queue[QueueState.QUEUED].number == 1


def test_a_refused_cancel_does_not_tell_that_the_message_it_names_has_ended() -> None:
    found = refused(publish({"id": "a", "why": "x"}, topic="sms/cancel/shop"))
    assert (found.source, found.id) == ("shop", None)
