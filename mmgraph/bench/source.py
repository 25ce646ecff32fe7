"""The data set of a run, named so that the run can find it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmgraph.bench.experiment import Splits
from mmgraph.data import fingerprint, load_dataset
from mmgraph.models.registry import reads_features

#: Enough to separate systems on the embedded catalogue, in minutes on two cores. Graph
#: models rest on a plateau at first; the rank is the one that was planted.
_SYNTHETIC = {"epochs": 30, "patience": 8, "min_epochs": 15, "lr": 1e-2, "rank": 4}


@dataclass(frozen=True)
class DataSource:
    """A data set as a user names it.

    Args:
        data: A folder, or ``"synthetic"``.
        split: Rule of the split, as ``load_dataset`` takes it.
        seed: Seed of the split; the same for every seed of training.
        features: False leaves the features of a folder unread, for systems without.

    Example:
        >>> DataSource("data/tiktok/").name
        'tiktok'
    """

    data: str
    split: str = "label"
    seed: int = 0
    features: bool = True

    @property
    def name(self) -> str:
        """The folder's own name, or ``"synthetic"``."""
        return self.data if self.is_embedded else Path(self.data).resolve().name

    @property
    def is_embedded(self) -> bool:
        """True if the data are generated and not read."""
        return self.data == "synthetic"

    @property
    def location(self) -> str:
        """The absolute folder, or ``"synthetic"``."""
        return self.data if self.is_embedded else str(Path(self.data).resolve())

    @property
    def default_settings(self) -> dict[str, Any]:
        """Settings that suit the data where the user and a recipe give none."""
        return dict(_SYNTHETIC) if self.is_embedded else {}

    def load(self) -> tuple[Splits, str]:
        """The three splits and their SHA-256.

        Raises:
            UserError: If the data cannot be read.
        """
        splits = load_dataset(
            self.data,
            split=self.split,
            seed=self.seed,
            features=self.features or self.is_embedded,
        )
        return splits, fingerprint(*splits)

    def load_for(
        self,
        models: Iterable[str],
        recorded: Callable[[str], bool],
        load: Callable[[DataSource], tuple[Splits, str]] | None = None,
    ) -> tuple[DataSource, tuple[Splits, str]]:
        """Load what some systems read: no features where none of them has use for any.

        The SHA-256 is of what was loaded. Versions before 0.4 loaded features for every
        system, so that earlier results of the same data may name the other SHA-256.

        Args:
            models: Names of the systems.
            recorded: True of a SHA-256 that is that of earlier results, or if there are
                none.
            load: Reads a source, :meth:`load` by default.

        Returns:
            The source as it was read, and what :meth:`load` gives.

        Raises:
            UserError: If a system is unknown, or the data cannot be read.

        Example:
            >>> source = DataSource("synthetic")
            >>> source.load_for(["MF-BPR"], lambda sha256: True)[0].features
            False
        """
        load = load or DataSource.load
        bare = replace(self, features=False)
        if not any(reads_features(name) for name in models):
            loaded = load(bare)
            if recorded(loaded[1]):
                return bare, loaded
        return self, load(self)
