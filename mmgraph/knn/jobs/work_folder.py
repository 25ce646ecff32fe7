"""The folder of a long build: one file per finished block, and what they belong to."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from mmgraph.checksum import CHECKSUM, PLACEHOLDER, add_checksum, file_has_checksum
from mmgraph.errors import UserError
from mmgraph.files import (
    clear_temporary,
    read_json,
    unwritable,
    write_atomic,
    write_json,
)
from mmgraph.knn.jobs.manifest import Manifest, check_manifest, flat
from mmgraph.knn.rows.matrix_statistics import MatrixStatistics

_log = logging.getLogger(__name__)

_STATISTICS = "survey.safetensors"  # the name that folders of every version have
_AGAIN = "run mmgraph knn blocks again, which makes it anew"


class WorkFolder:
    """Blocks of neighbours on disk.

    A block's file is whole or absent: it is written under another name, forced to the
    disk and renamed. So whatever kills a build costs the blocks that were being made,
    no more. The manifest says which matrix, options, block size and versions the blocks
    belong to, and each block carries the manifest's SHA-256. Every file carries that of
    its own content, which is checked before use; folders of versions before 0.3 have
    none.

    Attributes:
        path: The folder.
        manifest: What its blocks belong to.

    Example:
        >>> import tempfile
        >>> manifest = {
        ...     "input": {"rows": 6, "columns": 4, "dtype": "float32", "sha256": "ab"},
        ...     "options": {"k": 1, "metric": "cosine", "include_self": False},
        ...     "blocks": {"rows": 2, "count": 3},
        ... }
        >>> work = WorkFolder.begin(tempfile.mkdtemp() + "/work", manifest)
        >>> none = torch.zeros(0, 1)
        >>> work.write_block(1, none[:, 0].long(), none.long(), none)
        >>> work.missing()
        [0, 2]
    """

    def __init__(self, path: str | Path) -> None:
        """Open a folder that :meth:`begin` has made.

        Args:
            path: The folder.

        Raises:
            UserError: It has no readable manifest.
        """
        self.path = Path(path)
        file = self.path / "manifest.json"
        if not file.is_file():
            raise UserError(
                "no work folder: it has no manifest.json",
                "name the folder a build was given",
                path=self.path,
            )
        again = "remove the folder and build anew"
        self.manifest: Manifest = read_json(file, fix=again)
        check_manifest(self.manifest, file, again)
        self.num_blocks: int = self.manifest["blocks"]["count"]
        # The text as parsed and dumped again: spaces in the file do not count.
        text = json.dumps(self.manifest, sort_keys=True)
        self._identity = hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def begin(cls, path: str | Path, manifest: Manifest) -> WorkFolder:
        """Make the folder, or go on in one that has the same manifest.

        Args:
            path: The folder.
            manifest: What the blocks belong to; ``blocks.count`` is their number.

        Raises:
            UserError: The folder belongs to another build, holds other files, or
                cannot be made.
        """
        path = Path(path)
        file = path / "manifest.json"
        if not file.exists():
            try:
                path.mkdir(parents=True, exist_ok=True)
                names = {child.name for child in path.iterdir()} - {file.name}
                if any(not name.startswith(".") for name in names):
                    raise UserError(
                        "holds other files", "name a new or an empty folder", path=path
                    )
                write_json(file, manifest)
            except OSError as error:
                raise unwritable(path, error) from None
        work = cls(path)
        work.check(manifest)
        clear_temporary(path)
        return work

    def check(self, manifest: Manifest) -> None:
        """Refuse to go on with another matrix, other options or other versions.

        Raises:
            UserError: The first difference, by name.
        """
        mine, other = (flat(m) for m in (self.manifest, manifest))
        for name in mine | other:
            if mine.get(name) != other.get(name):
                raise UserError(
                    f"made with {name} {mine.get(name)!r}, now it is "
                    f"{other.get(name)!r}",
                    "give the same features, options, ram, versions, or another folder",
                    path=self.path,
                )

    def write_statistics(self, statistics: MatrixStatistics, scale: float) -> None:
        """Keep what every block needs of the matrix, unless it is there and whole.

        Args:
            statistics: Of the matrix.
            scale: Of the metric's products.
        """
        if (self.path / _STATISTICS).exists():
            try:
                self.read_statistics()
                return
            except UserError as error:
                _log.warning("%s: %s; it is made anew", error.path, error.what)
        tensors = {"norm": statistics.norm, "centre": statistics.centre}
        tensors["scale"] = torch.tensor(scale, dtype=torch.float64)
        self._save(_STATISTICS, tensors, {"sha256": statistics.sha256})

    def read_statistics(self) -> tuple[MatrixStatistics, float]:
        """The statistics of the matrix the blocks are made of, and the scale.

        Raises:
            UserError: The file is missing, damaged or of another build.
        """
        tensors, source = self._load(_STATISTICS), self.manifest["input"]
        shapes = {"norm": [source["rows"]], "centre": [source["columns"]], "scale": []}
        forms = {name: (torch.float64, shape) for name, shape in shapes.items()}
        _check(_forms(tensors) == forms, self.path / _STATISTICS)
        statistics = MatrixStatistics(
            tensors["norm"],
            tensors["centre"],
            source["sha256"],
            **self.manifest["isolated"],
        )
        return statistics, float(tensors["scale"])

    def write_block(
        self, number: int, centre: Tensor, neighbour: Tensor, similarity: Tensor
    ) -> None:
        """Write one finished block.

        Args:
            number: Number of the block.
            centre: Ids of its rows that have neighbours.
            neighbour: Ids of their neighbours.
            similarity: Their similarities.

        Raises:
            UserError: The file cannot be written.

        Shapes:
            centre: ``[B]``; neighbour, similarity: ``[B, k']``.
        """
        tensors = {"centre": centre, "neighbour": neighbour, "similarity": similarity}
        self._save(_block_name(number), tensors, {})

    def read_block(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Centre, neighbour and similarity of a finished block.

        Raises:
            UserError: The file is missing, damaged or of another build.
        """
        tensors = self._load(_block_name(number))
        self._check_block(number, tensors)
        return tensors["centre"], tensors["neighbour"], tensors["similarity"]

    def missing(self) -> list[int]:
        """Numbers of the blocks that are not finished, ascending."""
        there = {child.name for child in self.path.iterdir()}
        numbers = range(self.num_blocks)
        return [number for number in numbers if _block_name(number) not in there]

    def damaged(self, numbers: Iterable[int]) -> list[int]:
        """Those of some finished blocks that cannot be used, each told of in the log.

        A block is a function of the matrix and the manifest: made anew, it is the same.
        """
        damaged = []
        for number in numbers:
            try:
                self.read_block(number)
            except UserError as error:
                _log.warning("%s: %s; it is made anew", error.path, error.what)
                damaged.append(number)
        return damaged

    def _check_block(self, number: int, tensors: dict[str, Tensor]) -> None:
        """Refuse a block whose values cannot be; the first versions had no checksum."""
        path, num_rows = self.path / _block_name(number), self.manifest["input"]["rows"]
        similarity = tensors.get("similarity", torch.zeros(0))
        size = list(similarity.shape)
        forms = {
            "centre": (torch.int64, size[:1]),
            "neighbour": (torch.int64, size),
            "similarity": (torch.float32, size),
        }
        _check(_forms(tensors) == forms and len(size) == 2, path)
        centre, neighbour = tensors["centre"], tensors["neighbour"]
        start = number * self.manifest["blocks"]["rows"]
        stop = min(start + self.manifest["blocks"]["rows"], num_rows)
        _check(size[1] <= self.manifest["options"]["k"], path)
        _check(_within(centre, start, stop) and bool((centre.diff() > 0).all()), path)
        _check(_within(neighbour, 0, num_rows), path)
        _check(bool(similarity.isfinite().all()), path)

    def _save(
        self, name: str, tensors: dict[str, Tensor], notes: dict[str, str]
    ) -> None:
        whole = {key: value.cpu().contiguous() for key, value in tensors.items()}
        marks = {"manifest": self._identity, CHECKSUM: PLACEHOLDER}
        content = add_checksum(save(whole, marks | notes))
        write_atomic(self.path / name, content)

    def _load(self, name: str) -> dict[str, Tensor]:
        path = self.path / name
        try:
            file_has_checksum(path, fix=_AGAIN)
            with safe_open(path, "pt") as file:
                identity = (file.metadata() or {}).get("manifest")
            tensors = load_file(path)
        except UserError:
            raise
        except Exception as error:  # safetensors has an exception type of its own
            what = f"cannot be read ({type(error).__name__})"
            raise UserError(what, _AGAIN, path=path) from None
        if identity != self._identity:
            raise UserError("belongs to another build", _AGAIN, path=path)
        return tensors


def _block_name(number: int) -> str:
    return f"block-{number:06d}.safetensors"


def _forms(tensors: dict[str, Tensor]) -> dict[str, tuple[torch.dtype, list[int]]]:
    return {name: (each.dtype, list(each.shape)) for name, each in tensors.items()}


def _within(ids: Tensor, start: int, stop: int) -> bool:
    return not ids.numel() or start <= int(ids.min()) <= int(ids.max()) < stop


def _check(holds: bool, path: Path) -> None:
    if not holds:
        what = "damaged: holds values that cannot be of this build"
        raise UserError(what, _AGAIN, path=path)
