"""Arguments that several ``mmgraph knn`` commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

GRAPH = ".pt, .npz, or a folder of join."
Graph = Annotated[Path, typer.Argument(metavar="GRAPH", help=GRAPH)]
K = Annotated[
    int, typer.Option("--k", min=1, max=2**31 - 1, help="Neighbours per item.")
]
Metric = Annotated[str, typer.Option("--metric", help="cosine|ip|l2")]
Backend = Annotated[str, typer.Option("--backend", help="auto|torch|faiss|faiss-gpu")]
