"""A folder or a name in, three split objects out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from torch_geometric.data import HeteroData

from mmgraph.data.catalogue import read_catalogue
from mmgraph.data.formats.layout import (
    feature_files,
    interactions_file,
    is_mmrec,
    log_files,
)
from mmgraph.data.label_split import Split
from mmgraph.data.planted import plant_catalogue
from mmgraph.data.splits import BY_TIME, SPLITS, split_dataset, split_per_user
from mmgraph.errors import UserError
from mmgraph.folders import check_contents
from mmgraph.schema import ITEM, feature_key, mask_key
from mmgraph.schema import modalities as modalities_of

SYNTHETIC = "synthetic"


def load_dataset(
    path_or_name: str | Path,
    *,
    split: str = "label",
    seed: int = 0,
    modalities: Iterable[str] | None = None,
    duplicates: str = "error",
    features: bool = True,
) -> Split:
    """Load a data set and split it.

    Two layouts of a folder are read:

    * MMRec: ``<name>.inter`` (tabs; ``userID``, ``itemID``, ``x_label``; ids 0, 1, ...
      without gaps) and ``<m>_feat.npy``, row = itemID, where ``image``, ``text`` and
      ``audio`` become ``visual``, ``textual`` and ``acoustic``;
    * general: ``interactions.{parquet,csv,tsv}`` (:func:`read_interactions`) and
      ``<modality>.{npy,npz,safetensors,parquet}`` (:func:`read_features`); any names,
      any ids. Without ids in a feature file, row = item id.

    Args:
        path_or_name: The folder, or ``"synthetic"`` for the embedded planted catalogue
            (always the same one; a folder of that name is ``"./synthetic"``).
        split: ``"label"`` (the split column of the file), ``"per_user"``,
            ``"temporal"``, ``"leave_one_out"``, ``"cold_items"`` or ``"none"``.
        seed: Seed of the random splits.
        modalities: Names to keep, in this order; all by default, the usual ones first.
        duplicates: ``"error"``, ``"first"`` or ``"last"``, see
            :func:`read_interactions`.
        features: False for systems that read none: the items are the same, also those
            that only a feature file names, and features are neither read nor checked.

    Returns:
        ``(train, val, test)``, checked by :func:`check_split`.

    Raises:
        UserError: If the files or the choice are wrong, naming file and row.

    Example:
        >>> train, val, test = load_dataset("synthetic", modalities=["textual"])
        >>> train["item"].num_nodes, train["item"].x_textual.shape
        (600, torch.Size([600, 48]))
    """
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r}", f"choose among {', '.join(SPLITS)}")
    chosen = None if modalities is None else list(modalities)
    if str(path_or_name) == SYNTHETIC:
        data, _ = plant_catalogue()
        _select(data, chosen if features else [])
        if split == "label":  # the one of the embedded data set, whatever the seed
            return split_per_user(data)
        return split_dataset(data, split, seed=seed)
    folder = Path(path_or_name)
    check_contents(folder)
    if not os.path.isdir(folder):  # Path.is_dir raises where it may not look
        raise UserError(
            "no such folder", f"give a data folder or {SYNTHETIC!r}", path=folder
        )
    table = interactions_file(folder)
    files = feature_files(folder, mmrec=is_mmrec(folder))
    if chosen is not None:
        _check_chosen(chosen, list(files), folder)
        files = {name: files[name] for name in chosen}
    data = read_catalogue(
        table,
        files,
        duplicates=duplicates,
        labels=split == "label",
        times=split in BY_TIME,
        items_only=not features,
    )
    splits = split_dataset(data, split, seed=seed, path=table)
    log_files(folder, [table, *(files.values() if features else ())])
    return splits


def _check_chosen(chosen: list[str], known: list[str], path: Path | None) -> None:
    for name in chosen:
        if name not in known:
            raise UserError(
                f"no modality {name!r}",
                f"choose among {', '.join(known) or 'none'}",
                path=path,
            )


def _select(data: HeteroData, chosen: list[str] | None) -> None:
    """Keep the chosen modalities of a catalogue, in their order."""
    if chosen is None:
        return
    _check_chosen(chosen, modalities_of(data), None)
    store = data[ITEM]
    kept = [
        (key, store[key])
        for name in chosen
        for key in (feature_key(name), mask_key(name))
        if key in store
    ]
    for name in modalities_of(data):
        for key in (feature_key(name), mask_key(name)):
            if key in store:
                del store[key]
    for key, value in kept:
        store[key] = value
