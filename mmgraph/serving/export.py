"""A trained system's vectors in a folder, and what they are worth there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmgraph.bench.run_directory import Run, load_run, run_inputs
from mmgraph.device import device_of
from mmgraph.errors import UserError, unknown_name
from mmgraph.files import write_json
from mmgraph.folders import check_new_folder, list_contents, new_folder
from mmgraph.functional.block_sizes import RANKED_SCORES
from mmgraph.serving.vector_files import VECTOR_FORMATS, write_ids
from mmgraph.serving.vectors import Vectors, final_vectors, ranks_by_inner_product

ABOUT = "export.json"
#: Users whose rankings are compared, evenly over all.
_CHECKED_USERS = 1000
#: Scores that differ by less, relative to the largest, may change places.
_ROUNDING = 1e-6


def export_run(
    folder: str | Path,
    out: str | Path,
    formats: Sequence[str] = ("parquet",),
    *,
    k: int = 20,
    force: bool = False,
    data: str | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Write the final vectors of a run directory's system into a folder.

    What was written is read back, and the ``k`` items of the largest inner products are
    compared with those of the largest scores, for up to 1,000 users whose vectors are
    not of zeros, items of their histories included: every exact format must give the
    same ones, up to rounding. Where a score is no inner product (PAMD), the vectors are
    written as they are, an index is refused, and nothing can be compared.

    Args:
        folder: The run directory.
        out: The folder to make: ``user_ids.csv``, ``item_ids.csv``, ``export.json`` and
            the files of each format.
        formats: Of ``parquet``, ``npy``, ``safetensors``, ``faiss`` (a flat index of
            inner products) and ``hnsw`` (an approximate one).
        k: Items per user that are compared.
        force: Replace an earlier export.
        data: The data set, if it has moved since.
        device: Device to compute on, as the trainer takes it.

    Returns:
        What ``export.json`` says; ``found`` of a format is the share of the system's
        own ``k`` best items among those that it gives, None if they cannot be compared.

    Raises:
        UserError: If a format is unknown, needs FAISS or does not suit the system, the
            folder is in use, an exact format ranks otherwise than the system, or as
            :func:`~mmgraph.bench.run_directory.load_run` does.
    """
    out = Path(out)
    for name in formats:
        if name not in VECTOR_FORMATS:
            raise unknown_name("format", name, VECTOR_FORMATS)
    replace = ABOUT if force else None
    check_new_folder(
        out,
        replace=replace,
        inputs=run_inputs(Path(folder), data),
        fix="choose another --out, or --force",
    )
    run = load_run(folder, data=data, device=device)
    vectors = final_vectors(run)
    own = _best_of_system(run, vectors, min(k, len(vectors.item_ids)))
    about = _about(run, vectors)
    comparable = about["score_is_inner_product"]
    if not comparable:
        _check_no_index(formats, run)
    about["checked"] = {"users": len(own[0]), "k": own[1].size(1)}
    with new_folder(out, replace=replace) as made:
        write_ids(made, vectors)
        about["formats"] = {
            name: _write_and_check(made, name, vectors, own, comparable=comparable)
            for name in formats
        }
        write_json(made / ABOUT, about)
        list_contents(made)
    return about


def _about(run: Run, vectors: Vectors) -> dict[str, Any]:
    return {
        "system": run.info["spec"],
        "seed": run.info["seed"],
        "data_sha256": run.info["data_sha256"],
        "users": len(vectors.user_ids),
        "items": len(vectors.item_ids),
        "dimension": vectors.item.size(1),
        "zero_vectors": {  # who is there and of whom nothing is known
            "users": int((~vectors.user.any(dim=1)).sum()),
            "items": int((~vectors.item.any(dim=1)).sum()),
        },
        "score_is_inner_product": ranks_by_inner_product(run.model),
    }


def _check_no_index(formats: Sequence[str], run: Run) -> None:
    for name in formats:
        if VECTOR_FORMATS[name].is_index:
            raise UserError(
                f"an index finds inner products, and {run.info['model']}'s scores are "
                "something else",
                "choose parquet, npy or safetensors, or use mmgraph recommend",
            )


def _best_of_system(
    run: Run, vectors: Vectors, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Some users, the items that the system itself puts first for them, and scores."""
    known = vectors.user.any(dim=1).nonzero().flatten()  # for others no item is first
    if not len(known):
        known = torch.arange(len(vectors.user_ids))
    some = torch.linspace(0, len(known) - 1, min(len(known), _CHECKED_USERS))
    users, where = known[some.round().long().unique()], device_of(run.model)
    item, best = vectors.item.to(where), []
    for part in users.split(RANKED_SCORES.rows(len(item), where)):
        with torch.no_grad():
            score = run.model.score(vectors.user[part].to(where), item)
        best.append([tensor.cpu() for tensor in score.topk(k)])
    score, items = (torch.cat(each) for each in zip(*best, strict=True))
    if not bool(score.isfinite().all()):
        raise UserError(
            "the model's scores are not finite", "train it with a smaller learning rate"
        )
    return users, items, score


def _write_and_check(
    folder: Path,
    name: str,
    vectors: Vectors,
    own: tuple[Tensor, Tensor, Tensor],
    *,
    comparable: bool,
) -> dict[str, Any]:
    kind = VECTOR_FORMATS[name]
    users, best, score = own
    kind.write(folder, vectors)
    if not comparable:
        return {"approximate": kind.approximate, "found": None}
    ranked = kind.rank(folder, vectors.user[users], best.size(1))
    if not kind.approximate:
        products = vectors.item[ranked] @ vectors.user[users].unsqueeze(2)
        gap = (products.squeeze(2) - score).abs().max()
        if not bool(gap <= _ROUNDING * score.abs().max()):
            raise UserError(
                f"{name}, read back, does not rank as the system does",
                "export to another disk, or choose another of --formats",
            )
    hit = (best.unsqueeze(2) == ranked.unsqueeze(1)).any(dim=2)
    return {"approximate": kind.approximate, "found": float(hit.double().mean())}
