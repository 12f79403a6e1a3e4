"""What the product is made of: the locks are whole and fresh, vulnerabilities are asked for, and a bill of materials tells it."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gateway
from tests.support import installed

ROOT = installed.ROOT
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINE = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?: ; ([^\\]+?))? \\$")
ENVIRONMENTS = [
    {"sys_platform": "linux", "platform_system": "Linux", "python_version": version, "python_full_version": f"{version}.0"}
    for version in ("3.11", "3.12", "3.13")
]


def lock(name: str) -> dict[str, str]:
    """Return what a lock pins: name -> version."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    found = [match for line in lines if (match := LINE.match(line))]
    return {canonicalize_name(match[1]): match[2] for match in found}


def wanted(name: str) -> list[str]:
    """Return what pyproject.toml asks for, for a lock."""
    project = PROJECT["project"]
    if name == "runtime":
        return list(project["dependencies"])
    if name == "build":
        return list(PROJECT["dependency-groups"]["build"])
    return [*project["dependencies"], *project["optional-dependencies"]["demo"], *PROJECT["dependency-groups"]["dev"]]


def needed(requirement: Requirement) -> bool:
    return requirement.marker is None or any(requirement.marker.evaluate(environment) for environment in ENVIRONMENTS)


@pytest.mark.parametrize("name", ["runtime", "build", "dev"])
def test_a_lock_pins_all_that_the_project_asks_for_within_its_bounds(name: str) -> None:
    pinned = lock(name)
    asked = [requirement for text in wanted(name) if needed(requirement := Requirement(text))]
    assert asked
    missing = [each.name for each in asked if canonicalize_name(each.name) not in pinned]
    assert missing == [], "run `make lock`"
    unfit = [str(each) for each in asked if not each.specifier.contains(pinned[canonicalize_name(each.name)], prereleases=True)]
    assert unfit == [], "run `make lock`"


def test_what_is_shipped_is_what_is_tested() -> None:
    tested = lock("dev")
    for shipped in (lock("runtime"), lock("build")):
        assert {name: tested.get(name) for name in shipped} == shipped


@pytest.mark.parametrize("name", ["runtime", "build", "dev"])
def test_a_lock_has_a_hash_for_each_file_and_names_no_host(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert [block.splitlines()[0] for block in blocks if not LINE.match(block.splitlines()[0])] == []
    assert [block.splitlines()[0] for block in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}", block)] == []


def test_a_lock_of_npm_has_hashes_and_names_no_host() -> None:
    locks = [path for path in (ROOT / "tests").rglob("package-lock.json") if "node_modules" not in path.parts]
    for path in [*locks, *(ROOT / "examples").rglob("package-lock.json")]:
        packages = json.loads(path.read_text(encoding="utf-8"))["packages"]
        for name, package in packages.items():
            assert name == "" or package["integrity"].startswith("sha512-"), f"{path}: {name}"
            assert "resolved" not in package, f"{path}: {name}"


# --- Vulnerabilities ---


def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SOUND: dict[str, Any] = {"name": "click", "version": "8.1.0", "vulns": []}
FLAWED: dict[str, Any] = {"name": "aiohttp", "version": "3.0.0", "vulns": [{"id": "CVE-1", "fix_versions": ["3.1.0"]}]}
UNKNOWN: dict[str, Any] = {"name": "uvloop", "skip_reason": "not found"}


def test_a_known_vulnerability_fails_the_check() -> None:
    assert audit().verdict([SOUND, FLAWED]) == (1, ["aiohttp 3.0.0: CVE-1, fixed in 3.1.0"])
    assert audit().verdict([FLAWED | {"vulns": [{"id": "CVE-2", "fix_versions": []}]}])[1] == [
        "aiohttp 3.0.0: CVE-2, fixed in no version yet"
    ]
    assert audit().verdict([FLAWED, UNKNOWN])[0] == 1


def test_no_vulnerability_passes_and_what_could_not_be_asked_is_named() -> None:
    assert audit().verdict([SOUND]) == (0, ["no known vulnerability in 1 packages"])
    assert audit().verdict([SOUND, UNKNOWN]) == (0, ["nothing is known of uvloop", "no known vulnerability in 1 packages"])


def test_without_a_network_the_check_says_that_it_was_skipped(tmp_path: Path) -> None:
    code, (line,) = audit().verdict([UNKNOWN, UNKNOWN])
    assert code == 0
    assert line.startswith("skipped: ")
    offline = {"HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "", "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, str(ROOT / "scripts" / "audit.py")]
    done = subprocess.run(command, env=installed.environment() | offline, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout[:15]) == (0, "audit: skipped:"), done.stderr


# --- The bill of materials ---


@pytest.mark.fault
def test_the_bill_of_materials_names_all_that_is_shipped_with_licences(tmp_path: Path) -> None:
    subprocess.run([str(ROOT / "scripts" / "sbom.sh"), sys.prefix], check=True, capture_output=True, timeout=300)
    document = json.loads((ROOT / "dist" / "mensageiro.cdx.json").read_text(encoding="utf-8"))
    assert document["bomFormat"] == "CycloneDX"
    about = document["metadata"]["component"]
    assert (about["name"], about["version"]) == ("mensageiro", gateway.__version__)
    told = {canonicalize_name(each["name"]): each["version"] for each in document["components"]}
    assert told == {name: version for name, version in lock("runtime").items() if name in told}
    assert {canonicalize_name(Requirement(text).name) for text in wanted("runtime")} <= told.keys()
    assert [each["name"] for each in document["components"] if not each.get("licenses")] == []
    assert "file:" not in json.dumps(document)
