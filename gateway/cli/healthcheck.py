"""`mensageiro healthcheck`: what a container's supervisor runs every few seconds. It asks the admin listener and loads no daemon."""

import http.client
import json
import sys
from pathlib import Path
from typing import Any

import click

from gateway import config
from gateway.cli.shared import config_option, fail, json_option, one_line

DEADLINE = 3.0


@click.command()
@config_option
@click.option("--live", is_flag=True, help="Ask whether it is alive, not whether it is ready.")
@json_option
def healthcheck(path: Path, live: bool, as_json: bool) -> None:
    """Ask the running gateway whether it is ready. Exit code 0 = yes."""
    with one_line():
        state = _get(config.load(path).admin.listen, "/livez" if live else "/readyz")
    good = state.get("live" if live else "ready") is True
    lacking = [name for name in ("broker", "journal", "carrier") if state.get(name) is False]
    words = "ok" if good else "draining" if state.get("draining") else f"not ready: {', '.join(lacking)}"
    click.echo(json.dumps(state) if as_json else words)
    sys.exit(0 if good else 1)


def _get(listen: str, target: str) -> dict[str, Any]:
    """Ask the admin listener. Exits where it does not answer as one."""
    host, port = config.address(listen, "admin.listen")
    connection = http.client.HTTPConnection(host, port, timeout=DEADLINE)
    try:
        connection.request("GET", target)
        state = json.loads(connection.getresponse().read())
    except OSError as error:
        fail(f"{listen}: {error.strerror or error}", 1)
    except (http.client.HTTPException, ValueError):
        state = None
    finally:
        connection.close()
    if not isinstance(state, dict):
        fail(f"{listen} is no gateway", 1)
    return state
