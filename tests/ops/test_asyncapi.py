"""The AsyncAPI document, read by AsyncAPI's own parser (npm's @asyncapi/parser)."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.schema import EVENTS
from tests.support import npm

HERE = Path(__file__).parent / "asyncapi"
PARSE = """
const { Parser } = require('@asyncapi/parser');
let source = '';
process.stdin.on('data', chunk => source += chunk).on('end', async () => {
  const { document, diagnostics } = await new Parser().parse(source);
  console.log(JSON.stringify({
    version: document && document.version(),
    channels: document ? document.channels().all().map(each => each.address()) : [],
    messages: document ? document.messages().all().map(each => each.name() ?? each.id()) : [],
    faults: diagnostics.filter(each => each.severity <= 1).map(each => `${each.path.join('.')}: ${each.message}`),
  }));
});
"""


def parse(source: str) -> dict[str, object]:
    done = subprocess.run(
        ["node", "-e", PARSE], cwd=npm.folder(HERE), input=source, capture_output=True, text=True, timeout=120, check=True
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.fault
def test_the_official_parser_finds_no_fault_in_our_document() -> None:
    result = CliRunner().invoke(main, ["schema", "--asyncapi", "--prefix", "acme"])
    found = parse(result.output)
    assert found["faults"] == []
    assert found["version"] == "3.0.0"
    channels = found["channels"]
    assert isinstance(channels, list)
    assert {"acme/submit", "acme/submit/{source}", "acme/cancel", "acme/event/receipt", "acme/event/receipt/{source}"} <= set(channels)
    assert len([channel for channel in channels if channel.startswith("acme/event/") and not channel.endswith("{source}")]) == len(EVENTS)
    broken = json.loads(result.output)
    broken["operations"][next(iter(broken["operations"]))]["action"] = "shout"
    assert parse(json.dumps(broken))["faults"] != []  # it would have found one
