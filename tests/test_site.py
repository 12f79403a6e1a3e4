"""The documentation: it builds, loads nothing from anybody, and names only what there is."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from gateway.carriers.http import HttpWire
from gateway.carriers.smpp_submit import SubmitBuilder
from gateway.carriers.webservice import SoapWire
from gateway.cli import main
from gateway.config import Http, Smpp, Webservice
from gateway.message import Kind, Message, Rejected

ROOT = Path(__file__).parent.parent
PAGES = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in sorted(ROOT.glob("docs/**/*.md"))}
TOLD = PAGES | {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CHANGELOG.md", "gateway/__init__.py")}


# --- The site ---------------------------------------------------------------------------------------------------------------------


def build(root: Path, target: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False, env={"NO_MKDOCS_2_WARNING": "1"})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    built = build(ROOT, target)
    assert built.returncode == 0, built.stderr
    return target


class Loaded(HTMLParser):
    """Collects what a browser fetches to show a page, and the elements that Material would fetch a script for."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.drawn = False
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.drawn |= "mermaid" in (given.get("class") or "").split()
        if tag != "a":
            self.urls += [value for name in ("src", "href", "srcset", "data", "poster") if (value := given.get(name))]


def test_every_page_is_built(site: Path) -> None:
    built = {str(page.relative_to(site)) for page in site.glob("**/*.html")} - {"404.html"}
    expected = {name.removeprefix("docs/").replace("README.md", "index.md").removesuffix(".md") + ".html" for name in PAGES}
    assert built == expected


def test_reading_it_loads_nothing_from_another_host(site: Path) -> None:
    pages = [Loaded(page) for page in site.glob("**/*.html")]
    urls = {url for page in pages for url in page.urls}
    assert len(urls) > 5
    assert [url for url in urls if re.match(r"(?:[a-z]+:)?//", url)] == []
    assert not any(page.drawn for page in pages), "Material loads mermaid from another host"
    styles = "".join(style.read_text(encoding="utf-8") for style in site.glob("**/*.css"))
    assert re.findall(r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^)]*""", styles) == []


def test_a_page_without_a_place_and_a_link_to_nowhere_end_the_build(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "scripts").mkdir()
    for name in ("mkdocs.yml", "scripts/site.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "docs/stray.md").write_text("# Alone\n")
    (tmp_path / "docs/start.md").write_text("# Start\n\n[nowhere](gone.md) [no heading](carriers.md#gone)\n")
    built = build(tmp_path, tmp_path / "site")
    assert built.returncode != 0
    told = built.stdout + built.stderr
    for fault in ('not included in the "nav"', "gone.md", "#gone"):
        assert fault in told
    assert "3 warnings in strict mode" in told, "each of them would have ended it"


# --- What it names ----------------------------------------------------------------------------------------------------------------


def code_of(text: str) -> Iterator[str]:
    """Give each line of a fence and each span in backticks."""
    for fence in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from fence.splitlines()
    rest = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", rest))


CODE = [(name, code.strip()) for name, text in TOLD.items() for code in code_of(text)]


@pytest.mark.parametrize("command", sorted({code for _, code in CODE if re.match(r"mensageiro [a-z]", code)}))
def test_a_command_that_is_named_exists_with_its_options(command: str) -> None:
    words = shlex.split(re.split(r" [|<&] ", command)[0], comments=True)[1:]
    found: click.Command = main
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        inner = found.get_command(click.Context(found), words.pop(0))
        assert inner is not None, "no such command"
        found = inner
    known = {option for parameter in found.params for option in parameter.opts} | {"--help"}
    assert {word.partition("=")[0] for word in words if re.match("--[a-z]", word)} <= known


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for _, code in CODE for target in re.findall(r"^make ([a-z]+)", code)}
    assert named >= {"demo", "test", "check", "bench", "site", "docs"}
    assert named <= targets


def test_files_and_tests_that_are_named_exist() -> None:
    missing = []
    made = "config/secrets"  # by config/compose-secrets.sh
    folders = "gateway|docs|config|tests|scripts|benchmarks|requirements|systemd|examples"
    for name, code in CODE:
        for path, test in re.findall(rf"(?<![\w/.-])(?!{made})((?:{folders})/[\w./*-]*\w)(?:::(\w+))?", code):
            files = [file for file in ROOT.glob(f"{path}*") if file.name == Path(path).name or "*" in path]
            if not files or (test and f"def {test}(" not in files[0].read_text(encoding="utf-8")):
                missing.append((name, path, test))
    assert missing == []


def test_links_from_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", TOLD["README.md"])
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_promise_in_the_tables_names_a_test() -> None:
    rows = [line for line in PAGES["docs/guarantees.md"].splitlines() if line.startswith("| ") and "---" not in line]
    rows = [row for row in rows if not row.endswith("| proven by |")]
    assert len(rows) > 30
    assert [row for row in rows if "::test_" not in row and not row.endswith("| the same |")] == []


# --- What each carrier can carry --------------------------------------------------------------------------------------------------

FIELDS: Mapping[str, dict[str, Any]] = {
    "`from`": {"sender": "27000"},
    "`kind: common`": {},
    "`kind: flash`": {"kind": "flash"},
    "`kind: short_code`": {"kind": "short_code"},
    "`kind: short_code_flash`": {"kind": "short_code_flash"},
    "`cost_centre`": {"cost_centre": 7},
    "`label`": {"label": "campaign"},
    "`normalise`": {"normalise": True},
    "`priority: 3`, common": {"priority": 3},
    "`priority: 3`, short code": {"priority": 3, "kind": "short_code"},
    "`encoding: gsm7`": {"encoding": "gsm7"},
    "`encoding: ucs2`": {"encoding": "ucs2"},
    "`encoding: latin1`": {"encoding": "latin1"},
    "`encoding: latin1`, flash": {"encoding": "latin1", "kind": "flash"},
    "`transliterate`": {"transliterate": True, "text": "João"},
    "600 characters": {"text": "a" * 600},
    "141 characters by short code": {"text": "a" * 141, "kind": "short_code"},
}


def capabilities() -> dict[str, list[str]]:
    """Read the first table of docs/carriers.md: by field, what each carrier is said to do, from "yes" or "no" on."""
    table = PAGES["docs/carriers.md"].split("| field |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]
    return {field: cells for field, *cells in rows}


def test_the_table_of_what_carriers_can_carry_has_a_row_for_each_field_that_is_tried() -> None:
    assert list(capabilities()) == list(FIELDS)


@pytest.mark.parametrize("field", FIELDS)
def test_what_a_carrier_is_said_to_carry_it_carries(field: str) -> None:
    base: dict[str, Any] = {
        "source": "",
        "id": "a",
        "to": "11987654321",
        "text": "Oi",
        "digest": b"",
        "received_at": 0.0,
        "expires_at": 60.0,
    }
    message = Message(**(base | {"routes": (), "row": 1} | FIELDS[field]))
    carriers = (
        SubmitBuilder(Smpp(system_id="a", password="b")),
        HttpWire(Http(user="126b114c"), "126b114c"),
        SoapWire(Webservice(user="126b114c"), "126b114c"),
    )
    said = capabilities()[field]
    assert ["no" if isinstance(carrier.prepare(message), Rejected) else "yes" for carrier in carriers] == [
        re.split(r"\W", cell)[0] for cell in said
    ]
    every = SubmitBuilder(Smpp(system_id="a", password="b", kinds=get_args(Kind)))
    if "unless `kinds` says so" in said[0]:
        assert not isinstance(every.prepare(message), Rejected)
