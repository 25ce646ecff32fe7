"""Vectors as files that other programs read, and the rankings they give there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from mmgraph.checksum import CHECKSUM, PLACEHOLDER, add_checksum
from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import RANKED_SCORES
from mmgraph.knn.search.backends import import_faiss
from mmgraph.serving.vectors import Vectors

_PARQUET, _NPY = "{}_vectors.parquet", "{}_vectors.npy"
_SAFETENSORS, _FLAT, _HNSW = "vectors.safetensors", "items.faiss", "items_hnsw.faiss"
#: Links per item of the HNSW graph, and candidates held while it is built and searched:
#: FAISS's own examples; the export says what they find.
LINKS, CANDIDATES = 32, 200


class VectorFormat(NamedTuple):
    """A way to write vectors, and to rank by what was written.

    Attributes:
        write: Fills a folder.
        rank: The items ``[n, k]`` that a folder's vectors put first for users
            ``[n, d]``.
        approximate: True if these need not be the best.
        is_index: True if it can rank by inner products alone.
    """

    write: Callable[[Path, Vectors], None]
    rank: Callable[[Path, Tensor, int], Tensor]
    approximate: bool = False
    is_index: bool = False


def best_items(user: Tensor, item: Tensor, k: int) -> Tensor:
    """The items with the largest inner products.

    Args:
        user: Vectors ``[n, d]``.
        item: Vectors ``[I, d]``.
        k: Items per user.

    Returns:
        int64 ``[n, k]``, best first.

    Example:
        >>> best_items(torch.ones(1, 1), torch.tensor([[1.0], [3.0], [2.0]]), k=2)
        tensor([[1, 2]])
    """
    rows = RANKED_SCORES.rows(len(item), user.device)
    return torch.cat([(part @ item.t()).topk(k).indices for part in user.split(rows)])


def write_ids(folder: Path, vectors: Vectors) -> None:
    """Write ``user_ids.csv`` and ``item_ids.csv``: the id of each row, in order."""
    for kind, ids in (("user", vectors.user_ids), ("item", vectors.item_ids)):
        table = pd.DataFrame({f"{kind}_id": ids})
        table.to_csv(folder / f"{kind}_ids.csv", index=False)


def _write_parquet(folder: Path, vectors: Vectors) -> None:
    for kind, ids, matrix in (
        ("user", vectors.user_ids, vectors.user),
        ("item", vectors.item_ids, vectors.item),
    ):
        values = pa.array(matrix.numpy().reshape(-1))
        lists = pa.FixedSizeListArray.from_arrays(values, matrix.size(1))
        table = pa.table({f"{kind}_id": pa.array(ids), "vector": lists})
        pq.write_table(table, folder / _PARQUET.format(kind))


def _rank_parquet(folder: Path, user: Tensor, k: int) -> Tensor:
    column = pq.read_table(folder / _PARQUET.format("item"))["vector"]
    values = column.combine_chunks().flatten().to_numpy()
    item = torch.from_numpy(values.reshape(len(column), -1).copy())
    return best_items(user, item, k)


def _write_npy(folder: Path, vectors: Vectors) -> None:
    np.save(folder / _NPY.format("user"), vectors.user.numpy())
    np.save(folder / _NPY.format("item"), vectors.item.numpy())


def _rank_npy(folder: Path, user: Tensor, k: int) -> Tensor:
    return best_items(user, torch.from_numpy(np.load(folder / _NPY.format("item"))), k)


def _write_safetensors(folder: Path, vectors: Vectors) -> None:
    tensors = {"user_vectors": vectors.user, "item_vectors": vectors.item}
    content = add_checksum(save(tensors, metadata={CHECKSUM: PLACEHOLDER}))
    (folder / _SAFETENSORS).write_bytes(content)


def _rank_safetensors(folder: Path, user: Tensor, k: int) -> Tensor:
    return best_items(user, load_file(folder / _SAFETENSORS)["item_vectors"], k)


def _write_flat(folder: Path, vectors: Vectors) -> None:
    index = _faiss().IndexFlatIP(vectors.item.size(1))
    index.add(vectors.item.numpy())
    _write_index(folder / _FLAT, index)


def hnsw_index(item: Tensor) -> Any:
    """An HNSW index of FAISS over the inner products with some items.

    Args:
        item: Vectors ``[I, d]`` float32, on the CPU.

    Raises:
        UserError: If FAISS is not installed.
    """
    faiss = _faiss()
    index = faiss.IndexHNSWFlat(item.size(1), LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = index.hnsw.efSearch = CANDIDATES
    index.add(item.numpy())
    return index


def _write_hnsw(folder: Path, vectors: Vectors) -> None:
    _write_index(folder / _HNSW, hnsw_index(vectors.item))


def _write_index(path: Path, index: Any) -> None:
    path.write_bytes(_faiss().serialize_index(index).tobytes())


def _rank_index(name: str) -> Callable[[Path, Tensor, int], Tensor]:
    def rank(folder: Path, user: Tensor, k: int) -> Tensor:
        content = np.fromfile(folder / name, dtype=np.uint8)
        index = _faiss().deserialize_index(content)
        return torch.from_numpy(index.search(user.numpy(), k)[1])

    return rank


def _faiss() -> Any:
    faiss = import_faiss()
    if faiss is None:
        raise UserError(
            "an index needs FAISS, which is not installed",
            "pip install 'mmgraph[cpu]', or choose other --formats",
        )
    return faiss


#: Every format by name.
VECTOR_FORMATS = {
    "parquet": VectorFormat(_write_parquet, _rank_parquet),
    "npy": VectorFormat(_write_npy, _rank_npy),
    "safetensors": VectorFormat(_write_safetensors, _rank_safetensors),
    "faiss": VectorFormat(_write_flat, _rank_index(_FLAT), is_index=True),
    "hnsw": VectorFormat(
        _write_hnsw, _rank_index(_HNSW), approximate=True, is_index=True
    ),
}
