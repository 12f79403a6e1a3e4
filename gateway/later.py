"""Modules that are loaded when they are first used, so that a command pays for what it runs and not for what all others would.

`cli` alone uses it: loading the daemon takes half a second, which shell completion, `--help` and a health check every few seconds must not
cost. What is wrong with a module shows at its first use, not when the command line is loaded.
"""

import importlib
from types import ModuleType
from typing import Any


class Later(ModuleType):
    """Stands for a module, and imports it at the first look at one of its attributes."""

    def __getattr__(self, name: str) -> Any:
        """Ask the module. Raises ImportError where there is none."""
        return getattr(importlib.import_module(self.__name__), name)
