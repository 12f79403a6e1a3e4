"""Every metric of the gateway, created at the start with every label value it can have, so that a series never appears from nowhere.

Labels are closed sets: configured names and enums, never an id, a number or a text. Only `credits` names accounts as the provider does, and
at most fifty, once it has told them. The stages count in batches, by what an operation reports; gauges are set from counts that are kept
(`Admin.refresh`), so a scrape costs the same at any size of the journal. docs/metrics.md is made from what stands here.
"""

import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, product
from typing import Any, NamedTuple, Protocol, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

import gateway
from gateway.events import ReceiptState
from gateway.message import QueueState
from gateway.provider.answers import GENERAL, CreditRow

PREFIX = "mensageiro"
OUTCOMES = ("submitted", "rejected", "deferred", "in_doubt", "cancelled", "expired")
STATES: tuple[str, ...] = get_args(ReceiptState)
MATCHES = ("exact", "case", "zeros", "hex_decimal", "reference", "parked")
WAYS = ("entered", "late_response", "receipt", "reference", "resubmitted", "deadline", "operator")
CARRIER_STATES = ("ready", "throttled", "suspended", "down")
RECONNECT_REASONS = ("connect", "lost", "unbound", "refused", "already_bound", "credentials", "timeout", "protocol")
PUBACK_CLASSES = ("ok", "no_subscribers", "refused")
CALLBACK_KINDS = ("reply", "status", "dlr", "other")  # other: refused before it was read, or nothing that the manual knows
CALLBACK_RESULTS = ("ok", "refused", "invalid")
CREDIT_KINDS = ("long_code", "flash", "short_code")
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


disable_created_metrics()  # type: ignore[no-untyped-call] # a second series beside each counter, that nobody asks for and every scrape would pay


