"""Features of one modality item by item, in memory or left on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

import numpy as np
from torch_geometric.data import HeteroData

from mmgraph.functional.block_sizes import FEATURE_ROWS, WORKING_COPY
from mmgraph.schema import ITEM, feature_key, mask_key, modalities


@dataclass(frozen=True)
class FeatureRows:
    """One modality over the items of a catalogue, read a block at a time.

    Attributes:
        values: Numbers ``[R, D]``, in memory or, in C order, memory-mapped.
        row: Row of each item ``[N]``, -1 where it has none; None: row = item.

    Example:
        >>> rows = FeatureRows(np.eye(2, dtype=np.float32), np.array([1, -1, 0]))
        >>> rows.num_items, rows.dim, rows.missing.tolist()
        (3, 2, [False, True, False])
        >>> rows.read(0, 2)
        array([[0., 1.],
               [0., 0.]], dtype=float32)
    """

    values: np.ndarray
    row: np.ndarray | None = None

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.values if self.row is None else self.row)

    @property
    def dim(self) -> int:
        """D."""
        return int(self.values.shape[1])

    @property
    def missing(self) -> np.ndarray:
        """Boolean ``[N]``: the items without a row."""
        if self.row is None:
            return np.zeros(self.num_items, bool)
        return np.asarray(self.row < 0)

    @property
    def matrix(self) -> np.ndarray:
        """float32 ``[N, D]``, zeros where an item has no row; no copy if row = item."""
        return self.values if self.row is None else self.read(0, self.num_items)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Copy of the items ``start`` to ``stop - 1``; zeros where one has no row.

        Args:
            start: First item.
            stop: One past the last, at most N.
        """
        if self.row is not None:
            row = self.row[start:stop]
            # -1 reads the last row, which is then replaced.
            block: np.ndarray = self.values[row]
            block[row < 0] = 0
            return block
        source = self.values
        # A slice of a map does not know its offset in the file: only whole maps.
        if isinstance(source, np.memmap) and isinstance(source.base, mmap):
            # Mapped anew for each block: pages once read would stay in memory.
            return np.array(
                np.memmap(
                    source.filename,
                    dtype=source.dtype,
                    mode="r",
                    offset=source.offset + start * self.dim * source.itemsize,
                    shape=(stop - start, self.dim),
                )
            )
        return np.array(source[start:stop])

    def to_float32(self) -> np.ndarray:
        """A copy of all items in float32; no more than a block is there twice.

        What overflows becomes infinity.
        """
        matrix = np.empty((self.num_items, self.dim), np.float32)
        with np.errstate(over="ignore"):
            for start, block in self.blocks(WORKING_COPY.rows(self.dim)):
                matrix[start : start + len(block)] = block
        return matrix

    def blocks(self, size: int = FEATURE_ROWS) -> Iterator[tuple[int, np.ndarray]]:
        """First item and rows of every block, in order.

        Args:
            size: Items per block.
        """
        for start in range(0, self.num_items, size):
            yield start, self.read(start, min(start + size, self.num_items))

    def take(self, items: np.ndarray) -> np.ndarray:
        """Rows of some items, in ascending order, a block at a time.

        Args:
            items: Ascending positions.
        """
        parts = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, self.num_items, FEATURE_ROWS):
            stop = min(start + FEATURE_ROWS, self.num_items)
            inside = items[slice(*np.searchsorted(items, [start, stop]))]
            if len(inside):
                parts.append(self.read(start, stop)[inside - start])
        return np.concatenate(parts)


def catalogue_features(data: HeteroData) -> dict[str, FeatureRows]:
    """The modalities of a catalogue in memory; False in a mask is a missing row.

    Args:
        data: A catalogue.

    Example:
        >>> import torch
        >>> data = HeteroData()
        >>> data["item"].x_visual = torch.zeros(3, 2)
        >>> data["item"].mask_visual = torch.tensor([True, False, True])
        >>> catalogue_features(data)["visual"].missing.tolist()
        [False, True, False]
    """
    features = {}
    for name in modalities(data):
        values = data[ITEM][feature_key(name)].cpu().numpy()
        mask, row = data[ITEM].get(mask_key(name)), None
        if mask is not None:
            row = np.where(mask.cpu().numpy(), np.arange(len(values)), -1)
        features[name] = FeatureRows(values, row)
    return features
