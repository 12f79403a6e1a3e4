"""Every metric of the gateway, created at the start with every label value it can have, so that a series never appears from nowhere.

Labels are closed sets: configured names and enums, never an id, a number or a text. Only `credits` names accounts as the provider does, and
at most fifty, once it has told them. The stages count in batches, by what an operation reports.
"""

import platform
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Protocol, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

import gateway
from gateway.message import QueueState, ReceiptState
from gateway.provider.answers import GENERAL, CreditRow

PREFIX = "mensageiro"
OUTCOMES = ("submitted", "rejected", "deferred", "in_doubt", "cancelled", "expired")
STATES: tuple[str, ...] = get_args(ReceiptState)
MATCHES = ("exact", "case", "zeros", "hex_decimal", "reference", "parked")
WAYS = ("entered", "late_response", "receipt", "reference", "resubmitted", "deadline", "operator")
CARRIER_STATES = ("ready", "throttled", "suspended", "down")
RECONNECT_REASONS = ("connect", "lost", "unbound", "refused", "already_bound", "credentials", "timeout", "protocol")
PUBACK_CLASSES = ("ok", "no_subscribers", "refused")
COMMANDS = (
    *("bind_receiver", "bind_transmitter", "bind_transceiver", "outbind", "unbind", "submit_sm", "deliver_sm", "data_sm", "query_sm"),
    *("cancel_sm", "replace_sm", "enquire_link", "alert_notification", "generic_nack", "other"),
    *("bind_receiver_resp", "bind_transmitter_resp", "bind_transceiver_resp", "unbind_resp", "submit_sm_resp", "deliver_sm_resp"),
    *("data_sm_resp", "query_sm_resp", "cancel_sm_resp", "replace_sm_resp", "enquire_link_resp"),
)
WAITING = tuple(state.name.lower() for state in QueueState if state is not QueueState.DONE)
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
RECEIPT_BUCKETS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400, 172800, 259200)
COMMIT_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
CREDIT_KINDS = ("long_code", "flash", "short_code")
ACCOUNTS = 50  # users or cost centres whose credits are told apart: their ids come from the provider
ROW_BUCKETS = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 5000)


class StateSize(Protocol):
    """How many, and since when the oldest waits (`journal.base.StateStats`)."""

    @property
    def number(self) -> int:
        """How many."""
        ...

    @property
    def oldest(self) -> float | None:
        """Wall time."""
        ...


