"""A split catalogue as a folder in the general layout."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from torch_geometric.data import HeteroData

from mmgraph.data.formats.layout import TABLE, check_modality_names
from mmgraph.data.label_split import SPLIT_NAMES
from mmgraph.errors import UserError
from mmgraph.folders import check_new_folder, list_contents, new_folder
from mmgraph.schema import INTERACTS, ITEM, USER, feature_key, mask_key, modalities

_TABLE = f"{TABLE}.parquet"


def check_dataset_folder(
    out: Path, *, force: bool = False, inputs: Iterable[Path] = ()
) -> None:
    """Refuse a folder that :func:`write_dataset` could not make, before any work.

    Args:
        out: The folder to make.
        force: A data set that was made there may be replaced.
        inputs: Files and folders that the command reads.

    Raises:
        UserError: As :func:`~mmgraph.folders.check_new_folder`.

    Example:
        >>> check_dataset_folder(Path("shop"))
    """
    fix = "choose another folder or --force"
    check_new_folder(out, replace=_TABLE if force else None, inputs=inputs, fix=fix)


def write_dataset(
    train: HeteroData,
    val: HeteroData,
    test: HeteroData,
    out: str | Path,
    *,
    force: bool = False,
) -> None:
    """Write ``interactions.parquet`` and ``<modality>.npz``, whole or not at all.

    The folder is made under a temporary name and renamed when complete. It holds
    ``mmgraph.json``, too, by which damage is seen and only what we wrote is replaced.
    Original ids are kept; rows of a modality that are missing (False in the mask) are
    left out, which is how they come back. A user without interactions, and an item with
    neither an interaction nor features, is in none of these files.

    Args:
        train: The training object.
        val: The validation object.
        test: The test object.
        out: The folder to make.
        force: Replace a folder that this function made and nobody changed.

    Raises:
        UserError: If the folder exists and ``force`` is not given, or it is not to be
            replaced; if it cannot be made; if a modality's name or an empty id would
            not come back.

    Example:
        >>> import tempfile
        >>> from mmgraph.data import fingerprint, load_dataset
        >>> splits = load_dataset("synthetic")
        >>> out = Path(tempfile.mkdtemp()) / "shop"
        >>> write_dataset(*splits, out)
        >>> fingerprint(*load_dataset(out)) == fingerprint(*splits)
        True
    """
    out = Path(out)
    check_modality_names(modalities(train))
    _check_ids(train)
    check_dataset_folder(out, force=force)
    with new_folder(out, replace=_TABLE if force else None) as folder:
        _write_interactions((train, val, test), folder / _TABLE)
        for name in modalities(train):
            _write_features(train, name, folder / f"{name}.npz")
        list_contents(folder)


def _check_ids(data: HeteroData) -> None:
    for kind, called in ((USER, "a user"), (ITEM, "an item")):
        if np.any(np.asarray(data[kind].raw_id) == ""):
            raise UserError(f"{called} has an empty id", "give it another")


def _write_interactions(splits: tuple[HeteroData, ...], path: Path) -> None:
    parts = []
    for name, data in zip(SPLIT_NAMES, splits, strict=True):
        user, item = data[INTERACTS].edge_label_index.cpu().numpy()
        columns = {
            "user": data[USER].raw_id[user],
            "item": data[ITEM].raw_id[item],
            "split": name,
        }
        if "edge_label_time" in data[INTERACTS]:
            columns["timestamp"] = data[INTERACTS].edge_label_time.cpu().numpy()
        parts.append(pd.DataFrame(columns))
    pd.concat(parts).to_parquet(path, index=False)


def _write_features(data: HeteroData, name: str, path: Path) -> None:
    x, ids = data[ITEM][feature_key(name)].cpu().numpy(), data[ITEM].raw_id
    mask = data[ITEM].get(mask_key(name))
    known = slice(None) if mask is None else mask.cpu().numpy()
    np.savez(path, features=x[known], ids=ids[known])
