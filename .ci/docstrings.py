"""An extension of griffe: our docstrings as its Google style and Markdown read them."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension

_ROLE = re.compile(r":(?:attr|class|data|exc|func|math|meth|mod):`~?([^`]+)`")
_MATH = re.compile(r"^[ ]*\.\. math::[ ]*\n", re.MULTILINE)


class MarkdownDocstrings(Extension):
    """Sphinx's roles become code, an example a block of it."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Rewrite the docstring of whatever has one."""
        if obj.docstring is not None and not obj.is_alias:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """A docstring without what only Sphinx understands.

    An equation under ``.. math::`` is indented already, which makes it a block of code.
    """
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
    return _MATH.sub("", _ROLE.sub(r"`\1`", text))
