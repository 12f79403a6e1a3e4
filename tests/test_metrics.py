"""The metrics that dashboards stand on."""

import math
import re
from collections import Counter

import pytest
from prometheus_client import Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway import schema
from gateway.carriers.base import CarrierState
from gateway.journal.base import Count, Match, StateStats
from gateway.message import QueueState
from gateway.metrics import CARRIER_STATES, MATCHES, PUBACK_CLASSES, STATES, WAITING, Metrics, age
from gateway.provider.answers import BY_COST_CENTRE, GENERAL, CreditRow
from gateway.provider.dlr import DlrCode, state_name

# interfaces.md: name -> type and labels, of all that this version has.
TABLE = {
    "messages": ("counter", {"carrier", "outcome"}),
    "receipts": ("counter", {"carrier", "state", "match"}),
    "receipts_unmatched": ("gauge", set()),
    "replies": ("counter", {"carrier", "complete"}),
    "queue_messages": ("gauge", {"state"}),
    "queue_oldest_age_seconds": ("gauge", {"state"}),
    "outbox_events": ("gauge", set()),
    "outbox_oldest_age_seconds": ("gauge", set()),
    "submit_latency_seconds": ("histogram", {"carrier"}),
    "response_latency_seconds": ("histogram", {"carrier"}),
    "receipt_latency_seconds": ("histogram", {"carrier"}),
    "pdus": ("counter", {"direction", "command", "status"}),
    "smpp_bound": ("gauge", {"bind"}),
    "smpp_window_used": ("gauge", {"bind"}),
    "smpp_window_size": ("gauge", {"bind"}),
    "smpp_rate_limit": ("gauge", {"bind"}),
    "smpp_reconnects": ("counter", {"bind", "reason"}),
    "carrier_state": ("gauge", {"carrier", "state"}),
    "broker_connected": ("gauge", set()),
    "broker_reconnects": ("counter", set()),
    "broker_pubacks": ("counter", {"reason"}),
    "in_doubt": ("counter", {"carrier", "way"}),
    "parked_receipts": ("gauge", set()),
    "callbacks": ("counter", {"kind", "result"}),
    "clock_steps": ("counter", set()),
    "journal_commit_seconds": ("histogram", set()),
    "journal_batch_rows": ("histogram", set()),
    "journal_errors": ("counter", set()),
    "build_info": ("gauge", {"version", "python"}),
    "credits": ("gauge", {"carrier", "kind", "account"}),
    # Beyond the table.
    "duplicates": ("counter", set()),
    "outbox_set_aside": ("gauge", set()),
    "carrier_switches": ("counter", {"carrier"}),
    "ready": ("gauge", set()),
    "journal_available": ("gauge", set()),
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["smpp", "http"], ["smpp/0", "smpp/1"], ["http"])


def families(metrics: Metrics) -> dict[str, Metric]:
    text = metrics.expose().decode()
    return {family.name.removeprefix("mensageiro_"): family for family in text_string_to_metric_families(text)}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"mensageiro_{name}", labels)


def series(metrics: Metrics) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    return {(sample.name, frozenset(sample.labels.items())) for family in families(metrics).values() for sample in family.samples}


@pytest.mark.parametrize(("name", "expected"), TABLE.items())
def test_the_table_of_the_interface_is_there_from_the_start(metrics: Metrics, name: str, expected: tuple[str, set[str]]) -> None:
    family = families(metrics)[name]
    assert family.type == expected[0]
    assert family.samples, "every series exists before anything happens"
    assert set(family.samples[0].labels) - {"le"} == expected[1]


def test_nothing_is_there_that_this_test_does_not_know(metrics: Metrics) -> None:
    assert {name for name in families(metrics) if not name.startswith("process_")} == set(TABLE)


def test_every_name_but_those_of_the_process_has_the_prefix_and_all_have_a_help_text(metrics: Metrics) -> None:
    text = metrics.expose().decode()
    assert re.findall(r"^# HELP (?!mensageiro_|process_)", text, re.MULTILINE) == []
    assert all(family.documentation for family in families(metrics).values())


def test_a_scrape_is_what_the_client_library_writes(metrics: Metrics) -> None:
    metrics.messages.labels("smpp", "submitted").inc(12_345_678)
    metrics.submit_latency.labels("http").observe(0.25)
    metrics.smpp_rate_limit.labels("smpp/0").set(99.5)
    metrics.outbox_oldest.set(1e300)
    assert without_process(metrics.expose()) == without_process(generate_latest(metrics.registry))
    metrics.credits.labels("http", "flash", "1").set(float("inf"))  # a series that comes later
    assert without_process(metrics.expose()) == without_process(generate_latest(metrics.registry))


def test_a_label_may_hold_anything() -> None:
    metrics = Metrics(['a"b\\c\nd'])
    assert without_process(metrics.expose()) == without_process(generate_latest(metrics.registry))


def without_process(text: bytes) -> list[bytes]:
    """Leave out what changes between two looks."""
    return [line for line in text.splitlines() if not line.startswith(b"process_")]


def test_the_process_shows_its_cpu_and_memory(metrics: Metrics) -> None:
    assert (metrics.registry.get_sample_value("process_cpu_seconds_total") or 0.0) > 0.0
    assert (metrics.registry.get_sample_value("process_resident_memory_bytes") or 0.0) > 1e6


