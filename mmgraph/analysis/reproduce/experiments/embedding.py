"""t-SNE plots of embeddings: CLEAR's Figure 6, SEA's Figures 5 and 6."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmgraph.analysis.report.page import Figure
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce.complete_items import complete_items
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.reproduce.embedding_plot import (
    joint_tsne,
    sample_items,
    stages_figure,
)
from mmgraph.analysis.reproduce.estimator_fit import (
    FIT,
    estimator_fits,
    estimator_table,
)
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.analysis.reproduce.separation import (
    SILHOUETTE_POINTS,
    generic_and_unique,
    set_distances,
)
from mmgraph.errors import UserError
from mmgraph.models.parts.graph_learner import GraphLearner
from mmgraph.models.sea import SEA

Sets = dict[str, Tensor]
_BEFORE, _AFTER = "before training", "after training"
#: As its public code, unless the user wants it as its paper.
MICRO = "MICRO@released"


class Parts(NamedTuple):
    """Parts ``[N, d]`` of an item's embedding, by modality.

    Attributes:
        shown: Sets to draw, by name.
        generic: Generic parts to measure.
        unique: Unique parts to measure.
        aligned: Generic parts in the space where they are aligned, if it is another.
    """

    shown: Sets
    generic: Sets
    unique: Sets
    aligned: Sets


def clear_figure_6(context: ExperimentContext) -> ExperimentResult:
    """Modalities of one trained CLEAR by t-SNE, before and after its projection."""
    context.require_modalities()
    trained = context.fit("CLEAR")
    projection: Any = trained.model.get_submodule("project")
    with torch.no_grad():
        z = trained.model.encode_modalities(trained.model.add_graphs(context.train))
        stages = {"before projection": z, "after projection": projection(z)}
    chosen = sample_items(context)
    points, distances = {}, {}
    for stage, embeddings in stages.items():
        sets = {m: x[chosen] for m, x in embeddings.items()}
        points[stage] = xy = joint_tsne(sets, context.seeds[0])
        distances[stage] = [
            {"modalities": [a, b]} | set_distances(sets[a], sets[b], (xy[a], xy[b]))
            for a, b in combinations(sets, 2)
        ]
    options, name = trained.line["options"], context.source.name
    caption = (
        f"t-SNE of the encoded features of {len(chosen):,} items of {name}, "
        f"all modalities together, in a CLEAR with rank {options['rank']} and strength "
        f"{options['strength']:g}; densities along each axis on top and right."
    )
    notes = [
        f"Seed {context.seeds[0]} of training, sample and t-SNE.",
        "Overlap: common area of two modalities' densities along an axis of the plot, "
        "mean of both axes (the paper does not define it). SWD: sliced Wasserstein "
        "distance, 256 directions. Raw, it grows with the features, which the "
        "projection shrinks: compare the two columns of fixed scale. Points of two "
        "t-SNE plots have no common scale either.",
    ]
    return ExperimentResult(
        {"items": len(chosen), "options": options, "stages": distances},
        tables=[_distance_table(distances, f"Distances of the modalities on {name}")],
        figures=[_projection_figure(points, distances, caption)],
        notes=notes,
    )


def _projection_figure(
    points: Mapping[str, Mapping[str, Tensor]],
    distances: Mapping[str, Sequence[Mapping[str, Any]]],
    caption: str,
) -> Figure:
    first, last = (entries[0] for entries in distances.values())
    colours = len(next(iter(points.values())))
    alt = (
        f"Two scatter plots of {colours} colours with marginal densities; overlap "
        f"{first['overlap']:.2f} before and {last['overlap']:.2f} after, sliced "
        f"Wasserstein distance of centred unit rows {first['swd_unit']:.3f} before and "
        f"{last['swd_unit']:.3f} after."
    )
    return stages_figure(points, caption, alt, densities=True)


def _distance_table(
    distances: Mapping[str, Sequence[Mapping[str, Any]]], caption: str
) -> Table:
    keys = ("overlap", "swd_plane", "swd_unit", "swd_raw")
    rows: list[list[Cell]] = [
        [stage, " and ".join(entry["modalities"]), *(entry[key] for key in keys)]
        for stage, entries in distances.items()
        for entry in entries
    ]
    columns = ["stage", "modalities", "overlap", "SWD, t-SNE plot"]
    columns += ["SWD, centred unit rows", "SWD, raw"]
    return Table(columns, rows, caption)


def sea_figure_5(context: ExperimentContext) -> ExperimentResult:
    """Shared and modality-specific parts of MICRO, which subtracts one from the other.

    Shared is the fused view of an item, specific what a modality's view has beyond it.
    """
    (system,) = context.as_asked([MICRO])
    return _compare_parts(context, system, _micro_parts)


def sea_figure_6(context: ExperimentContext) -> ExperimentResult:
    """Generic and unique parts of SEA.

    Generic is the output of the alignment's heads, unique that of the maps in front of
    the distance; both have rows of length 1 here.
    """
    return _compare_parts(context, "SEA", _sea_parts)


def _compare_parts(
    context: ExperimentContext,
    system: str,
    parts_of: Callable[[ExperimentContext, Any], Parts],
) -> ExperimentResult:
    context.require_modalities()
    seed, name = context.seeds[0], context.source.name
    trained, chosen = context.fit(system), sample_items(context)
    points, measures, complete = {}, {}, complete_items(context)
    for stage, model in ((_BEFORE, trained.untrained), (_AFTER, trained.model)):
        with torch.no_grad():
            parts = parts_of(context, model)
        sets = {key: F.normalize(x[chosen], dim=1) for key, x in parts.shown.items()}
        points[stage] = joint_tsne(sets, seed)
        generic, unique, aligned = (
            {m: x[complete] for m, x in embeddings.items()} for embeddings in parts[1:]
        )
        measures[stage] = generic_and_unique(generic, unique, seed, aligned)
    caption = (
        f"t-SNE of the parts of {len(chosen)} items of {name} in {system}, "
        "rows of length 1, all sets together, before and after training."
    )
    result = ExperimentResult(
        {"system": system, "items": len(chosen), "stages": measures},
        tables=[_parts_table(measures, f"Generic and unique parts on {name}")],
        figures=[_parts_figure(points, measures[_AFTER], caption)],
        notes=_parts_notes(seed),
    )
    if fits := estimator_fits(trained.history):
        result.numbers["estimator"] = {m: asdict(fit) for m, fit in fits.items()}
        fit_table = estimator_table(fits, f"The estimator of the distance on {name}")
        result.tables = [*result.tables, fit_table]
        result.notes = [*result.notes, FIT]
    return result


def _parts_figure(
    points: Mapping[str, Mapping[str, Tensor]], after: Mapping[str, Any], caption: str
) -> Figure:
    alt = (
        f"Two scatter plots of {len(points[_AFTER])} sets of points; after "
        f"training their silhouette is {after['silhouette']:.2f} and a linear "
        f"classifier tells generic from unique with accuracy {after['accuracy']:.2f}."
    )
    return stages_figure(points, caption, alt, size=14)


def _parts_table(measures: Mapping[str, Mapping[str, Any]], caption: str) -> Table:
    columns = ["stage", "alignment", "silhouette", "accuracy"]
    for m in measures[_AFTER]["information"]:
        columns += [f"cosine, {m}", f"CLUB, {m}", f"Gaussian MI, {m}"]
    rows: list[list[Cell]] = [
        [
            stage,
            *(entry[name] for name in ("alignment", "silhouette", "accuracy")),
            *(
                "infinite" if information[name] is None else information[name]
                for information in entry["information"].values()
                for name in ("cosine", "club", "gaussian")
            ),
        ]
        for stage, entry in measures.items()
    ]
    # One shared part has nothing to be aligned with.
    return Table(columns, rows, caption).without_empty_columns()


def _parts_notes(seed: int) -> list[str]:
    return [
        f"Seed {seed}. Numbers are over all items that have every modality, "
        "only the picture is of a sample.",
        "Of the sets in the picture: alignment, the mean cosine of the generic parts "
        "of two modalities; silhouette, of all sets, 1 apart, 0 mixed, over "
        f"{SILHOUETTE_POINTS:,} points at most; accuracy of a linear classifier of "
        "generic against unique, cross-validated and balanced (0.5 is chance).",
        "Of generic and unique part of the same item (of SEA by the maps in front of "
        "its distance): cosine; CLUB: upper bound of their mutual information with an "
        "estimator fitted on half of the items and taken on the other; Gaussian MI: by "
        "canonical correlations (nats), infinite where one part determines a direction "
        "of the other, as where items or features' columns are fewer than the columns "
        "of both.",
        "Maps of different parts are different maps: an untrained model separates them "
        "already, so compare after with before.",
    ]


def _sea_parts(context: ExperimentContext, model: SEA) -> Parts:
    separate = model.separate
    if not separate.heads or not separate.maps_generic or model.split_at != "encoder":
        raise UserError(
            "this figure needs SEA's heads and maps",
            "leave variant at a or c and split_at at encoder",
        )
    z = model.encode_modalities(model.add_graphs(context.train))
    halves, _ = separate.split(z)
    # The heads normalise over all items, as the loss has it.
    separate.heads.train()
    heads = {m: separate.heads[m](halves[m]) for m in z}
    pairs = separate.distance_inputs(z)
    generic = {m: pair[0] for m, pair in pairs.items()}
    unique = {m: pair[1] for m, pair in pairs.items()}
    shown = {f"generic, {m}": x for m, x in heads.items()}
    shown |= {f"unique, {m}": x for m, x in unique.items()}
    return Parts(shown, generic, unique, heads)


def _micro_parts(context: ExperimentContext, model: GraphLearner) -> Parts:
    data = model.add_graphs(context.train)
    views = dict(zip(context.modalities, model.smooth_items(data), strict=True))
    fuse: Any = model.get_submodule("fuse")
    shared = fuse(list(views.values()))
    unique = {m: view - shared for m, view in views.items()}
    shown = {"shared": shared} | {f"specific, {m}": x for m, x in unique.items()}
    return Parts(shown, {"shared": shared}, unique, {})
