"""Write config/grafana/mensageiro.json, the Grafana dashboard of the gateway's metrics: `python scripts/dashboard.py`.

The panels stand below as data, in the order of the questions that one asks; grafana-foundation-sdk turns them into Grafana's JSON. A test
keeps the file fresh and every query within the metrics and labels that exist.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import heatmap as heatmap_kinds
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

TARGET = Path(__file__).parent.parent / "config" / "grafana" / "mensageiro.json"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
CHART_HEIGHT, STAT_HEIGHT = 8, 4
GREEN, YELLOW, RED = "green", "yellow", "red"
NOT_USABLE = 'state=~"down|suspended"'
DELIVERED = 'state="delivered"'
ENDED = 'state=~"delivered|expired|deleted|undeliverable|rejected|unknown|skipped"'
PANELS: dict[str, Any] = {"stat": stat.Panel, "heatmap": heatmap.Panel, "timeline": statetimeline.Panel}


def of(name: str, matchers: str = "") -> str:
    """Select the series of a metric of the chosen instances."""
    prefix = "" if name.startswith("process_") else "mensageiro_"
    return f'{prefix}{name}{{instance=~"$instance"{"," if matchers else ""}{matchers}}}'


def rate(name: str, by: str, matchers: str = "") -> str:
    """Sum the rate of a counter by labels."""
    return f"sum by ({by}) (rate({of(name, matchers)}[$__rate_interval]))"


def increase(name: str, by: str, matchers: str = "") -> str:
    """Sum what a counter rose by between two points of the chart."""
    return f"sum by ({by}) (increase({of(name, matchers)}[$__rate_interval]))"


def quantile(share: float, name: str, by: str = "") -> str:
    """Estimate a quantile of a histogram."""
    return f"histogram_quantile({share}, {rate(f'{name}_bucket', f'{by}, le' if by else 'le')})"


@dataclass(frozen=True)
class Panel:
    """One panel: `queries` are (expression, legend)."""

    title: str
    queries: tuple[tuple[str, str], ...]
    why: str
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False
    good: bool | None = None  # of a stat: whether 1 is good and 0 bad (True), or any number above 0 is bad (False)


def chart(title: str, why: str, *queries: tuple[str, str], unit: str = "short", width: int = 8, stacked: bool = False) -> Panel:
    """Make a panel of lines."""
    return Panel(title, queries, why, unit, width=width, stacked=stacked)


def yes(title: str, why: str, query: str) -> Panel:
    """Make a panel that is green at 1 and red at 0."""
    return Panel(title, ((query, "{{instance}}"),), why, "bool_yes_no", "stat", 4, good=True)


def none(title: str, why: str, query: str, width: int = 4) -> Panel:
    """Make a panel that is green at 0 and red above."""
    return Panel(title, ((query, "{{instance}}"),), why, "short", "stat", width, good=False)


def heat(title: str, why: str, name: str) -> Panel:
    """Make a heat map of a histogram."""
    return Panel(title, ((rate(f"{name}_bucket", "le"), "{{le}}"),), why, "s", "heatmap")


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Is it stuck?",
        (
            yes("Ready", "What /readyz says: broker subscribed, journal able to commit, a carrier usable.", of("ready")),
            yes("Broker", "The session is up and subscribed.", of("broker_connected")),
            yes("Journal", "The last commit succeeded.", of("journal_available")),
            none("Carriers not usable", "Carriers that are down or suspended.", f"sum by (instance) ({of('carrier_state', NOT_USABLE)})"),
            none("In doubt", "Written to the provider, and nobody knows.", of("queue_messages", 'state="in_doubt"')),
            none("Events set aside", "Refused by the broker, or suspected of ending connections.", of("outbox_set_aside")),
            chart(
                "Age of the oldest message",
                "Queued should be seconds; submitted grows with what waits for receipts.",
                (of("queue_oldest_age_seconds"), "{{state}}"),
                unit="s",
            ),
            chart("Messages that have not ended", "By queue state.", (of("queue_messages"), "{{state}}"), stacked=True),
            chart(
                "Age of the oldest event", "Results that wait for the broker.", (of("outbox_oldest_age_seconds"), "{{instance}}"), unit="s"
            ),
            chart("Events not published", "The outbox.", (of("outbox_events"), "outbox"), (of("outbox_set_aside"), "set aside")),
            chart("Into doubt and out of it", "Each way, by carrier.", (increase("in_doubt_total", "carrier, way"), "{{carrier}} {{way}}")),
            chart(
                "Receipts that match nothing",
                "Parked ones wait for their message; unmatched counts all that came without one since the start.",
                (of("parked_receipts"), "parked"),
                (of("receipts_unmatched"), "unmatched since the start"),
            ),
        ),
    ),
    (
        "Is it fast?",
        (
            chart(
                "Messages a second",
                "Taken by carriers, and ended by receipts.",
                (rate("messages_total", "carrier", 'outcome="submitted"'), "submitted {{carrier}}"),
                (rate("receipts_total", "carrier"), "receipts {{carrier}}"),
                unit="ops",
            ),
            chart(
                "SMPP window",
                "Unanswered submit_sm, and how many may be.",
                (of("smpp_window_used"), "used {{bind}}"),
                (of("smpp_window_size"), "size {{bind}}"),
            ),
            chart(
                "SMPP rate",
                "What the throttle admits, and submit_sm written.",
                (of("smpp_rate_limit"), "limit {{bind}}"),
                (rate("pdus_total", "instance", 'direction="out",command="submit_sm"'), "submit_sm"),
                unit="ops",
            ),
            heat("Received to written", "From PUBLISH, or the schedule, to the provider's socket.", "submit_latency_seconds"),
            heat("Written to answered", "How long the provider takes to answer.", "response_latency_seconds"),
            heat("Answered to final receipt", "How long phones and operators take.", "receipt_latency_seconds"),
            chart(
                "Received to written",
                "Quantiles by carrier.",
                (quantile(0.5, "submit_latency_seconds", "carrier"), "p50 {{carrier}}"),
                (quantile(0.99, "submit_latency_seconds", "carrier"), "p99 {{carrier}}"),
                unit="s",
                width=12,
            ),
            chart(
                "Written to answered",
                "Quantiles by carrier.",
                (quantile(0.5, "response_latency_seconds", "carrier"), "p50 {{carrier}}"),
                (quantile(0.99, "response_latency_seconds", "carrier"), "p99 {{carrier}}"),
                unit="s",
                width=12,
            ),
        ),
    ),
    (
        "What becomes of messages?",
        (
            chart(
                "Outcomes of attempts",
                "What carriers answer; without a carrier: what ended before one was tried.",
                (rate("messages_total", "carrier, outcome"), "{{carrier}} {{outcome}}"),
                unit="ops",
                width=12,
                stacked=True,
            ),
            chart(
                "Receipts by state",
                "The DLR table's states, by carrier.",
                (rate("receipts_total", "carrier, state"), "{{carrier}} {{state}}"),
                unit="ops",
                width=12,
                stacked=True,
            ),
            chart(
                "Share delivered",
                "Of the receipts that end a message.",
                (
                    f"{rate('receipts_total', 'carrier', DELIVERED)} / {rate('receipts_total', 'carrier', ENDED)}",
                    "{{carrier}}",
                ),
                unit="percentunit",
            ),
            chart(
                "By which rule receipts match",
                "Anything but exact says how the provider writes its ids.",
                (rate("receipts_total", "match"), "{{match}}"),
                unit="ops",
            ),
            chart(
                "Replies",
                "Messages from phones.",
                (rate("replies_total", "carrier, complete"), "{{carrier}} complete={{complete}}"),
                unit="ops",
            ),
        ),
    ),
    (
        "Carriers and credits",
        (
            Panel(
                "Carrier states",
                ((f"{of('carrier_state')} == 1", "{{carrier}} {{state}}"),),
                "The state each carrier is in.",
                kind="timeline",
                width=12,
            ),
            chart(
                "Switches of the first choice",
                "By the carrier switched to.",
                (increase("carrier_switches_total", "carrier"), "{{carrier}}"),
                width=12,
            ),
            chart("Binds up", "SMPP sessions.", (of("smpp_bound"), "{{bind}}")),
            chart("Reconnects", "By bind and reason.", (increase("smpp_reconnects_total", "bind, reason"), "{{bind}} {{reason}}")),
            chart(
                "PDUs throttled or in error",
                "By command and status.",
                (rate("pdus_total", "direction, command, status", 'status!="ok"'), "{{direction}} {{command}} {{status}}"),
                unit="ops",
            ),
            chart("Credits", "What the provider says is left.", (of("credits"), "{{carrier}} {{kind}} {{account}}"), width=12),
            chart(
                "Call-backs", "By kind and result.", (rate("callbacks_total", "kind, result"), "{{kind}} {{result}}"), unit="ops", width=12
            ),
        ),
    ),
    (
        "Broker",
        (
            chart("Connections lost or failed", "Each is tried again.", (increase("broker_reconnects_total", "instance"), "{{instance}}")),
            chart(
                "PUBACKs",
                "no_subscribers: nobody listens to that event topic; refused: the event stays in the outbox.",
                (rate("broker_pubacks_total", "reason"), "{{reason}}"),
                unit="ops",
            ),
            chart(
                "Submissions that came twice",
                "The same id with the same content: not sent again.",
                (rate("duplicates_total", "instance"), "{{instance}}"),
                unit="ops",
            ),
        ),
    ),
    (
        "Journal",
        (
            heat("How long commits take", "fsync is most of it.", "journal_commit_seconds"),
            chart(
                "Commits",
                "A second, and rows a commit.",
                (rate("journal_commit_seconds_count", "instance"), "commits a second"),
                (
                    f"{rate('journal_batch_rows_sum', 'instance')} / {rate('journal_batch_rows_count', 'instance')}",
                    "rows a commit",
                ),
            ),
            chart(
                "What went wrong",
                "Failed commits, and steps of the clock.",
                (increase("journal_errors_total", "instance"), "journal errors"),
                (increase("clock_steps_total", "instance"), "clock steps"),
            ),
        ),
    ),
    (
        "Process",
        (
            chart("CPU", "Cores in use.", (rate("process_cpu_seconds_total", "instance"), "{{instance}}"), width=6),
            chart("Memory", "Resident.", (of("process_resident_memory_bytes"), "{{instance}}"), unit="bytes", width=6),
            chart(
                "Open files",
                "And how many may be.",
                (of("process_open_fds"), "open"),
                (of("process_max_fds"), "limit"),
                width=6,
            ),
            chart(
                "Running since", "A drop is a restart.", (f"time() - {of('process_start_time_seconds')}", "{{instance}}"), unit="s", width=6
            ),
        ),
    ),
)


def build() -> str:
    """Return the dashboard as JSON."""
    made = (
        dashboard.Dashboard("Mensageiro")
        .uid("mensageiro")
        .description("SMPP gateway between MQTT and an SMS provider. Generated: make docs.")
        .tags(["sms", "smpp", "mqtt"])
        .time("now-3h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
    )
    for variable in _variables():
        made.with_variable(variable)
    number = itertools.count(1)
    for title, panels in ROWS:
        made.with_row(dashboard.Row(title).id(next(number)))
        for panel in panels:
            made.with_panel(_panel(panel).id(next(number)))
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(made.build()) + "\n"


def _variables() -> Iterable[Any]:
    yield dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    yield (
        dashboard.QueryVariable("instance")
        .label("Instance")
        .datasource(SOURCE)
        .query("label_values(mensageiro_build_info, instance)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .multi(True)
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _panel(panel: Panel) -> Any:
    made = PANELS.get(panel.kind, timeseries.Panel)()
    made.title(panel.title).description(panel.why).datasource(SOURCE).unit(panel.unit).span(panel.width)
    made.height(STAT_HEIGHT if panel.kind == "stat" else CHART_HEIGHT)
    for expression, legend in panel.queries:
        query = prometheus.Dataquery().expr(expression).legend_format(legend).datasource(SOURCE)
        made.with_target(query.format(PromQueryFormat.HEATMAP) if panel.kind == "heatmap" else query)
    _FINISH[panel.kind](made, panel)
    return made


def _finish_stat(made: Any, panel: Panel) -> None:
    steps = [Threshold(value=None, color=RED if panel.good else GREEN), Threshold(value=1, color=GREEN if panel.good else RED)]
    made.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    made.color_mode(kinds.BigValueColorMode.BACKGROUND).graph_mode(kinds.BigValueGraphMode.NONE)
    made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))


def _finish_chart(made: Any, panel: Panel) -> None:
    made.fill_opacity(30 if panel.stacked else 5).show_points(kinds.VisibilityMode.NEVER).min(0)
    made.legend(
        common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).placement(kinds.LegendPlacement.BOTTOM).show_legend(True)
    )
    made.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    if panel.stacked:
        made.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL))


def _finish_heatmap(made: Any, panel: Panel) -> None:
    made.calculate(False).y_axis(heatmap.YAxisConfig().unit(panel.unit)).cell_gap(1)
    made.color(heatmap.HeatmapColorOptions().mode(heatmap_kinds.HeatmapColorMode.SCHEME).scheme("Spectral").steps(64).exponent(0.5))


def _finish_timeline(made: Any, panel: Panel) -> None:
    del panel
    made.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.FIXED).fixed_color(YELLOW)).show_value(kinds.VisibilityMode.NEVER)


_FINISH = {"stat": _finish_stat, "timeseries": _finish_chart, "heatmap": _finish_heatmap, "timeline": _finish_timeline}


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(build(), encoding="utf-8")