def test_credits_are_unknown_until_the_provider_has_told(metrics: Metrics) -> None:
    told = value(metrics, "credits", carrier="http", kind="flash", account="general")
    assert told is not None
    assert math.isnan(told)
    assert "smpp" not in {sample.labels["carrier"] for sample in families(metrics)["credits"].samples}


def test_the_page_tells_every_metric_with_its_labels(metrics: Metrics) -> None:
    page = schema.metrics_page()
    for name, (kind, labels) in TABLE.items():
        total = "_total" if kind == "counter" else ""
        (row,) = re.findall(rf"^\| `mensageiro_{name}{total}` \| {kind} \| (.*)$", page, re.MULTILINE)
        assert all(f"`{label}`" in row for label in labels)


def test_labels_are_the_enums_they_stand_for() -> None:
    assert {state.value for state in CarrierState} == set(CARRIER_STATES)
    assert {match.value for match in Match} == set(MATCHES)
    assert {state_name(code) for code in DlrCode} | {"no_receipt"} == set(STATES)
    assert {state.name.lower() for state in QueueState} - {"done"} == set(WAITING)


def test_counting_what_a_journal_reports_makes_no_new_series(metrics: Metrics) -> None:
    before = series(metrics)
    counts = Counter(
        {
            Count("messages", ("smpp", "submitted")): 3,
            Count("messages", ("", "expired")): 1,
            Count("receipts", ("http", "delivered", "exact")): 2,
            Count("replies", ("smpp", "true")): 1,
            Count("replies", ("", "true")): 1,  # a call-back's
            Count("in_doubt", ("smpp", "entered")): 1,
            Count("duplicates", ()): 4,
        }
    )
    metrics.count(counts.items())
    metrics.count(counts.items())
    assert value(metrics, "messages_total", carrier="smpp", outcome="submitted") == 6
    assert value(metrics, "messages_total", carrier="", outcome="expired") == 2
    assert value(metrics, "receipts_total", carrier="http", state="delivered", match="exact") == 4
    assert value(metrics, "duplicates_total") == 8
    assert series(metrics) == before


@pytest.mark.parametrize("state", CARRIER_STATES)
def test_a_carrier_is_in_one_state_at_a_time(metrics: Metrics, state: str) -> None:
    metrics.set_carrier_state("smpp", "down")
    metrics.set_carrier_state("smpp", state)
    shown = {each: value(metrics, "carrier_state", carrier="smpp", state=each) for each in CARRIER_STATES}
    assert shown == {each: float(each == state) for each in CARRIER_STATES}


def test_the_queue_shows_its_size_and_the_age_of_its_oldest(metrics: Metrics) -> None:
    metrics.set_queue({QueueState.QUEUED: StateStats(3, 90.0), QueueState.HELD: StateStats(0, None)}, 100.0)
    assert value(metrics, "queue_messages", state="queued") == 3
    assert value(metrics, "queue_oldest_age_seconds", state="queued") == 10.0
    assert value(metrics, "queue_oldest_age_seconds", state="held") == 0.0


def test_an_age_is_never_negative() -> None:
    assert age(110.0, 100.0) == 0.0
    assert age(None, 100.0) == 0.0
    assert age(99.0, 100.0) == 1.0


def test_two_gateways_in_one_process_count_apart() -> None:
    one, other = Metrics(["smpp"]), Metrics(["smpp"])
    one.clock_steps.inc()
    assert (value(one, "clock_steps_total"), value(other, "clock_steps_total")) == (1.0, 0.0)


def test_pubacks_have_the_classes_of_the_interface() -> None:
    assert set(PUBACK_CLASSES) == {"ok", "no_subscribers", "refused"}


def credits(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return what is shown by account and kind."""
    samples = families(metrics)["credits"].samples
    return {(sample.labels["account"], sample.labels["kind"]): sample.value for sample in samples if sample.labels["carrier"] == "http"}


def credit_row(id: int, distribution: int, left: int) -> CreditRow:
    return CreditRow(modality=1, distribution=distribution, id=id, long_code=left, flash=left + 1, short_code=left + 2)


def test_credits_are_shown_by_the_account_that_has_them(metrics: Metrics) -> None:
    metrics.set_credits("http", [credit_row(0, GENERAL, 100)])
    assert credits(metrics) == {("general", "long_code"): 100, ("general", "flash"): 101, ("general", "short_code"): 102}
    metrics.set_credits("http", [credit_row(22, BY_COST_CENTRE, 8), credit_row(38, BY_COST_CENTRE, 6000)])
    assert {key: number for key, number in credits(metrics).items() if key[1] == "long_code"} == {
        ("22", "long_code"): 8,
        ("38", "long_code"): 6000,
    }
    metrics.set_credits("http", [])
    assert credits(metrics) == {}


def test_a_provider_with_many_accounts_makes_no_more_than_fifty_and_one_series_of_a_kind(metrics: Metrics) -> None:
    metrics.set_credits("http", [credit_row(id, BY_COST_CENTRE, id) for id in reversed(range(1000, 1200))])
    shown = {account: number for (account, kind), number in credits(metrics).items() if kind == "long_code"}
    assert len(shown) == 51
    assert shown["1049"] == 1049
    assert shown["other"] == sum(range(1050, 1200))
