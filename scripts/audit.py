"""Look for known vulnerabilities in what is shipped: `python scripts/audit.py`, as part of `make check`.

pip-audit asks for each line of requirements/runtime.txt. Exit code 1 where it finds something. Where the network does not let it ask, this
says so and passes: a check that fails for want of a network would be switched off.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parent.parent / "requirements" / "runtime.txt"
OPTIONS = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--timeout", "15", "-f", "json")
DEADLINE = 300.0


def main() -> int:
    """Ask, tell, and return the exit code."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(LOCK), *OPTIONS]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)  # noqa: S603 - our own command
    except subprocess.TimeoutExpired:
        return _tell(0, ["skipped: no answer in time"])
    if not done.stdout.strip():
        unreachable = "connect" in done.stderr.lower() or "timed out" in done.stderr.lower()
        return _tell(0 if unreachable else 1, [f"{'skipped' if unreachable else 'failed'}: {done.stderr.strip().rpartition(chr(10))[2]}"])
    return _tell(*verdict(json.loads(done.stdout)["dependencies"]))


def verdict(dependencies: Sequence[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """Return the exit code, and what to tell, a line each."""
    found = [
        f"{each['name']} {each['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for each in dependencies
        for flaw in each.get("vulns", ())
    ]
    unknown = [each["name"] for each in dependencies if "skip_reason" in each]
    if len(unknown) == len(dependencies):
        return 0, ["skipped: the network does not let us ask for known vulnerabilities"]
    lines = [f"nothing is known of {', '.join(unknown)}"] if unknown else []
    asked = len(dependencies) - len(unknown)
    return (1, [*lines, *found]) if found else (0, [*lines, f"no known vulnerability in {asked} packages"])


def _tell(code: int, lines: Sequence[str]) -> int:
    for line in lines:
        print(f"audit: {line}", file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
