"""What is scraped is what Prometheus itself finds well made."""

import subprocess

from tests.prometheus import queries


def test_prometheus_has_nothing_to_say_against_names_types_and_lines(promtool: str) -> None:
    text = queries.metrics().expose()
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
    assert (checked.returncode, checked.stderr) == (0, b"")
    bad = text.replace(b"# TYPE mensageiro_messages_total counter", b"# TYPE mensageiro_messages_total gauge")
    assert subprocess.run([promtool, "check", "metrics"], input=bad, capture_output=True, timeout=60, check=False).returncode != 0