class Metrics:
    """All series of one gateway, on a registry of its own."""

    def __init__(self, carriers: Sequence[str], binds: Sequence[str] = ()) -> None:
        self.registry = CollectorRegistry()
        named = [("carrier", carriers)]
        self.messages = self._counter(
            "messages_total", "What became of attempts to send", [("carrier", ["", *carriers]), ("outcome", OUTCOMES)]
        )
        self.receipts = self._counter("receipts_total", "Delivery receipts applied", [*named, ("state", STATES), ("match", MATCHES)])
        self.replies = self._counter("replies_total", "Messages from phones", [*named, ("complete", ("true", "false"))])
        self.in_doubt = self._counter("in_doubt_total", "Ways into and out of doubt", [*named, ("way", WAYS)])
        self.duplicates = self._counter("duplicates_total", "Submissions with an id that was known", [])
        self.receipts_unmatched = self._gauge("receipts_unmatched", "Receipts that matched nothing when they came, since the start", [])
        self.parked_receipts = self._gauge("parked_receipts", "Receipts that wait for their message", [])
        self.queue_messages = self._gauge("queue_messages", "Messages by queue state", [("state", WAITING)])
        self.queue_oldest = self._gauge("queue_oldest_age_seconds", "Age of the oldest message by queue state", [("state", WAITING)])
        self.outbox_events = self._gauge("outbox_events", "Events not published yet", [])
        self.outbox_set_aside = self._gauge("outbox_set_aside", "Events that the broker refused or that ended connections", [])
        self.outbox_oldest = self._gauge("outbox_oldest_age_seconds", "Age of the oldest event not published yet", [])
        self.submit_latency = self._histogram("submit_latency_seconds", "PUBLISH received to submit_sm written", named, LATENCY_BUCKETS)
        self.response_latency = self._histogram("response_latency_seconds", "submit_sm written to its response", named, LATENCY_BUCKETS)
        self.receipt_latency = self._histogram("receipt_latency_seconds", "Response to the final receipt", named, RECEIPT_BUCKETS)
        statuses = ("ok", "throttled", "error")
        self.pdus = self._counter("pdus_total", "SMPP PDUs", [("direction", ("in", "out")), ("command", COMMANDS), ("status", statuses)])
        self.smpp_bound = self._gauge("smpp_bound", "Whether a bind is up", [("bind", binds)])
        self.smpp_window_used = self._gauge("smpp_window_used", "Unanswered submit_sm", [("bind", binds)])
        self.smpp_window_size = self._gauge("smpp_window_size", "Unanswered submit_sm at most", [("bind", binds)])
        self.smpp_rate_limit = self._gauge("smpp_rate_limit", "submit_sm a second now, shared by the carrier's binds", [("bind", binds)])
        self.smpp_reconnects = self._counter(
            "smpp_reconnects_total", "Connections tried anew, by reason", [("bind", binds), ("reason", RECONNECT_REASONS)]
        )
        self.carrier_state = self._gauge("carrier_state", "1 for the state a carrier is in", [*named, ("state", CARRIER_STATES)])
        self.carrier_switches = self._counter("carrier_switches_total", "Switches of the first choice, by the carrier switched to", named)
        self.broker_connected = self._gauge("broker_connected", "Whether the broker session is up and subscribed", [])
        self.broker_reconnects = self._counter("broker_reconnects_total", "Broker connections lost or failed", [])
        self.broker_pubacks = self._counter("broker_pubacks_total", "PUBACKs by reason", [("reason", PUBACK_CLASSES)])
        self.clock_steps = self._counter("clock_steps_total", "Steps of the wall clock against the monotonic one", [])
        self.journal_commit = self._histogram("journal_commit_seconds", "Group commits", [], COMMIT_BUCKETS)
        self.journal_batch = self._histogram("journal_batch_rows", "Rows a group commit", [], ROW_BUCKETS)
        self.journal_errors = self._counter("journal_errors_total", "Commits that failed", [])
        credit_labels: list[tuple[str, Sequence[str]]] = [("carrier", ()), ("kind", CREDIT_KINDS), ("account", ())]
        self.credits = self._gauge("credits", "What is left, as last told by the provider", credit_labels)
        self._credit_accounts: dict[str, frozenset[str]] = {}
        build = self._gauge("build_info", "1", [("version", (gateway.__version__,)), ("python", (platform.python_version(),))])
        build.labels(gateway.__version__, platform.python_version()).set(1)
        self._by_name: Mapping[str, Counter] = {
            "messages": self.messages,
            "receipts": self.receipts,
            "replies": self.replies,
            "in_doubt": self.in_doubt,
            "duplicates": self.duplicates,
        }

    def count(self, counts: Iterable[tuple[tuple[str, tuple[str, ...]], int]]) -> None:
        """Add what a journal operation reports: ((name, label values), number)."""
        for (name, labels), number in counts:
            counter = self._by_name[name]
            (counter.labels(*labels) if labels else counter).inc(number)

    def set_carrier_state(self, carrier: str, state: str) -> None:
        """Show the one state a carrier is in."""
        for each in CARRIER_STATES:
            self.carrier_state.labels(carrier, each).set(each == state)

    def set_credits(self, carrier: str, rows: Sequence[CreditRow]) -> None:
        """Show what a carrier's account has left, by user or cost centre where the provider deals it out so; what is no more told goes."""
        left = credits_by_account(rows)
        for account in self._credit_accounts.get(carrier, frozenset()) - left.keys():
            for kind in CREDIT_KINDS:
                self.credits.remove(carrier, kind, account)
        self._credit_accounts[carrier] = frozenset(left)
        for account, numbers in left.items():
            for kind, number in zip(CREDIT_KINDS, numbers, strict=True):
                self.credits.labels(carrier, kind, account).set(number)

    def set_queue(self, sizes: Mapping[QueueState, StateSize], now: float) -> None:
        """Show the queue by state."""
        for state, size in sizes.items():
            name = state.name.lower()
            self.queue_messages.labels(name).set(size.number)
            self.queue_oldest.labels(name).set(age(size.oldest, now))

    def expose(self) -> bytes:
        """Write the Prometheus text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, labels: Sequence[tuple[str, Sequence[str]]]) -> Counter:
        metric = Counter(name, text, [label for label, _ in labels], namespace=PREFIX, registry=self.registry)
        _create(metric, labels)
        return metric

    def _gauge(self, name: str, text: str, labels: Sequence[tuple[str, Sequence[str]]]) -> Gauge:
        metric = Gauge(name, text, [label for label, _ in labels], namespace=PREFIX, registry=self.registry)
        _create(metric, labels)
        return metric

    def _histogram(self, name: str, text: str, labels: Sequence[tuple[str, Sequence[str]]], buckets: Sequence[float]) -> Histogram:
        names = [label for label, _ in labels]
        metric = Histogram(name, text, names, namespace=PREFIX, registry=self.registry, buckets=buckets)
        _create(metric, labels)
        return metric


def credits_by_account(rows: Sequence[CreditRow]) -> dict[str, tuple[int, int, int]]:
    """Return long code, flash and short code by the label of an account. Those beyond ACCOUNTS, by their ids, are one: "other"."""
    left: dict[str, tuple[int, int, int]] = {}
    for place, row in enumerate(sorted(rows, key=lambda row: row.id)):
        own = "general" if row.distribution == GENERAL else str(row.id)
        account = own if place < ACCOUNTS else "other"
        before = left.get(account, (0, 0, 0))
        left[account] = (before[0] + row.long_code, before[1] + row.flash, before[2] + row.short_code)
    return left


def age(since: float | None, now: float) -> float:
    """Return the seconds since a wall time; 0 where there is none or it lies ahead."""
    return max(0.0, now - since) if since is not None else 0.0


def _create(metric: Counter | Gauge | Histogram, labels: Sequence[tuple[str, Sequence[str]]]) -> None:
    if labels:
        for values in product(*(each for _, each in labels)):
            metric.labels(*values)
