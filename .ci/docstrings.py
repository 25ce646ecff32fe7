"""An extension of griffe: our docstrings as its Google style and Markdown read them."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension
from latex2mathml.converter import convert

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`~?([^`]+)`")
_LINK = re.compile(r"`([^`<]+)\s<(https?://[^>`]+)>`_")
_INLINE = re.compile(r":math:`([^`]+)`")
_BLOCK = re.compile(r"^( *)\.\. math::(.*\n(?:(?:[ ]*\n)*\1[ ]+\S.*\n?)*)", re.M)
# What the converter does not know, or not after \big.
_SIGNS = {r"\langle": "⟨", r"\rangle": "⟩", r"\|": "‖", r"\Vert": "‖"}
_SIGNS[r"\arg"] = r"\mathrm{arg}"


class MarkdownDocstrings(Extension):
    """Sphinx's roles, equations and links become Markdown's, or HTML."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Rewrite the docstring of whatever has one."""
        if obj.docstring is not None and not obj.is_alias:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """A docstring without what only Sphinx understands.

    Equations are made here: a browser needs a program of another server for LaTeX, and
    none for MathML.
    """
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
    text = _BLOCK.sub(lambda found: f"{found[1]}{_block(found[2])}\n", text)
    text = _INLINE.sub(lambda found: f"<span>{_mathml(found[1])}</span>", text)
    text = _LINK.sub(r"[\1](\2)", text)
    return _ROLE.sub(r"`\1`", text)


def _block(latex: str) -> str:
    if "&" in latex and r"\begin" not in latex:  # as Sphinx has it
        latex = rf"\begin{{aligned}}{latex}\end{{aligned}}"
    return f'<div style="overflow-x: auto">{_mathml(latex, "block")}</div>'


def _mathml(latex: str, display: str = "inline") -> str:
    """An element of HTML; without a span or div around it, it would end a paragraph."""
    for name, sign in _SIGNS.items():
        latex = latex.replace(name, sign)
    return convert(" ".join(latex.split()), display=display)
