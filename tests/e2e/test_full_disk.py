"""The journal on a disk that is full: nothing is acknowledged, to neither side, and everything goes on when there is room."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeStack
from tests.support.stack import Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.fault, pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")]

LONG = "Segredo " * 18  # 144 letters


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a tmpfs of 3 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this machine lets nobody mount a tmpfs: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(disk: Path) -> Path:
    """Take what room there is, to the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


async def _until_it_cannot_commit(run: Stack) -> list[str]:
    """Publish until the journal is full: it may still write over what its WAL holds. Return the ids of what was published."""
    ids: list[str] = []
    while await run.metric("mensageiro_journal_errors_total") == 0:
        assert len(ids) < 20_000, "a full disk stops nothing"
        ids += await run.send(*run.traffic.messages(100, text=LONG))
    await run.http_until("/readyz", lambda status, body: status == 503 and '"journal": false' in body)
    return ids


async def test_a_full_disk_stops_the_gateway_taking_and_room_lets_it_go_on(stack: MakeStack, disk: Path) -> None:
    run = await stack({"gateway": {"state_dir": str(disk / "state")}})
    filler = _fill(disk)
    await _until_it_cannot_commit(run)
    filler.unlink()
    await run.ready()
    await run.accounted()


async def test_what_a_full_disk_kept_out_was_never_acknowledged_to_the_broker(stack: MakeStack, disk: Path) -> None:
    run = await stack({"gateway": {"state_dir": str(disk / "state")}}, sandbox=("--response-delay", "0.05"))
    filler = _fill(disk)
    await _until_it_cannot_commit(run)
    late = await run.send(*run.traffic.messages(50))
    await run.gateway.kill()
    filler.unlink()
    kept = {message["id"] for message in await run.json("queue", "list", "--all", "--limit", "100000")}
    assert not kept & set(late), "nothing of them may be in the journal"
    await run.start_gateway()
    await run.accounted()
    assert {tuple(run.story(id)) for id in late} == {("accepted", "receipt:delivered!")}


async def test_a_receipt_that_a_full_disk_cannot_keep_is_put_off_and_comes_again(stack: MakeStack, disk: Path) -> None:
    run = await stack({"gateway": {"state_dir": str(disk / "state")}}, sandbox=("--receipt-delay", "4"))
    early = await run.send(*run.traffic.messages(20))
    for id in early:
        await run.until_told(id, "accepted")
    filler = _fill(disk)
    await _until_it_cannot_commit(run)
    put_off = 'mensageiro_pdus_total{command="deliver_sm_resp",direction="out",status="error"}'
    await run.until_metric(put_off, lambda number: number > 0)
    assert not any(run.story(id)[-1:] == ["receipt:delivered!"] for id in early)
    filler.unlink()
    await run.accounted()
    assert {tuple(run.story(id)) for id in early} == {("accepted", "receipt:delivered!")}


async def test_a_reply_that_a_full_disk_cannot_keep_is_put_off_and_comes_again_whole(stack: MakeStack, disk: Path) -> None:
    run = await stack({"gateway": {"state_dir": str(disk / "state")}}, sandbox=("--receipt-delay", "2"))
    early = run.traffic.messages(10, "2013")
    for id in await run.send(*early):
        await run.until_told(id, "accepted")
    filler = _fill(disk)
    await _until_it_cannot_commit(run)
    put_off = 'mensageiro_pdus_total{command="deliver_sm_resp",direction="out",status="error"}'
    await run.until_metric(put_off, lambda number: number > 10)  # more than their receipts
    filler.unlink()
    await run.accounted()
    phones = {payload["to"] for payload in early}
    await until(lambda: phones <= {event["from"] for event in run.events if event["type"] == "reply"}, "a reply of each phone")
    told = {event["event_id"]: event for event in run.events if event["type"] == "reply"}.values()
    assert {(event["text"], event["possible_duplicate"]) for event in told} == {("Primeira parte, segunda parte, terceira.", False)}
    assert len(told) == 10
