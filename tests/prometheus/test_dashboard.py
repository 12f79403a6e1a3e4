"""The Grafana dashboard asks for what there is, and is what its generator writes."""

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import dashboard
from tests.prometheus import queries

DOCUMENT: dict[str, Any] = json.loads(dashboard.TARGET.read_text(encoding="utf-8"))
PANELS = [panel for panel in DOCUMENT["panels"] if panel["type"] != "row"]
EXPRESSIONS = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
KNOWN = queries.labels_of()


def test_the_file_is_what_the_generator_writes() -> None:
    assert dashboard.TARGET.read_text(encoding="utf-8") == dashboard.build(), "run `make docs`"


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_every_query_asks_for_metrics_labels_and_values_that_exist(title: str, expression: str) -> None:
    assert list(queries.problems(expression, KNOWN)) == [], title


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("mensageiro_nonsense", "no metric mensageiro_nonsense"),
        ("rate(mensageiro_messages[5m])", "no metric mensageiro_messages"),
        ("mensageiro_submit_latency_seconds", "no metric mensageiro_submit_latency_seconds"),
        ('mensageiro_ready{carrier="x"}', "mensageiro_ready has no label carrier"),
        ('mensageiro_messages_total{outcome=~"submitted|lost"}', "mensageiro_messages_total: outcome is never lost"),
        ("sum by (carrier, state) (mensageiro_messages_total)", "no label state to group by"),
    ],
)
def test_a_query_for_what_does_not_exist_is_seen(expression: str, problem: str) -> None:
    assert list(queries.problems(expression, KNOWN)) == [problem]


def test_every_metric_that_changes_is_shown() -> None:
    shown = {name for _, expression in EXPRESSIONS for name in re.findall(r"mensageiro_\w+", expression)}
    untold = {metric.name for metric in queries.metrics().described if not any(name.startswith(metric.name) for name in shown)}
    assert untold == {"mensageiro_build_info"}, "the variable `instance` asks for it"


def test_promtool_understands_every_query(promtool: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"dashboard:query{number}", "expr": expression.replace("$__rate_interval", "5m").replace("$instance", ".*")}
        for number, (_, expression) in enumerate(EXPRESSIONS)
    ]
    path = tmp_path / "rules.json"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


def test_no_panel_hides_another_and_all_fit() -> None:
    ids = [panel["id"] for panel in DOCUMENT["panels"]]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in DOCUMENT["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in itertools.combinations(places, 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart or above, (one, other)


def test_the_data_source_is_a_variable_and_no_machine_is_named() -> None:
    assert [variable["name"] for variable in DOCUMENT["templating"]["list"]] == ["datasource", "instance"]
    sources = {json.dumps(panel["datasource"]) for panel in PANELS} | {
        json.dumps(target["datasource"]) for panel in PANELS for target in panel["targets"]
    }
    assert sources == {json.dumps({"type": "prometheus", "uid": "${datasource}"})}


def test_each_question_has_its_row_and_latencies_are_heat_maps() -> None:
    rows = [panel["title"] for panel in DOCUMENT["panels"] if panel["type"] == "row"]
    assert rows[:3] == ["Is it stuck?", "Is it fast?", "What becomes of messages?"]
    heat = {target["expr"] for panel in PANELS if panel["type"] == "heatmap" for target in panel["targets"]}
    for name in ("submit", "response", "receipt"):
        assert any(f"mensageiro_{name}_latency_seconds_bucket" in expression for expression in heat)
    assert all(panel["description"] for panel in PANELS)
