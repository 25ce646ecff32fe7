"""The ``mmgraph`` command line. Nothing here imports torch before a command runs."""

from __future__ import annotations

from mmgraph.cli.entry_point import main

__all__ = ["main"]
