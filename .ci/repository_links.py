"""A hook of mkdocs: links to files of the repository that the site does not have.

On the pages as they lie in the repository these are links; on the site they are words.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The page with the path in the repository behind the words of such a link."""
    return without_links(markdown, DOCS / page.file.src_uri)


def without_links(markdown: str, path: Path) -> str:
    """The text of the page at a path without links that leave the site.

    Raises:
        FileNotFoundError: If there is no such file.
    """

    def words(link: re.Match[str]) -> str:
        target = (path.parent / link[2]).resolve()
        if target.is_relative_to(DOCS):
            return link[0]
        if not target.exists():
            raise FileNotFoundError(f"{path}: {link[2]}, behind the words {link[1]!r}")
        return f"{link[1]} (`{target.relative_to(ROOT)}`)"

    return _LINK.sub(words, markdown)
