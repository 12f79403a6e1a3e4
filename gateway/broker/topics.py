"""Topics: `<prefix>/submit[/<source>]`, `<prefix>/cancel[/<source>]`, `<prefix>/event/<type>[/<source>]`, `<prefix>/gateway/<instance>`."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

SOURCE = re.compile(r"(?!-\Z)[a-z0-9-]{1,32}")  # "-" alone begins the event_ids of what is no message


class Address(NamedTuple):
    """What a topic of ours asks for."""

    kind: Literal["submit", "cancel"]
    source: str  # "" where the topic names none


def subscriptions(prefix: str, shared_group: str = "") -> list[str]:
    """List the topic filters of a gateway. `a/#` matches `a` too. MQTT 5 s4.7.1.2"""
    share = f"$share/{shared_group}/" if shared_group else ""
    return [f"{share}{prefix}/submit/#", f"{share}{prefix}/cancel/#"]


def parse(topic: str, prefix: str) -> Address | None:
    """Read a topic; None where it is none of ours or its source is not well formed."""
    head, _, source = topic.removeprefix(f"{prefix}/").partition("/")
    if not topic.startswith(f"{prefix}/") or (source and not SOURCE.fullmatch(source)) or topic.endswith("/"):
        return None
    if head == "submit":
        return Address("submit", source)
    return Address("cancel", source) if head == "cancel" else None


def event(prefix: str, type: str, source: str) -> str:
    """Name the topic of an event."""
    return f"{prefix}/event/{type}/{source}" if source else f"{prefix}/event/{type}"


def gateway(prefix: str, instance: str) -> str:
    """Name the retained topic that says whether a gateway is up."""
    return f"{prefix}/gateway/{instance}"


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic filter matches a topic. MQTT 5 s4.7"""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("#", "+"):
        return False
    for position, level in enumerate(wanted):
        if level == "#":
            return True
        if position >= len(levels) or level not in ("+", levels[position]):
            return False
    return len(wanted) == len(levels)


def response_topic_fault(topic: str, prefix: str, allowed: Sequence[str]) -> str | None:
    """Say why a Response Topic may not be used; None where it may. Wildcards and control characters make brokers end our connection."""
    if not topic or any(letter in "+#\x7f" or letter < " " for letter in topic):
        return "has wildcards or control characters, or is empty"
    if len(topic.encode()) > 256:
        return "is longer than 256 bytes"
    if topic.startswith("$"):
        return "begins with $"
    if topic == prefix or topic.startswith(f"{prefix}/"):
        return "lies under the gateway's own prefix"
    if not any(matches(topic_filter, topic) for topic_filter in allowed):
        return "is matched by none of broker.response_topics"
    return None
