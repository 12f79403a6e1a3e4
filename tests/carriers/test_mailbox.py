"""A mailbox hands over what has gathered, in order, and loses nothing to a cancelled reader."""

import asyncio

from gateway.carriers.mailbox import Mailbox


async def test_what_has_gathered_is_taken_at_once_in_order() -> None:
    box: Mailbox[int] = Mailbox()
    box.add(1)
    box.put([2, 3])
    assert await box.take() == [1, 2, 3]


async def test_a_waiting_reader_is_woken_once_a_batch() -> None:
    box: Mailbox[int] = Mailbox()
    reader = asyncio.create_task(box.take())
    await asyncio.wait([reader], timeout=0)
    box.wake()  # nothing there
    box.add(1)
    box.add(2)
    box.wake()
    box.wake()
    assert await reader == [1, 2]


async def test_a_cancelled_reader_takes_nothing_with_it() -> None:
    box: Mailbox[int] = Mailbox()
    reader = asyncio.create_task(box.take())
    await asyncio.wait([reader], timeout=0)
    box.put([1])
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    assert await box.take() == [1]