class Description(NamedTuple):
    """One metric, for docs/metrics.md."""

    name: str
    type: str
    labels: Sequence[tuple[str, Sequence[str]]]
    text: str
    buckets: Sequence[float] = ()


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

    def __init__(self, carriers: Sequence[str], binds: Sequence[str] = (), credited: Sequence[str] = ()) -> None:
        """Make every series: of `carriers`, of `binds` (`<carrier>/<number>`), and of the carriers that tell their credits."""
        self.registry = CollectorRegistry()
        self.described: list[Description] = []
        self._families: list[_Family | _Process] = []
        named = [("carrier", carriers)]
        self._count_what_happens(carriers)
        self._show_what_waits()
        self.submit_latency = self._histogram(
            "submit_latency_seconds", "PUBLISH received, or schedule due, to written to the provider", named, LATENCY_BUCKETS
        )
        self.response_latency = self._histogram("response_latency_seconds", "Written to the provider to its answer", named, LATENCY_BUCKETS)
        self.receipt_latency = self._histogram("receipt_latency_seconds", "Answer to the final receipt", named, RECEIPT_BUCKETS)
        self._show_carriers(carriers, binds, credited)
        self._show_the_rest()
        self._by_name: Mapping[str, Counter] = {
            "messages": self.messages,
            "receipts": self.receipts,
            "replies": self.replies,
            "in_doubt": self.in_doubt,
            "duplicates": self.duplicates,
        }
        self._families.append(_Process(ProcessCollector(registry=self.registry)))

    def _count_what_happens(self, carriers: Sequence[str]) -> None:
        named = [("carrier", carriers)]
        self.messages = self._counter(
            "messages_total",
            "What became of attempts to send; without a carrier: what ended before one was tried",
            [("carrier", ["", *carriers]), ("outcome", OUTCOMES)],
        )
        self.receipts = self._counter(
            "receipts_total",
            "Delivery receipts applied to a message, by the rule that found it",
            [*named, ("state", STATES), ("match", MATCHES)],
        )
        self.replies = self._counter(
            "replies_total",
            "Messages from phones; complete=false: parts were missing",
            [("carrier", ["", *carriers]), ("complete", ("true", "false"))],
        )
        self.in_doubt = self._counter("in_doubt_total", "Ways into doubt (entered) and out of it", [*named, ("way", WAYS)])
        self.duplicates = self._counter("duplicates_total", "Submissions with an id that was known, with the same content", [])
        self.callbacks = self._counter(
            "callbacks_total",
            "Call-backs of the provider; refused: by a guard or since the journal could not commit; invalid: not understood",
            [("kind", CALLBACK_KINDS), ("result", CALLBACK_RESULTS)],
        )

    def _show_what_waits(self) -> None:
        self.receipts_unmatched = self._gauge("receipts_unmatched", "Receipts that matched nothing when they came, since the start", [])
        self.parked_receipts = self._gauge("parked_receipts", "Receipts that wait for their message", [])
        self.queue_messages = self._gauge("queue_messages", "Messages by queue state", [("state", WAITING)])
        self.queue_oldest = self._gauge(
            "queue_oldest_age_seconds",
            "Age of the oldest message by queue state, since it was received or its schedule came due",
            [("state", WAITING)],
        )
        self.outbox_events = self._gauge("outbox_events", "Events not published yet", [])
        self.outbox_set_aside = self._gauge("outbox_set_aside", "Events that the broker refused or that ended connections", [])
        self.outbox_oldest = self._gauge("outbox_oldest_age_seconds", "Age of the oldest event not published yet", [])

    def _show_carriers(self, carriers: Sequence[str], binds: Sequence[str], credited: Sequence[str]) -> None:
        named, of_bind, statuses = [("carrier", carriers)], [("bind", binds)], ("ok", "throttled", "error")
        self.pdus = self._counter("pdus_total", "SMPP PDUs", [("direction", ("in", "out")), ("command", COMMANDS), ("status", statuses)])
        self.smpp_bound = self._gauge("smpp_bound", "Whether a bind is up", of_bind)
        self.smpp_window_used = self._gauge("smpp_window_used", "Unanswered submit_sm", of_bind)
        self.smpp_window_size = self._gauge("smpp_window_size", "Unanswered submit_sm at most", of_bind)
        self.smpp_rate_limit = self._gauge(
            "smpp_rate_limit", "submit_sm a second now, shared by the carrier's binds; 0 = no limit", of_bind
        )
        self.smpp_reconnects = self._counter(
            "smpp_reconnects_total", "Connections tried anew, by reason", [*of_bind, ("reason", RECONNECT_REASONS)]
        )
        self.carrier_state = self._gauge("carrier_state", "1 for the state a carrier is in, else 0", [*named, ("state", CARRIER_STATES)])
        self.carrier_switches = self._counter("carrier_switches_total", "Switches of the first choice, by the carrier switched to", named)
        self.credits = self._gauge(
            "credits",
            "Credits left at the provider; NaN until it has told. account: general, or the number of a row of its answer",
            [("carrier", credited), ("kind", CREDIT_KINDS), ("account", ("general",))],
        )
        self._credit_accounts = dict.fromkeys(credited, frozenset({"general"}))
        for name, kind in product(credited, CREDIT_KINDS):
            self.credits.labels(name, kind, "general").set(math.nan)

    def _show_the_rest(self) -> None:
        self.ready = self._gauge("ready", "Whether /readyz says so: broker subscribed, journal able to commit, a carrier usable", [])
        self.broker_connected = self._gauge("broker_connected", "Whether the broker session is up and subscribed", [])
        self.broker_reconnects = self._counter("broker_reconnects_total", "Broker connections lost or failed", [])
        self.broker_pubacks = self._counter("broker_pubacks_total", "PUBACKs of our events by reason", [("reason", PUBACK_CLASSES)])
        self.clock_steps = self._counter("clock_steps_total", "Steps of the wall clock against the monotonic one", [])
        self.journal_available = self._gauge("journal_available", "Whether the last commit succeeded", [])
        self.journal_commit = self._histogram("journal_commit_seconds", "How long group commits took", [], COMMIT_BUCKETS)
        self.journal_batch = self._histogram("journal_batch_rows", "Rows that a group commit wrote", [], ROW_BUCKETS)
        self.journal_errors = self._counter("journal_errors_total", "Commits, checkpoints and operations that failed", [])
        versions = ((gateway.__version__,), (platform.python_version(),))
        build = self._gauge("build_info", "1", list(zip(("version", "python"), versions, strict=True)))
        build.labels(gateway.__version__, platform.python_version()).set(1)

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
        """Write the Prometheus text format, as `generate_latest` does."""
        return "".join(family.text() for family in self._families).encode()

    def _counter(self, name: str, text: str, labels: Sequence[tuple[str, Sequence[str]]]) -> Counter:
        metric = Counter(name, text, [label for label, _ in labels], namespace=PREFIX, registry=self.registry)
        self._create(metric, name, text, labels)
        return metric

    def _gauge(self, name: str, text: str, labels: Sequence[tuple[str, Sequence[str]]]) -> Gauge:
        metric = Gauge(name, text, [label for label, _ in labels], namespace=PREFIX, registry=self.registry)
        self._create(metric, name, text, labels)
        return metric

    def _histogram(self, name: str, text: str, labels: Sequence[tuple[str, Sequence[str]]], buckets: Sequence[float]) -> Histogram:
        names = [label for label, _ in labels]
        metric = Histogram(name, text, names, namespace=PREFIX, registry=self.registry, buckets=buckets)
        self._create(metric, name, text, labels, buckets)
        return metric

    def _create(
        self,
        metric: Counter | Gauge | Histogram,
        name: str,
        text: str,
        labels: Sequence[tuple[str, Sequence[str]]],
        buckets: Sequence[float] = (),
    ) -> None:
        """Make each series, and remember what docs/metrics.md tells."""
        self.described.append(Description(f"{PREFIX}_{name}", type(metric).__name__.lower(), labels, text, buckets))
        if labels:
            for values in product(*(each for _, each in labels)):
                metric.labels(*values)
        self._families.append(_Family(metric, labelled=bool(labels)))


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


