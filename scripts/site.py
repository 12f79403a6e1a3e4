"""What MkDocs asks while it builds the site (`hooks` in mkdocs.yml): a folder in the navigation stands for all pages in it."""

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Put the pages of a folder, its README first, in the place of an entry that ends in /."""
    config.nav = [{title: _pages(Path(config.docs_dir), where) for title, where in section.items()} for section in config.nav]
    return config


def _pages(docs: Path, where: Any) -> Any:
    if not isinstance(where, str) or not where.endswith("/"):
        return where
    found = sorted((docs / where).glob("*.md"), key=lambda page: (page.name != "README.md", page.name))
    return [where + page.name for page in found]
