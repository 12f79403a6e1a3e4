"""What PromQL expressions ask for, held against the metrics that there are."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain

from gateway.metrics import Metrics

# Set by Prometheus itself, or by its configuration.
OF_THE_TARGET = frozenset({"instance", "job"})
OF_THE_CONFIGURATION = frozenset({"carrier", "bind", "account", "version", "python"})
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
PROCESS = frozenset(
    {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    }
)


def metrics() -> Metrics:
    return Metrics(["smpp", "http"], ["smpp/0"], ["http"])


def labels_of() -> dict[str, dict[str, set[str]]]:
    """Return by series name the labels it has, with their closed values; open ones are empty."""
    found: dict[str, dict[str, set[str]]] = {name: {} for name in (*PROCESS, "up")}
    for metric in metrics().described:
        labels = {label: set() if label in OF_THE_CONFIGURATION else set(values) for label, values in metric.labels}
        for suffix in SUFFIXES[metric.type]:
            found[metric.name + suffix] = labels | ({"le": set()} if suffix == "_bucket" else {})
    return found


def problems(expression: str, known: Mapping[str, Mapping[str, set[str]]]) -> Iterator[str]:
    """Tell what an expression asks for that does not exist: metrics, labels, values, and labels to group by."""
    names = re.findall(r"\b(?:mensageiro_|process_)\w+|\bup\b", expression)
    yield from (f"no metric {name}" for name in names if name not in known)
    for name, matchers in re.findall(r"(\w+)\{([^}]*)\}", expression):
        yield from _unknown_labels(name, matchers, known.get(name, {}))
    every = set(chain.from_iterable(known[name] for name in names if name in known)) | OF_THE_TARGET
    for clause in re.findall(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)", expression):
        yield from (f"no label {label.strip()} to group by" for label in clause.split(",") if label.strip() not in every)


def _unknown_labels(name: str, matchers: str, labels: Mapping[str, set[str]]) -> Iterator[str]:
    for label, wanted in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', matchers):
        if label not in labels and label not in OF_THE_TARGET:
            yield f"{name} has no label {label}"
        closed = labels.get(label)
        yield from (f"{name}: {label} is never {value}" for value in wanted.split("|") if closed and value not in closed)
