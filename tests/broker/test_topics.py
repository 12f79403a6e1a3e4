"""Topics of the queue interface."""

import pytest

from gateway.broker import topics


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("sms/submit", ("submit", "")),
        ("sms/submit/shop-1", ("submit", "shop-1")),
        ("sms/cancel/shop", ("cancel", "shop")),
        ("sms/submit/", None),
        ("sms/submit/Shop", None),
        ("sms/submit/a/b", None),
        ("sms/submit/" + "a" * 33, None),
        ("sms/event/accepted", None),
        ("other/submit", None),
        ("smsx/submit", None),
        ("sms/submit/shop\n", None),
        ("sms/submit/\u0661", None),
        ("sms/submitted", None),
        ("sms/submit//", None),
        ("sms//submit", None),
        ("sms", None),
        ("", None),
    ],
)
def test_a_topic_says_what_is_asked_and_by_whom(topic: str, expected: tuple[str, str] | None) -> None:
    assert topics.parse(topic, "sms") == expected


def test_a_prefix_may_have_levels() -> None:
    assert topics.parse("acme/sms/submit/a", "acme/sms") == ("submit", "a")
    assert topics.event("acme/sms", "receipt", "a") == "acme/sms/event/receipt/a"
    assert topics.event("sms", "receipt", "") == "sms/event/receipt"


def test_a_shared_group_shares_both_subscriptions() -> None:
    assert topics.subscriptions("sms") == ["sms/submit/#", "sms/cancel/#"]
    assert topics.subscriptions("sms", "g") == ["$share/g/sms/submit/#", "$share/g/sms/cancel/#"]


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "a/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("+/+", "/a", True),
        ("a/b", "a/c", False),
        ("a/b/c", "a/b", False),
        ("+/b/#", "a/b", True),
        ("+", "a", True),
        ("+", "/a", False),
        ("/+", "/a", True),
        ("a/+/c", "a//c", True),
        ("#", "", True),
        ("A/b", "a/b", False),
        ("$SYS/#", "$SYS/x", True),
    ],
)
def test_filters_match_as_mqtt_says(topic_filter: str, topic: str, expected: bool) -> None:
    assert topics.matches(topic_filter, topic) is expected


@pytest.mark.parametrize(
    ("topic", "fault"),
    [
        ("answers/a", None),
        ("answers/+", "wildcards"),
        ("answers/#", "wildcards"),
        ("", "empty"),
        ("answers/a\0", "control characters"),
        ("answers/a\n", "control characters"),
        ("answers", "response_topics"),
        ("smsx/a", "response_topics"),
        ("answers/" + "\u00e3" * 125, "256 bytes"),
        ("sms/submit", "own prefix"),
        ("sms", "own prefix"),
        ("$SYS/x", "begins with $"),
        ("answers/" + "x" * 250, "256 bytes"),
        ("elsewhere", "response_topics"),
    ],
)
def test_a_response_topic_is_checked(topic: str, fault: str | None) -> None:
    found = topics.response_topic_fault(topic, "sms", ["answers/+"])
    assert (found is None) if fault is None else (found is not None and fault in found)
