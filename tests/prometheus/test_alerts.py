"""The alert rules: each fires when it should and not before, and leads to a page that says what to do."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.prometheus import queries

ROOT = Path(__file__).parent.parent.parent
CONFIG = ROOT / "config" / "prometheus"
CASES = Path(__file__).parent / "alerts.test.yml"
RUNBOOK = ROOT / "docs" / "runbook"
SECTIONS = ["What it means", "What to look at", "What to do"]


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in read(CONFIG / "alerts.yml")["groups"] for rule in group["rules"]}
KNOWN = queries.labels_of()
TESTED = [case for test in read(CASES)["tests"] for case in test["alert_rule_test"]]


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_configuration_and_the_rules(promtool: str) -> None:
    told = run(promtool, "check", "config", str(CONFIG / "prometheus.yml"))
    assert f"{len(RULES)} rules found" in told


def test_each_rule_fires_when_it_should(promtool: str) -> None:
    run(promtool, "test", "rules", str(CASES))


@pytest.mark.fault
@pytest.mark.parametrize("expression", ["vector(0) > 0", "vector(1)"], ids=["never", "always"])
def test_a_rule_that_never_fires_or_always_fires_is_seen(promtool: str, tmp_path: Path, expression: str) -> None:
    rules = read(CONFIG / "alerts.yml")
    for group in rules["groups"]:
        group["rules"] = [rule | {"expr": expression} for rule in group["rules"]]
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump(rules))
    (tmp_path / "cases.yml").write_text(yaml.safe_dump(read(CASES) | {"rule_files": ["alerts.yml"]}))
    done = subprocess.run([promtool, "test", "rules", "cases.yml"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert set(re.findall(r"alertname: ?(\w+)", done.stdout + done.stderr)) == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_each_rule_is_tested_firing_and_silent(name: str) -> None:
    fires = {bool(case["exp_alerts"]) for case in TESTED if case["alertname"] == name}
    assert fires == {True, False}


@pytest.mark.parametrize("name", RULES)
def test_each_rule_asks_for_what_exists_and_says_how_grave_it_is(name: str) -> None:
    rule = RULES[name]
    assert list(queries.problems(rule["expr"], KNOWN)) == []
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert {"summary", "description", "runbook_url"} == set(rule["annotations"])


@pytest.mark.parametrize("name", RULES)
def test_each_rule_leads_to_its_page(name: str) -> None:
    words = "-".join(re.findall("[A-Z][a-z]+", name.removeprefix("Mensageiro"))).lower()
    assert RULES[name]["annotations"]["runbook_url"] == f"docs/runbook/{words}.md"
    page = (RUNBOOK / f"{words}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {name}\n")
    assert re.findall("^## (.*)$", page, re.MULTILINE) == SECTIONS


def test_there_is_no_page_without_a_rule_and_the_index_has_all() -> None:
    pages = {path.name for path in RUNBOOK.glob("*.md")} - {"README.md"}
    assert pages == {Path(rule["annotations"]["runbook_url"]).name for rule in RULES.values()}
    index = (RUNBOOK / "README.md").read_text(encoding="utf-8")
    for name, rule in RULES.items():
        assert f"| [{name}]({Path(rule['annotations']['runbook_url']).name}) | {rule['labels']['severity']} |" in index


@pytest.mark.parametrize("page", sorted(RUNBOOK.glob("*.md")), ids=lambda page: page.name)
def test_a_page_names_metrics_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [name for name in re.findall(r"mensageiro_[a-z_]+", text) if name not in KNOWN] == []
