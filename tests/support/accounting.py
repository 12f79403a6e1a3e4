"""The one accounting of every end-to-end run: what was published, what the provider took, what consumers were told.

`audit` knows nothing of how a run went: whatever was killed, these sentences must hold.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Event = dict[str, Any]


@dataclass
class Audit:
    """What a run came to; `faults` is empty when the promise was kept."""

    faults: list[str] = field(default_factory=list)
    final: dict[str, Event] = field(default_factory=dict)  # id -> its final event
    by_type: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)  # id -> how often the provider took it

    def __str__(self) -> str:
        shown = "\n  ".join(self.faults[:20])
        return f"{len(self.faults)} faults:\n  {shown}" if self.faults else "no faults"


def audit(published: Collection[str], events: Iterable[Event], taken: Mapping[str, int]) -> Audit:
    """Check that every published id ends in exactly one final event, in order, and that no copy was sent silently.

    `events` as they came, repetitions included (a PUBLISH may come twice; an event_id may not mean two things). `taken` says how often the
    provider took each id.
    """
    result = Audit(taken=Counter(taken))
    told = _by_message(events, result)
    for id in published:
        _check_story(id, told.get(id, {}), result)
        _check_copies(id, told.get(id, {}), taken.get(id, 0), result)
    for id in set(taken) - set(published):
        result.faults.append(f"{id}: the provider took what nobody published")
    return result


def word(event: Event) -> str:
    """Put an event in a word: "accepted", "receipt:delivered!", where ! is final and ~ late."""
    told = {"receipt": "state", "rejected": "reason", "cancel_failed": "reason"}.get(event["type"])
    detail = f":{event[told]}" if told else ""
    return f"{event['type']}{detail}{'!' if event['final'] else ''}{'~' if event.get('late') else ''}"


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Read what the sandbox took, a JSON line each; a last line that was cut by a kill is left out."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def _by_message(events: Iterable[Event], result: Audit) -> dict[str, dict[int, Event]]:
    """Group by id and seq; the same event_id must tell the same thing each time."""
    seen: dict[str, Event] = {}
    told: dict[str, dict[int, Event]] = defaultdict(dict)
    for event in events:
        known = seen.setdefault(event["event_id"], event)
        if known != event:
            result.faults.append(f"{event['event_id']}: told in two ways")
        if event.get("id") is not None:
            told[event["id"]][event["seq"] or 0] = event
    result.by_type.update(event["type"] for event in seen.values())
    return told


def _check_story(id: str, story: Mapping[int, Event], result: Audit) -> None:
    if any(story):  # told on its own: a refused repetition of its id is another payload's story
        _check_refusal(id, story, result)
        story = {seq: event for seq, event in story.items() if seq}
    finals = [seq for seq, event in story.items() if event["final"]]
    numbered = sorted(seq for seq in story if seq)
    if len(finals) != 1:
        result.faults.append(f"{id}: {len(finals)} final events, told: {[event['type'] for event in story.values()]}")
        return
    result.final[id] = story[finals[0]]
    if numbered != list(range(1, len(numbered) + 1)):
        result.faults.append(f"{id}: a gap in its events: {numbered}")
    after = [event for seq, event in story.items() if seq > finals[0]]
    if any(not event.get("late") and event["type"] != "cancel_failed" for event in after):
        result.faults.append(f"{id}: {[event['type'] for event in after]} after its final event")


def _check_refusal(id: str, story: Mapping[int, Event], result: Audit) -> None:
    refused, first = story.get(0), min(event["time"] for seq, event in story.items() if seq)
    if refused and refused["type"] == "rejected" and refused["reason"] != "duplicate_id" and refused["time"] > first:
        result.faults.append(f"{id}: refused as {refused['reason']} when it came again, though it was taken before")


def _check_copies(id: str, story: Mapping[int, Event], taken: int, result: Audit) -> None:
    marked = any(event.get("possible_duplicate") or event["type"] == "in_doubt" for event in story.values())
    types = {event["type"] for event in story.values()}
    if taken > 1 and not marked:
        result.faults.append(f"{id}: taken {taken} times, and no event says so")
    if taken == 0 and "accepted" in types:
        result.faults.append(f"{id}: accepted, but the provider never took it")
    if taken and any(event["type"] == "cancelled" and not event.get("carrier") for event in story.values()):
        result.faults.append(f"{id}: told that we cancelled it, but the provider took it")
    in_part = any(event.get("reason") == "incomplete" or (event.get("detail") or "").startswith("part ") for event in story.values())
    if taken and types and types <= {"rejected", "expired", "cancelled"} and not in_part:
        result.faults.append(f"{id}: told {sorted(types)}, but the provider took it")
