"""Metrics: all there from the start, closed labels."""

from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.journal.base import Count, StateStats
from gateway.message import QueueState
from gateway.metrics import STATES, Metrics, age
from gateway.provider.dlr import DlrCode, state_name

# interfaces.md, "Metrics": those that belong to SMPP and the queue.
PROMISED = {
    "messages_total": {"carrier", "outcome"},
    "receipts_total": {"carrier", "state", "match"},
    "receipts_unmatched": set(),
    "replies_total": {"carrier", "complete"},
    "queue_messages": {"state"},
    "queue_oldest_age_seconds": {"state"},
    "outbox_events": set(),
    "outbox_oldest_age_seconds": set(),
    "submit_latency_seconds_count": {"carrier"},
    "response_latency_seconds_count": {"carrier"},
    "receipt_latency_seconds_count": {"carrier"},
    "pdus_total": {"direction", "command", "status"},
    "smpp_bound": {"bind"},
    "smpp_window_used": {"bind"},
    "smpp_window_size": {"bind"},
    "smpp_rate_limit": {"bind"},
    "smpp_reconnects_total": {"bind", "reason"},
    "carrier_state": {"carrier", "state"},
    "broker_connected": set(),
    "broker_reconnects_total": set(),
    "broker_pubacks_total": {"reason"},
    "in_doubt_total": {"carrier", "way"},
    "parked_receipts": set(),
    "clock_steps_total": set(),
    "journal_commit_seconds_count": set(),
    "journal_batch_rows_count": set(),
    "journal_errors_total": set(),
    "build_info": {"version", "python"},
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["smpp"], ["smpp/0"])


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(metrics.expose().decode())
    return {(sample.name, tuple(sample.labels.values())): sample.value for family in families for sample in family.samples}


@pytest.mark.parametrize("name", PROMISED)
def test_every_promised_series_is_there_at_the_start(metrics: Metrics, name: str) -> None:
    families = text_string_to_metric_families(metrics.expose().decode())
    labels = [set(sample.labels) for family in families for sample in family.samples if sample.name == f"mensageiro_{name}"]
    assert labels
    assert all(each == PROMISED[name] for each in labels)


def test_counts_make_no_series_that_was_not_there(metrics: Metrics) -> None:
    before = set(samples(metrics))
    counts = Counter({Count("messages", ("smpp", "submitted")): 3, Count("in_doubt", ("smpp", "entered")): 1, Count("duplicates", ()): 2})
    metrics.count(counts.items())
    after = samples(metrics)
    assert set(after) == before
    assert after["mensageiro_messages_total", ("smpp", "submitted")] == 3
    assert after["mensageiro_duplicates_total", ()] == 2


def test_a_carrier_is_in_one_state(metrics: Metrics) -> None:
    metrics.set_carrier_state("smpp", "ready")
    metrics.set_carrier_state("smpp", "down")
    shown = {labels: value for (name, labels), value in samples(metrics).items() if name == "mensageiro_carrier_state"}
    assert shown == {("smpp", "ready"): 0, ("smpp", "throttled"): 0, ("smpp", "suspended"): 0, ("smpp", "down"): 1}


def test_the_queue_is_shown_by_state(metrics: Metrics) -> None:
    metrics.set_queue({QueueState.QUEUED: StateStats(5, 90.0), QueueState.HELD: StateStats(0, None)}, 100.0)
    shown = samples(metrics)
    assert shown["mensageiro_queue_messages", ("queued",)] == 5
    assert shown["mensageiro_queue_oldest_age_seconds", ("queued",)] == 10
    assert shown["mensageiro_queue_oldest_age_seconds", ("held",)] == 0


def test_receipt_states_are_those_of_the_dlr_table() -> None:
    assert {state_name(code) for code in DlrCode} | {"no_receipt"} == set(STATES)


def test_an_age_is_never_negative() -> None:
    assert age(110.0, 100.0) == 0.0
    assert age(None, 100.0) == 0.0
