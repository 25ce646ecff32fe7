"""The features of a folder, item by item, without reading them into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

import numpy as np
from torch_geometric.data import HeteroData

from mmgraph.data.formats.features import check_finite, read_features
from mmgraph.data.formats.layout import feature_files
from mmgraph.data.ids import check_distinct, match_ids
from mmgraph.errors import UserError
from mmgraph.schema import ITEM, feature_key, mask_key, modalities

BLOCK_ROWS = 8192


@dataclass(frozen=True)
class FeatureRows:
    """One modality over the items of a catalogue, read a block at a time.

    Attributes:
        values: float32 ``[R, D]``, in memory or memory-mapped.
        place: Row of each item ``[N]``, -1 where it has none; None: row = item.

    Example:
        >>> rows = FeatureRows(np.eye(2, dtype=np.float32), np.array([1, -1, 0]))
        >>> rows.num_items, rows.dim, rows.missing.tolist()
        (3, 2, [False, True, False])
        >>> rows.read(0, 2)
        array([[0., 1.],
               [0., 0.]], dtype=float32)
    """

    values: np.ndarray
    place: np.ndarray | None = None

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.values if self.place is None else self.place)

    @property
    def dim(self) -> int:
        """D."""
        return int(self.values.shape[1])

    @property
    def missing(self) -> np.ndarray:
        """Boolean ``[N]``: the items without a row."""
        if self.place is None:
            return np.zeros(self.num_items, bool)
        return np.asarray(self.place < 0)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Copy of the items ``start`` to ``stop - 1``; zeros where one has no row.

        Args:
            start: First item.
            stop: One past the last, at most N.
        """
        if self.place is not None:
            place = self.place[start:stop]
            # -1 reads the last row, which is then replaced.
            return np.where((place >= 0)[:, None], self.values[place], np.float32(0))
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

    def blocks(self, size: int = BLOCK_ROWS) -> Iterator[tuple[int, np.ndarray]]:
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
        for start in range(0, self.num_items, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, self.num_items)
            inside = items[slice(*np.searchsorted(items, [start, stop]))]
            if len(inside):
                parts.append(self.read(start, stop)[inside - start])
        return np.concatenate(parts)


def open_features(folder: str | Path) -> dict[str, FeatureRows]:
    """Open every feature file of a data folder and line their items up.

    Interactions are not read. The items are those that any file names by id; a file
    without ids has one row per item, in the order 0, 1, ... A float32 ``.npy`` in row
    order stays on disk, everything else is read into memory.

    Args:
        folder: The data folder, see :func:`mmgraph.data.load_dataset`.

    Returns:
        Rows of each modality over the same items, in the usual order.

    Raises:
        UserError: If the folder has no feature file, a file is damaged or holds NaN, or
            rows and ids do not fit together.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> np.savez(folder / "visual.npz", features=np.eye(2), ids=["tea", "rum"])
        >>> np.savez(folder / "sound.npz", features=np.eye(2), ids=["rum", "ale"])
        >>> for name, rows in open_features(folder).items():
        ...     print(name, rows.num_items, rows.missing.tolist())  # ale, rum, tea
        visual 3 [True, False, False]
        sound 3 [False, False, True]
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError("no such folder", "give a data folder", path=folder)
    general = any(folder.glob("interactions.*"))
    mmrec = not general and any(folder.glob("*.inter"))
    files = feature_files(folder, mmrec=mmrec)
    if not files:
        raise UserError(
            "no feature file",
            "add <modality>_feat.npy, or <modality>.npy, .npz, .safetensors, .parquet",
            path=folder,
        )
    tables = {name: _open(path) for name, path in files.items()}
    items = _items(tables, files)
    return {
        name: FeatureRows(values, _place(ids, items, files[name]))
        for name, (values, ids) in tables.items()
    }


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
    found = {}
    for name in modalities(data):
        values = data[ITEM][feature_key(name)].cpu().numpy()
        mask, place = data[ITEM].get(mask_key(name)), None
        if mask is not None:
            place = np.where(mask.cpu().numpy(), np.arange(len(values)), -1)
        found[name] = FeatureRows(values, place)
    return found


def _open(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    values, ids = read_features(path, mmap=True)
    if not values.flags.c_contiguous:  # rows would be scattered all over the file
        values = np.ascontiguousarray(values)
    for start, block in FeatureRows(values).blocks():
        check_finite(block, path, first_row=start)
    if ids is not None:
        check_distinct(ids, path)
    return values, ids


def _items(
    tables: dict[str, tuple[np.ndarray, np.ndarray | None]], files: dict[str, Path]
) -> np.ndarray | None:
    """All ids, sorted; None where items are row numbers in every file."""
    rows = {name: len(values) for name, (values, ids) in tables.items() if ids is None}
    known = [ids for _, ids in tables.values() if ids is not None]
    for name, count in rows.items():
        first, expected = next(iter(rows.items()))
        if count != expected:
            raise UserError(
                f"{count} rows, but {files[first].name} has {expected}",
                "give one row per item in both, or give every file ids",
                path=files[name],
            )
    if not known:
        return None
    if rows:  # ids of the other files have to be row numbers of this one
        return np.arange(next(iter(rows.values())))
    if len({ids.dtype.kind for ids in known}) > 1:
        known = [ids.astype(str) for ids in known]
    return np.unique(np.concatenate(known))


def _place(
    ids: np.ndarray | None, items: np.ndarray | None, path: Path
) -> np.ndarray | None:
    if ids is None or items is None:
        return None
    unknown = np.flatnonzero(match_ids(items, ids) < 0)
    if unknown.size:
        raise UserError(
            f"item id {ids[unknown[0]].item()!r} is no row number of the files without "
            "ids",
            "give every file ids",
            path=path,
        )
    return match_ids(ids, items)
