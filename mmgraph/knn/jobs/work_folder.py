"""The folder of a long build: one file per finished block, and what they belong to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from mmgraph.errors import UserError
from mmgraph.files import unwritable, write_atomic, write_json
from mmgraph.knn.rows.matrix_statistics import MatrixStatistics

Manifest = dict[str, dict[str, Any]]

_STATISTICS = "survey.safetensors"  # the name that folders of every version have


class WorkFolder:
    """Blocks of neighbours on disk.

    A block's file is whole or absent: it is written under another name, forced to the
    disk and renamed. So whatever kills a build costs the blocks that were being made,
    no more. The manifest says which matrix, options, block size and versions the blocks
    belong to, and each block carries the manifest's SHA-256.

    Attributes:
        path: The folder.
        manifest: What its blocks belong to.

    Example:
        >>> import tempfile
        >>> manifest = {"blocks": {"rows": 2, "count": 3}}
        >>> work = WorkFolder.begin(tempfile.mkdtemp() + "/work", manifest)
        >>> none = torch.zeros(0)
        >>> work.write_block(1, none.long(), none.long(), none)
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
        try:
            self.manifest: Manifest = json.loads(file.read_text("utf-8"))
            self.num_blocks = int(self.manifest["blocks"]["count"])
        except FileNotFoundError:
            raise UserError(
                "no work folder: it has no manifest.json",
                "name the folder a build was given",
                path=self.path,
            ) from None
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(
                "cannot be read", "remove the folder and build anew", path=file
            ) from None
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
        return work

    def check(self, manifest: Manifest) -> None:
        """Refuse to go on with another matrix, other options or other versions.

        Raises:
            UserError: The first difference, by name.
        """
        mine, other = (_flat(m) for m in (self.manifest, manifest))
        for name in mine | other:
            if mine.get(name) != other.get(name):
                raise UserError(
                    f"made with {name} {mine.get(name)!r}, now it is "
                    f"{other.get(name)!r}",
                    "give the same features, options, ram, versions, or another folder",
                    path=self.path,
                )

    def write_statistics(self, statistics: MatrixStatistics, scale: float) -> None:
        """Keep what every block needs of the matrix, unless it is there.

        Args:
            statistics: Of the matrix.
            scale: Of the metric's products.
        """
        tensors = {"norm": statistics.norm, "centre": statistics.centre}
        tensors["scale"] = torch.tensor(scale, dtype=torch.float64)
        if not (self.path / _STATISTICS).exists():
            self._save(_STATISTICS, tensors, {"sha256": statistics.sha256})

    def read_statistics(self) -> tuple[MatrixStatistics, float]:
        """The statistics of the matrix the blocks are made of, and the scale."""
        tensors = self._load(_STATISTICS)
        statistics = MatrixStatistics(
            tensors["norm"],
            tensors["centre"],
            self.manifest["input"]["sha256"],
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
            UserError: The file is missing, broken or of another build.
        """
        tensors = self._load(_block_name(number))
        return tensors["centre"], tensors["neighbour"], tensors["similarity"]

    def missing(self) -> list[int]:
        """Numbers of the blocks that are not finished, ascending."""
        there = {child.name for child in self.path.iterdir()}
        numbers = range(self.num_blocks)
        return [number for number in numbers if _block_name(number) not in there]

    def _save(
        self, name: str, tensors: dict[str, Tensor], notes: dict[str, str]
    ) -> None:
        whole = {key: value.cpu().contiguous() for key, value in tensors.items()}
        content = save(whole, {"manifest": self._identity} | notes)
        try:
            write_atomic(self.path / name, content)
        except OSError as error:
            raise unwritable(self.path / name, error) from None

    def _load(self, name: str) -> dict[str, Tensor]:
        path = self.path / name
        try:
            with safe_open(path, "pt") as file:
                identity = (file.metadata() or {}).get("manifest")
            tensors = load_file(path)
        except Exception as error:  # safetensors has an exception type of its own
            raise UserError(
                f"cannot be read ({type(error).__name__})",
                "remove it and build again: only this block is made anew",
                path=path,
            ) from None
        if identity != self._identity:
            raise UserError(
                "belongs to another build", "remove it and build again", path=path
            )
        return tensors


def _block_name(number: int) -> str:
    return f"block-{number:06d}.safetensors"


def _flat(manifest: Manifest) -> dict[str, Any]:
    return {
        f"{group}.{name}": value
        for group, values in manifest.items()
        for name, value in values.items()
    }
