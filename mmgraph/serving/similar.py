"""Items that are like given ones, by a trained system or by an item graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mmgraph.bench.run_directory import INFO, load_run, run_inputs
from mmgraph.data import read_graph
from mmgraph.data.formats.id_list import read_id_list
from mmgraph.data.graphs.item_graphs import GraphFile
from mmgraph.errors import UserError, unknown_name
from mmgraph.functional.block_sizes import RANKED_SCORES
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.unit_rows import unit_rows
from mmgraph.serving.vectors import final_vectors

#: What a trained system's own vectors are called beside modalities.
TRAINED = "trained"


def similar_items(
    source: str | Path,
    items: str,
    *,
    k: int = 10,
    modality: str | None = None,
    data: str | None = None,
    device: str = "auto",
) -> pd.DataFrame:
    """The items that are most like some, by original ids.

    Args:
        source: A run directory: the cosine of the system's final item vectors; or a
            graph file: the neighbours that it holds, by their similarity.
        items: A file with one id per line, or ids with commas between.
        k: Items per item; a graph holds no more than it was built with.
        modality: That of a graph file; all without it.
        data: The data set of a run, if it has moved since.
        device: Device to compute on, as the trainer takes it.

    Returns:
        Columns ``item_id, by, similar_id, rank, similarity``; ``by`` is ``"trained"``
        or the modality. An item is never similar to itself, and one whose vector is of
        zeros, as nothing is known of it, to none.

    Raises:
        UserError: If an item or the modality is unknown, or as
            :func:`~mmgraph.bench.run_directory.load_run` and
            :func:`~mmgraph.data.read_graph` do.
    """
    if (Path(source) / INFO).exists():
        if modality is not None:
            what = f"a trained system has no modality {modality!r}"
            raise UserError(what, "leave --modality away, or give a graph file")
        return _by_vectors(source, items, k, data, device)
    if not Path(source).exists():
        raise UserError("no such run or graph", "check the path", path=source)
    return _by_graph(read_graph(source), items, k, modality)


def source_files(source: str | Path, data: str | None = None) -> list[Path]:
    """Files that :func:`similar_items` reads of its source.

    Args:
        source: A run directory, or a graph file.
        data: The data set of a run, if it has moved since.

    Example:
        >>> source_files("graph.pt")
        [PosixPath('graph.pt')]
    """
    source = Path(source)
    return run_inputs(source, data) if (source / INFO).exists() else [source]


def cosines(
    unit: torch.Tensor, blank: torch.Tensor, rows: torch.Tensor
) -> torch.Tensor:
    """Cosine of some rows with all.

    A row of zeros is like none, as in an item graph: nothing is known of it, and a
    cosine of 0 would put it before whatever has a negative one.

    Args:
        unit: Rows of length 1, or zeros.
        blank: Which of them are zeros.
        rows: Numbers of some.

    Shapes:
        - **unit:** :math:`(N, d)`
        - **blank:** :math:`(N,)`
        - **rows:** :math:`(n,)`
        - **output:** :math:`(n, N)`, minus infinity for a row and itself, and where
          either is of zeros

    Example:
        >>> unit = torch.tensor([[1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
        >>> cosines(unit, unit.eq(0).all(1), torch.tensor([0, 1]))
        tensor([[-inf, -inf, -1.],
                [-inf, -inf, -inf]])
    """
    cosine = unit[rows] @ unit.t()
    cosine.scatter_(1, rows.unsqueeze(1), float("-inf"))
    cosine.masked_fill_(blank | blank[rows].unsqueeze(1), float("-inf"))
    return cosine


def _by_vectors(
    folder: str | Path, items: str, k: int, data: str | None, device: str
) -> pd.DataFrame:
    vectors = final_vectors(load_run(folder, data=data, device=device))
    rows = read_id_list(items, vectors.item_ids, "item")
    unit, index = unit_rows(vectors.item), torch.from_numpy(rows)
    blank, k = ~unit.any(dim=1), min(k, len(unit) - 1)
    parts = []
    for part in index.split(RANKED_SCORES.rows(len(unit))):
        best, similar = cosines(unit, blank, part).topk(k)
        row, place = best.isfinite().nonzero().t()
        chosen = part[row], similar[row, place], best[row, place]
        parts.append(_table(vectors.item_ids, TRAINED, *chosen))
    return pd.concat(parts, ignore_index=True)


def _by_graph(
    file: GraphFile, items: str, k: int, modality: str | None
) -> pd.DataFrame:
    if modality is not None and modality not in file.graphs:
        raise unknown_name("modality", modality, file.graphs)
    ids = np.arange(file.num_items) if file.ids is None else np.asarray(file.ids)
    rows = torch.from_numpy(read_id_list(items, ids, "item"))
    parts = []
    for name, graph in file.graphs.items():
        if modality not in (None, name):
            continue
        neighbours = Adjacency.from_edge_index(
            graph.edge_index, graph.similarity, num_src=file.num_items
        ).rows(rows)
        own = rows[neighbours.row().long()]
        order = np.lexsort((-neighbours.weight.numpy(), neighbours.row().numpy()))
        chosen = torch.from_numpy(order)
        chosen = chosen[own[chosen] != neighbours.col[chosen].long()]
        table = _table(
            ids,
            name,
            own[chosen],
            neighbours.col[chosen].long(),
            neighbours.weight[chosen],
        )
        parts.append(table[table["rank"] <= k])
    return pd.concat(parts, ignore_index=True)


def _table(
    ids: np.ndarray,
    by: str,
    item: torch.Tensor,
    similar: torch.Tensor,
    similarity: torch.Tensor,
) -> pd.DataFrame:
    """Rows that are in order within each item, with their ranks."""
    table = pd.DataFrame(
        {
            "item_id": ids[item.numpy()],
            "by": by,
            "similar_id": ids[similar.numpy()],
            "similarity": similarity.numpy(),
        }
    )
    table.insert(3, "rank", table.groupby("item_id", sort=False).cumcount() + 1)
    return table
