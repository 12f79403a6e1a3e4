"""Counts and cuts against counters that are not ours: PyPI's `smsutil`, npm's `sms-segments-calculator`, and node's Intl."""

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.text import compose
from gateway.text.graphemes import may_cut
from gateway.text.gsm0338 import GSM

NPM = Path(__file__).parent / "npm"
PLAIN = sorted(GSM.characters - {"\r", "\f"})  # the foreign ones lack the form feed, and count CR LF in ways of their own
SIGNS = ["ã", "ç", "“", "😀", "a\u0303", "👍🏽", "👨\u200d👩\u200d👧", "🇧🇷", "❤\ufe0f", *"abcdefgh "]
JOINERS = [
    "\u0301",
    "\u200d",
    "\ufe0f",
    "\u20e3",
    "🏽",
    "🇧",
    "🇷",
    "👩",
    "💻",
    "a",
    "1",
    " ",
    "\r",
    "\n",
    "각",
    "\u1100",
    "\u1161",
    "\u11a8",
    "中",
    "ि",
    "न",
]


def samples(letters: list[str], number: int, longest: int) -> list[str]:
    """Draw texts, the same each time."""
    dice = random.Random(38)
    return ["".join(dice.choices(letters, k=dice.randint(1, longest))) for _ in range(number)]


TEXTS = samples(PLAIN, 150, 500) + samples(SIGNS, 150, 250) + ["a" * 160, "a" * 161, "€" * 80, "€" * 81, "ã" * 70, "ã" * 71, "😀" * 36]


def test_smsutil_counts_the_same_parts() -> None:
    smsutil: Any = pytest.importorskip("smsutil")
    for text in samples(PLAIN, 150, 500) + samples(["ã", "ç", "“", "😀", *"abcdefgh "], 150, 250):
        ours = [part.units for part in compose(text).parts]
        size = 1 if GSM.holds(text) else 2
        assert [part.bytes // size for part in smsutil.split(text).parts] == ours


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("npm") / "oracles"
    shutil.copytree(NPM, folder)
    install = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=60)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"npm ci failed: {error}")
    return folder


def counted(node: Path, texts: list[str]) -> list[dict[str, Any]]:
    done = subprocess.run(["node", "count.js"], cwd=node, input=json.dumps(texts).encode(), capture_output=True, timeout=60, check=True)
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(answers) == len(texts)
    return answers


def test_sms_segments_calculator_counts_the_same_parts(node: Path) -> None:
    for text, theirs in zip(TEXTS, counted(node, TEXTS), strict=True):
        ours = compose(text)
        assert ("GSM-7" if ours.encoding == "gsm7" else "UCS-2") == theirs["encoding"]
        assert [part.units for part in ours.parts] == theirs["segments"]


def test_no_sign_that_the_unicode_library_keeps_together_is_cut(node: Path) -> None:
    texts = samples(JOINERS, 400, 12)
    for text, theirs in zip(texts, counted(node, texts), strict=True):
        ours = {at for at in range(1, len(text)) if may_cut(text, at)}
        assert ours <= set(theirs["cuts"])
