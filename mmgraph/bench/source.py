"""Where the data of a run come from, so that the run can find them again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmgraph.bench.experiment import Splits
from mmgraph.data import fingerprint, load_dataset


@dataclass(frozen=True)
class DataSource:
    """A data set as a user names it.

    Args:
        data: A folder, or ``"synthetic"``.
        split: How interactions are split, as ``load_dataset`` takes it.
        seed: Seed of the split; the same for every seed of training.

    Example:
        >>> DataSource("data/tiktok/").name
        'tiktok'
    """

    data: str
    split: str = "label"
    seed: int = 0

    @property
    def name(self) -> str:
        """The folder's own name, or ``"synthetic"``."""
        return self.data if self.is_embedded else Path(self.data).resolve().name

    @property
    def is_embedded(self) -> bool:
        """Whether the data are generated and not read."""
        return self.data == "synthetic"

    @property
    def location(self) -> str:
        """The absolute folder, or ``"synthetic"``."""
        return self.data if self.is_embedded else str(Path(self.data).resolve())

    def load(self) -> tuple[Splits, str]:
        """The three splits and their SHA-256.

        Raises:
            UserError: If the data cannot be read.
        """
        splits = load_dataset(self.data, split=self.split, seed=self.seed)
        return splits, fingerprint(*splits)
