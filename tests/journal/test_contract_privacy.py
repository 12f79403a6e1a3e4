"""The contract of every journal: a number that is forgotten stands nowhere any more, and what is under way is left alone."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.journal import privacy
from gateway.journal.ageing import CATCH_UP, STEP
from gateway.journal.base import Forgotten, Left, Place, Selection
from gateway.journal.reader import read_only
from gateway.message import Fragment, QueueState, Reason, Receipt, Refusal, Rejected, Reply, Submitted
from gateway.text.inbound import Coding

NUMBER, OTHER = "11987654321", "21987654321"  # the same last 8 digits, another area code
TEXT = "Marcador de texto da consulta"
PERSONAL = {
    "to": NUMBER, "text": TEXT, "metadata": {"nome": "Marcador de metadados"}, "label": "Marcador do rotulo",
    "response_topic": "app/marcador/respostas", "correlation": b"marcador-correlacao",
}  # fmt: skip
TRACES = (NUMBER, "Marcador", "marcador", "98765-4321")


async def forget(bench: Any, number: str = NUMBER) -> Forgotten:
    """Forget slice by slice, as the command does."""
    whole = Forgotten(next=Place())
    for _ in range(1000):
        if whole.next is None or whole.busy:
            break
        found = await bench.journal.forget(number, whole.next)
        erased = {kind: count + found.erased[kind] for kind, count in whole.erased.items()}
        whole = Forgotten(erased, whole.left + found.left, found.next, found.busy)
    return whole


async def publish_all(bench: Any) -> None:
    await bench.journal.published([row.row for row in await bench.journal.outbox(0, 10_000)])


async def ended(bench: Any, id: str = "a", **fields: Any) -> None:
    await bench.send(id, **(PERSONAL | fields))
    await bench.receive(id, to=f"55{fields.get('to', NUMBER)}")
    await publish_all(bench)


def reply(bench: Any, text: str = TEXT, sender: str = f"55{NUMBER}", **fields: Any) -> Reply:
    return Reply(carrier="smpp", sender=sender, to="4040", text=text, encoding="gsm7", received_at=bench.now, **fields)


def refusal(bench: Any, raw: bytes, **fields: Any) -> Refusal:
    values: dict[str, Any] = {"source": "shop", "id": "r", "detail": "text: is empty", "digest": raw[:16], "metadata": {"nome": "Marcador"}}
    return Refusal(reason=Reason.INVALID_PAYLOAD, raw=raw, received_at=bench.now, **(values | fields))


def everything(folder: Path) -> str:
    """Read every value of every table, as text."""
    connection = sqlite3.connect(folder / "journal.db")
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        values = [value for table in tables for row in connection.execute(f"SELECT * FROM {table}") for value in row]
    finally:
        connection.close()
    return "\n".join(value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in values)


async def test_an_ended_message_keeps_its_row_and_loses_its_person(bench: Any, tmp_path: Path) -> None:
    await ended(bench)
    assert all(trace in everything(tmp_path) for trace in (NUMBER, "Marcador", "marcador"))
    found = await forget(bench)
    assert (found.erased, found.left) == ({"messages": 1, "replies": 0, "receipts": 0, "refused": 0}, [])
    assert not [trace for trace in TRACES if trace in everything(tmp_path)]
    (message,) = await bench.journal.show("shop", "a")
    assert (message["state"], message["code"], message["seq"], message["metadata"]) == ("done", 2, 2, {})
    assert [(event["type"], event["event_id"], event["final"]) for event in message["events"]] == [
        ("accepted", "shop/a/1", False),
        ("receipt", "shop/a/2", True),
    ]
    assert message["part_ids"][0]["message_id"] == "a"


async def test_the_number_of_another_area_is_another_number(bench: Any, tmp_path: Path) -> None:
    await ended(bench, "a")
    await ended(bench, "b", to=OTHER, text="fica")
    assert (await forget(bench)).erased["messages"] == 1
    kept = everything(tmp_path)
    assert OTHER in kept
    assert "fica" in kept
    assert (await forget(bench, OTHER)).erased["messages"] == 1


async def test_a_replayed_event_does_not_bring_the_person_back(bench: Any) -> None:
    await ended(bench)
    await bench.journal.match([reply(bench)], bench.now, 5.0)
    await publish_all(bench)
    await forget(bench)
    assert await bench.journal.replay(Selection(all=True)) == 3
    rows = await bench.journal.outbox(0, 100)
    payloads = b"".join(row.payload for row in rows)
    assert not [trace for trace in TRACES if trace.encode() in payloads]
    assert [row.topic for row in rows] == [None] * 3
    assert {json.loads(row.payload)["event_id"] for row in rows} == {"shop/a/1", "shop/a/2", "-/reply/1"}


async def test_forgetting_survives_a_restart(bench: Any, tmp_path: Path) -> None:
    await ended(bench)
    await forget(bench)
    await bench.restart()
    assert not [trace for trace in TRACES if trace in everything(tmp_path)]
    assert (await forget(bench)).erased["messages"] == 0


async def test_an_id_that_was_forgotten_is_not_sent_again(bench: Any) -> None:
    await ended(bench)
    await forget(bench)
    await bench.queue("a", **PERSONAL)
    assert await bench.claim() == []
    (event,) = await bench.events()
    assert (event["type"], event["reason"]) == ("rejected", "duplicate_id")


async def test_a_late_receipt_for_a_forgotten_message_is_told_without_its_person(bench: Any, tmp_path: Path) -> None:
    await bench.send("a", **PERSONAL)
    await bench.receive("a", 7, to=f"55{NUMBER}")
    await publish_all(bench)
    await forget(bench)
    await bench.receive("a", 2, to="")
    (event,) = await bench.events()
    assert (event["id"], event["state"], event["late"], event["metadata"]) == ("a", "delivered", True, {})


async def test_a_message_that_ended_in_doubt_loses_the_digits_of_its_attempt_too(bench: Any, tmp_path: Path, unanswered: Any) -> None:
    await bench.send("a", unanswered, **PERSONAL)
    bench.now += 900
    await bench.journal.tick(bench.now)
    await publish_all(bench)
    await forget(bench)
    assert NUMBER[-8:] not in everything(tmp_path)


@pytest.mark.parametrize("state", ["scheduled", "queued", "active", "submitted", "held"])
async def test_what_is_under_way_is_left_and_named(bench: Any, tmp_path: Path, state: str) -> None:
    await bench.queue("a", **PERSONAL, schedule_at=bench.now + 500 if state == "scheduled" else None)
    if state in ("active", "submitted"):
        (message,) = await bench.claim()
        if state == "submitted":
            await bench.answer(message, Submitted(("a",), "gsm7"))
    if state == "held":
        await bench.hold(ids=("a",))
    await publish_all(bench)
    found = await forget(bench)
    assert found.erased["messages"] == 0
    assert found.left == [Left("message", "shop/a", state)]
    assert NUMBER in everything(tmp_path)


async def test_a_message_whose_event_is_not_published_is_left(bench: Any) -> None:
    await bench.send("a", **PERSONAL)
    await bench.receive("a")
    assert (await forget(bench)).left == [Left("message", "shop/a", "its event is not published yet")]
    await publish_all(bench)
    assert (await forget(bench)).erased["messages"] == 1


async def test_an_error_text_that_repeats_the_number_goes(bench: Any, tmp_path: Path) -> None:
    await bench.queue("a", **PERSONAL)
    (message,) = await bench.claim()
    await bench.answer(message, Rejected(Reason.REFUSED_BY_PROVIDER, "no such number: +55 (11) 98765-4321", 11))
    await publish_all(bench)
    await forget(bench)
    assert not [trace for trace in TRACES if trace in everything(tmp_path)]
    (shown,) = await bench.journal.show(None, "a")
    assert (shown["last_error"], shown["events"][0]["reason"], shown["events"][0]["code"]) == (None, "refused_by_provider", 11)


@pytest.mark.parametrize("written", [f"55{NUMBER}", f"+55{NUMBER}", NUMBER, f"0{NUMBER}"])
async def test_the_words_of_a_reply_go_however_its_number_is_written(bench: Any, tmp_path: Path, written: str) -> None:
    await bench.journal.match([reply(bench, sender=written), reply(bench, "fica", sender=f"55{OTHER}")], bench.now, 5.0)
    await publish_all(bench)
    assert (await forget(bench)).erased["replies"] == 1
    kept = everything(tmp_path)
    assert not [trace for trace in TRACES if trace in kept]
    assert "fica" in kept


async def test_a_reply_that_is_not_published_is_left(bench: Any) -> None:
    await bench.journal.match([reply(bench)], bench.now, 5.0)
    assert (await forget(bench)).left == [Left("reply", "-/reply/1", "its event is not published yet")]


async def test_parts_of_a_reply_are_left_until_it_is_told(new_bench: Any) -> None:
    bench = await new_bench(reply_timeout=60.0)
    part = Fragment("udh8", 1, 2, 1, b"Marcador", Coding("gsm7"))
    await bench.journal.match([reply(bench, "", fragment=part)], bench.now, 5.0)
    assert (await forget(bench)).left == [Left("fragments", "1", "they wait for the other parts of a reply")]
    bench.now += 61.0
    await bench.journal.tick(bench.now)
    await publish_all(bench)
    found = await forget(bench)
    assert (found.erased["replies"], found.left) == (1, [])


async def test_parked_receipts_go_unless_a_message_of_the_number_is_under_way(bench: Any, tmp_path: Path) -> None:
    await bench.send("a", **PERSONAL)
    await bench.receive("unknown", to=f"55{NUMBER}", text="Marcador")
    await bench.receive("foreign", to=f"55{OTHER}", text="fica")
    await publish_all(bench)
    assert Left("receipts", "1", "they wait for a message that is under way") in (await forget(bench)).left
    assert bench.journal.stats().parked == 2
    await bench.receive("a")
    await publish_all(bench)
    assert (await forget(bench)).erased["receipts"] == 1
    assert bench.journal.stats().parked == 1
    kept = everything(tmp_path)
    assert not [trace for trace in TRACES if trace in kept]
    assert "fica" in kept
    await bench.restart()
    assert bench.journal.stats().parked == 1


def unread(bench: Any, query: str) -> Receipt:
    """Make what is parked of a call-back that was not understood: it names no number, but has all that was said."""
    return Receipt(carrier="", message_id="", code=None, final=False, received_at=bench.now, raw=query.encode())


@pytest.mark.parametrize("written", [NUMBER, f"55{NUMBER}", "%2B55+11+98765-4321", "(11)%2098765-4321", "551187654321"])
async def test_a_parked_call_back_that_nobody_understood_goes_and_is_told_by_the_number_in_it(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setattr(privacy, "PAYLOADS", 2)
    queries = [f"type=9&msisdn={OTHER}&n={number}" for number in range(3)] + [f"type=9&msisdn={written}&message=Marcador"]
    await bench.journal.match([unread(bench, query) for query in queries], bench.now, 5.0)
    journal = read_only(tmp_path / "journal.db")
    assert [receipt["raw"] for receipt in (await journal.known(NUMBER))["receipts"]] == queries[-1:]
    journal.close()
    assert (await forget(bench)).erased["receipts"] == 1
    assert "Marcador" not in everything(tmp_path)
    assert bench.journal.stats().parked == 3


@pytest.mark.parametrize("to", [NUMBER, "+55 11 98765-4321", "(11) 98765-4321", "011 98765.4321", "(11) 8765-4321"])
async def test_a_refused_payload_with_the_number_goes(bench: Any, tmp_path: Path, to: str) -> None:
    raw = json.dumps({"id": "r", "to": to, "text": "", "metadata": {"nome": "Marcador"}}).encode()
    foreign = json.dumps({"id": "s", "to": OTHER, "text": "fica"}).encode()
    await bench.journal.append([refusal(bench, raw), refusal(bench, foreign, id="s", digest=b"other", metadata={})])
    await publish_all(bench)
    assert (await forget(bench)).erased["refused"] == 1
    kept = everything(tmp_path)
    assert not [trace for trace in (*TRACES, to) if trace in kept]
    assert "fica" in kept
    assert await bench.journal.replay(Selection(all=True)) == 2


async def test_a_refused_payload_with_a_landline_that_a_mobile_without_its_ninth_digit_would_be_stays(bench: Any, tmp_path: Path) -> None:
    await bench.journal.append([refusal(bench, b'{"to": "1133334444"}')])
    await publish_all(bench)
    assert [(await forget(bench, number)).erased["refused"] for number in ("11933334444", "1133334444")] == [0, 1]
    assert "1133334444" not in everything(tmp_path)


async def test_a_refused_payload_whose_event_is_not_published_is_left(bench: Any) -> None:
    await bench.journal.append([refusal(bench, NUMBER.encode())])
    (left,) = (await forget(bench)).left
    assert (left.kind, left.why) == ("refused", "its event is not published yet")


async def test_many_messages_of_a_number_are_forgotten_in_bounded_slices(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "MESSAGES", 3)
    monkeypatch.setattr(privacy, "SCANNED", 4)
    monkeypatch.setattr(privacy, "PAYLOADS", 2)
    for number in range(10):
        await ended(bench, f"m{number}")
    await bench.journal.match([reply(bench, f"{TEXT} {number}") for number in range(9)], bench.now, 5.0)
    await bench.journal.append([refusal(bench, f"{number}: {NUMBER}".encode()) for number in range(5)])
    await publish_all(bench)
    found = await bench.journal.forget(NUMBER, Place())
    assert (found.erased["messages"], found.next.stage) == (3, "messages")
    whole = await forget(bench)
    assert (whole.erased["messages"], whole.erased["replies"], whole.erased["refused"]) == (7, 9, 5)


async def test_nothing_is_forgotten_while_too_many_events_wait(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "WAITING_LIMIT", 2)
    await ended(bench)
    for id in "bcd":
        await bench.send(id)
    found = await bench.journal.forget(NUMBER, Place("replies", 7))
    assert (found.busy, found.next) == (True, Place("replies", 7))
    await publish_all(bench)
    assert (await forget(bench)).erased["messages"] == 1


async def test_counts_stay_as_they_are(bench: Any) -> None:
    await ended(bench, "a")
    await bench.send("b", **PERSONAL)
    before = bench.journal.stats()
    await forget(bench)
    after = bench.journal.stats()
    assert {state: after.queue[state].number for state in after.queue} == {state: before.queue[state].number for state in before.queue}
    await bench.restart()
    assert bench.journal.stats().queue[QueueState.SUBMITTED].number == 1


# --- Export -----------------------------------------------------------------------------------------------------------------------


async def test_an_export_has_all_that_forgetting_would_erase(bench: Any, tmp_path: Path) -> None:
    await ended(bench, "a")
    await bench.queue("b", **(PERSONAL | {"text": "em fila"}))
    await bench.journal.match([reply(bench, "resposta")], bench.now, 5.0)
    await bench.receive("unknown", to=f"55{NUMBER}")
    await bench.journal.append([refusal(bench, json.dumps({"to": NUMBER, "text": ""}).encode())])
    await ended(bench, "foreign", to=OTHER, text="de outro")
    journal = read_only(tmp_path / "journal.db")
    known = await journal.known(NUMBER)
    journal.close()
    assert [(message["id"], message["to"], message["text"]) for message in known["messages"]] == [
        ("a", NUMBER, TEXT),
        ("b", NUMBER, "em fila"),
    ]
    told: Any = known["messages"][0]["events"]
    assert [event["type"] for event in told] == ["accepted", "receipt"]
    assert [event["text"] for event in known["replies"]] == ["resposta"]
    assert [receipt["message_id"] for receipt in known["receipts"]] == ["unknown"]
    assert [refused["id"] for refused in known["refused"]] == ["r"]
    assert "de outro" not in json.dumps(known)


async def test_an_export_after_forgetting_is_empty(bench: Any, tmp_path: Path) -> None:
    await ended(bench, "a")
    await bench.journal.match([reply(bench)], bench.now, 5.0)
    await publish_all(bench)
    await forget(bench)
    journal = read_only(tmp_path / "journal.db")
    assert await journal.known(NUMBER) == {"messages": [], "replies": [], "receipts": [], "refused": [], "fragments": []}
    journal.close()


# --- Retention --------------------------------------------------------------------------------------------------------------------


async def test_texts_are_erased_in_bounded_steps_while_messages_come_and_go(new_bench: Any, tmp_path: Path) -> None:
    bench = await new_bench(text_retention=100.0)
    ids = [f"m{number}" for number in range(STEP + 10)]
    await bench.journal.append([bench.message(id, text=TEXT, receipt=False) for id in ids])
    for message in await bench.claim(2 * STEP):
        await bench.answer(message, Submitted((message.id,), "gsm7"))
    await publish_all(bench)
    bench.now += 101.0
    tick = await bench.journal.tick(bench.now)
    assert everything(tmp_path).count(TEXT) == 10
    assert tick.next_due == bench.now + CATCH_UP
    await bench.send("new")
    assert await bench.types("new") == ["accepted"]
    tick = await bench.journal.tick(bench.now)
    assert TEXT not in everything(tmp_path)
    assert tick.next_due == bench.now + bench.policies.receipt_deadline, "nothing to catch up with"


async def test_texts_go_at_the_end_although_the_clock_was_set_back(new_bench: Any, tmp_path: Path) -> None:
    bench = await new_bench(text_retention=0.0)
    await ended(bench, "a", text="um texto")
    bench.now += 10.0
    await bench.journal.tick(bench.now)
    bench.now -= 300.0
    await ended(bench, "b", text="outro texto")
    await bench.journal.tick(bench.now)
    kept = everything(tmp_path)
    assert "um texto" not in kept
    assert "outro texto" not in kept
