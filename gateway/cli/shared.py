"""What the commands share: groups and errors of one line, common options, times.

Every command loads this module: it imports nothing that takes long.
"""

import contextlib
import math
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from gateway.config import ConfigError

UNDECODED = re.compile("[\udc80-\udcff]")  # octets of an argument that are no UTF-8: PEP 383
DEFAULT_CONFIG = Path("/etc/mensageiro/gateway.toml")

PathType = click.Path(path_type=Path)
config_option = click.option(
    "--config",
    "-c",
    "path",
    envvar="MENSAGEIRO_CONFIG",
    type=PathType,
    default=DEFAULT_CONFIG,
    show_default=True,
    help="Configuration file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Within(click.ParamType):  # type: ignore[type-arg] # generic in new versions of click alone
    """A number within bounds, neither of which help repeats; NaN and the infinite are none."""

    def __init__(self, name: str, kind: type[int] | type[float], least: int = 0, most: float = sys.float_info.max) -> None:
        self.name, self._kind, self._least, self._most = name, kind, least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:
        """Return the number. Raises BadParameter."""
        try:
            number = self._kind(value)
        except ValueError:
            number = math.nan
        if not self._least <= number <= self._most:
            self.fail(f"needs {self._least} {f'to {self._most:g}' if self._most < sys.float_info.max else 'or more'}", param, ctx)
        return number


Seconds = Within("seconds", float)


class OneLineGroup(click.Group):
    """A group whose usage errors are one line, as all other errors are."""

    group_class = type

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Show the help where no command is named."""
        if not args and not ctx.resilient_parsing:  # which is how completion looks at what stands before the cursor
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run, and exit."""
        try:
            code = super().main(*args, **extra | {"standalone_mode": False})
        except UnicodeEncodeError:
            if not any(map(UNDECODED.search, sys.argv)):
                raise
            fail("an argument is not UTF-8", 2)
        except click.ClickException as error:
            fail(error.format_message(), error.exit_code)
        except click.Abort as error:
            if not isinstance(error.__context__, EOFError):
                sys.exit(130)
            click.echo(err=True)
            fail("nothing was entered", 1)
        except OSError as error:  # of stdout: a command knows its own
            fail(_words(error), 1)
        sys.exit(code if isinstance(code, int) else 0)


@contextlib.contextmanager
def one_line(*failures: type[Exception], refusals: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn what users can mend into one line on stderr and an exit code: 2 for ConfigError and `refusals`, 1 for OSError and `failures`."""
    refused: tuple[type[Exception], ...] = (ConfigError, *refusals)
    failed: tuple[type[Exception], ...] = (OSError, *failures)
    try:
        yield
    except refused as error:
        fail(str(error), 2)
    except failed as error:
        fail(_words(error) or type(error).__name__, 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _words(error: Exception) -> str:
    """Tell an error; of a file by its name, not by the number that C gave the error."""
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename and error.strerror else str(error)


def fail(text: str, code: int) -> NoReturn:
    """Say why in one line, and exit."""
    click.echo(f"mensageiro: {' '.join(text.split())}", err=True)
    sys.exit(code)


def moment(text: str | None, option: str) -> float | None:
    """Read a time that an option names: RFC 3339, of the machine's zone where it has none. Raises BadParameter."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter("needs a time like 2026-11-23T12:00:00-03:00", param_hint=option) from None
