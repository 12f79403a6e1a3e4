"""The same id again, and receipts that come early or twice."""

from tests.e2e.conftest import MakeStack
from tests.support.waiting import until

DELIVERED = ["accepted", "receipt:delivered!"]


async def test_the_same_id_with_the_same_content_is_told_again_and_not_sent_again(stack: MakeStack) -> None:
    run = await stack()
    payload = run.traffic.message()
    await run.send(payload)
    await run.accounted()
    await run.send(dict(reversed(payload.items())))  # the same content, written otherwise
    await until(lambda: len(run.events) == 3, "the latest event again")
    assert run.events[2] == run.events[1]
    result = await run.accounted()
    assert result.taken[payload["id"]] == 1


async def test_the_same_id_with_other_content_is_refused_and_leaves_the_first_alone(stack: MakeStack) -> None:
    run = await stack(sandbox=("--receipt-delay", "0.5"))
    payload = run.traffic.message()
    await run.send(payload, payload | {"text": "Segredo de outro"})
    await until(lambda: len(run.events) == 3, "the refusal and the delivery")
    assert [event["seq"] for event in run.told(payload["id"])] == [None, 1, 2]
    assert run.story(payload["id"]) == ["rejected:duplicate_id!", *DELIVERED]
    result = await run.accounted()
    assert result.taken[payload["id"]] == 1


async def test_the_same_id_of_another_source_is_another_message(stack: MakeStack) -> None:
    run = await stack()
    payload = run.traffic.message()
    for source in ("loja", "hotel"):
        await run.publish([payload], f"sms/submit/{source}")
    await until(
        lambda: {event["event_id"] for event in run.events} == {f"{s}/{payload['id']}/{n}" for s in ("loja", "hotel") for n in (1, 2)},
        "four events",
    )
    assert len(run.ledger()) == 2


async def test_ids_repeated_in_a_storm_are_each_sent_once(stack: MakeStack) -> None:
    run = await stack()
    payloads = run.traffic.messages(200)
    await run.publish([*payloads, *payloads[::-1], *payloads])
    result = await run.accounted()
    assert set(result.taken.values()) == {1}


async def test_a_receipt_that_comes_before_its_response_is_kept_for_it(stack: MakeStack) -> None:
    run = await stack(sandbox=("--response-delay", "0.2"))
    ids = await run.send(*run.traffic.messages(50, "2003"), *run.traffic.messages(50))  # the delay is longer than that of receipts
    await run.accounted()
    assert {tuple(run.story(id)) for id in ids} == {tuple(DELIVERED)}
    assert await run.metric("mensageiro_parked_receipts") == 0
