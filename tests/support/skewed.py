"""Run our command line with a wall clock that a file sets: `python skewed.py FILE run --config ...`; FILE holds the seconds to add.

Only `time.time` is moved, before the gateway is imported: it is the one wall clock that the gateway hands to its parts. The monotonic
clock, which nobody can set, stays. libfaketime would need a package; this needs none.
"""

import sys
import time
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Move the clock, and go on as `mensageiro` would."""
    file, *rest = arguments
    skew, real = Path(file), time.time
    time.time = lambda: real() + float(skew.read_text(encoding="ascii"))
    from gateway import cli

    cli.main(rest)


def set_skew(file: Path, seconds: float) -> None:
    """Set the clock, in one step."""
    new = file.with_suffix(".new")
    new.write_text(str(seconds), encoding="ascii")
    new.replace(file)


if __name__ == "__main__":
    main(sys.argv[1:])