# --- The text format --------------------------------------------------------------------------------------------------------------


class _Family:
    """One metric as lines. What never changes of a line is written once, and values are read where the client library keeps them.

    `generate_latest` costs 11 ms for 600 series; this a tenth of it. A test holds the one against the other.
    """

    def __init__(self, metric: Counter | Gauge | Histogram, *, labelled: bool) -> None:
        self._metric = metric
        self._labelled = labelled
        self._head = ""
        self._prefixes: list[str] = []
        self._children: list[Any] | None = None

    def text(self) -> str:
        """Write head and lines."""
        children = list(self._metric._metrics.values()) if self._labelled else [self._metric]  # noqa: SLF001 - see _value
        if children != self._children:  # also where a series was removed and made anew
            self._learn(children)
        read = _bucket_values if isinstance(self._metric, Histogram) else _value
        values = [value for child in children for value in read(child)]
        return self._head + "".join([f"{prefix}{_written(value)}\n" for prefix, value in zip(self._prefixes, values, strict=True)])

    def _learn(self, children: list[Any]) -> None:
        (family,) = self._metric.collect()
        self._head = _head(family)
        self._prefixes = [_prefix(sample) for sample in family.samples]
        self._children = children


class _Process:
    """What the client library tells of the process: few lines, read anew from /proc."""

    def __init__(self, collector: ProcessCollector) -> None:
        self._collector = collector

    def text(self) -> str:
        """Write heads and lines."""
        families = list(self._collector.collect())
        return "".join(
            _head(family) + "".join(f"{_prefix(each)}{_written(each.value)}\n" for each in family.samples) for family in families
        )


def _value(child: Any) -> list[float]:
    return [child._value.get()]  # noqa: SLF001 - no public way costs as little


def _bucket_values(child: Any) -> list[float]:
    """Return the values of a histogram in the order of its samples: buckets, count, sum."""
    buckets = list(accumulate(bucket.get() for bucket in child._buckets))  # noqa: SLF001 - see _value
    return [*buckets, buckets[-1], child._sum.get()]  # noqa: SLF001 - see _value


def _head(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return f"# HELP {name} {family.documentation}\n# TYPE {name} {family.type}\n"


def _prefix(sample: Sample) -> str:
    labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}} " if labels else f"{sample.name} "


@lru_cache(maxsize=4096)
def _written(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call] # it has no types


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
