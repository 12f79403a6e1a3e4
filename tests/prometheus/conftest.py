"""What the checks of queries and rules share."""

import shutil
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def promtool() -> str:
    """Find Prometheus' own checker: on the PATH, or where `make tools` puts it."""
    found = shutil.which("promtool") or shutil.which("promtool", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("promtool, of Debian's package prometheus, is not installed: `make tools`")
    return found
