"""What the embeddings look like: CLEAR's Figure 6, SEA's Figures 5 and 6."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmgraph.analysis.report.page import Cell, Table
from mmgraph.analysis.report.plots import figure_of, panels
from mmgraph.analysis.reproduce.context import Lab
from mmgraph.analysis.reproduce.embedding_plot import (
    joint_plane,
    marginals,
    point_rows,
    sample_items,
    scatter,
)
from mmgraph.analysis.reproduce.experiments.redundancy import complete_items
from mmgraph.analysis.reproduce.result import Outcome
from mmgraph.analysis.reproduce.separation import (
    SILHOUETTE_POINTS,
    generic_and_unique,
    set_distances,
)
from mmgraph.errors import UserError
from mmgraph.models.parts.graph_learner import GraphLearner
from mmgraph.models.sea import SEA

Sets = dict[str, Tensor]
#: Sets to draw; generic and unique parts to measure; generic parts where they align.
Parts = tuple[Sets, Sets, Sets, Sets]


def clear_figure_6(lab: Lab) -> Outcome:
    """Modalities of one trained CLEAR in one plane, before and after its projection."""
    lab.need_modalities()
    trained = lab.fit("CLEAR")
    project: Any = trained.model.get_submodule("project")
    with torch.no_grad():
        z = trained.model.encode_modalities(lab.train)
        stages = {"before projection": z, "after projection": project(z)}
    chosen = sample_items(lab)
    planes, distances = {}, {}
    for stage, tables in stages.items():
        sets = {m: table[chosen] for m, table in tables.items()}
        planes[stage] = plane = joint_plane(sets, lab.seeds[0])
        distances[stage] = [
            {"modalities": [a, b]}
            | set_distances(sets[a], sets[b], (plane[a], plane[b]))
            for a, b in combinations(sets, 2)
        ]

    drawing, axes = panels(2, width=5.6, height=5.0)
    for ax, (stage, plane) in zip(axes, planes.items(), strict=True):
        scatter(ax, plane)
        marginals(ax, plane)
        ax.set_title(stage, pad=58)
    axes[0].legend(markerscale=2)

    columns = ["stage", "modalities", "overlap", "SWD, t-SNE plane"]
    columns += ["SWD, centred unit rows", "SWD, raw"]
    rows: list[list[Cell]] = [
        [
            *(stage, " and ".join(entry["modalities"]), entry["overlap"]),
            *(entry["swd_plane"], entry["swd_unit"], entry["swd_raw"]),
        ]
        for stage, entries in distances.items()
        for entry in entries
    ]
    options = trained.line["options"]
    caption = (
        f"t-SNE of the encoded features of {len(chosen):,} items of {lab.source.name}, "
        f"all modalities together, in a CLEAR with rank {options['rank']} and strength "
        f"{options['strength']:g}; densities along each axis on top and right."
    )
    first, last = (distances[stage][0] for stage in stages)
    alt = (
        f"Two scatter plots of {len(z)} colours with marginal densities; overlap "
        f"{first['overlap']:.2f} before and {last['overlap']:.2f} after, sliced "
        f"Wasserstein distance of centred unit rows {first['swd_unit']:.3f} before and "
        f"{last['swd_unit']:.3f} after."
    )
    notes = [
        f"Seed {lab.seeds[0]} of training, sample and t-SNE.",
        "Overlap: common area of two modalities' densities along an axis of the plane, "
        "mean of both axes (the paper does not define it). SWD: sliced Wasserstein "
        "distance, 256 directions. Raw, it grows with the features, which the "
        "projection shrinks: compare the two columns of fixed scale. Places in two "
        "t-SNE planes have no common scale either.",
    ]
    figure = figure_of(
        *(drawing, caption, alt, ["stage", "set", "x", "y"]), point_rows(planes)
    )
    table = Table(columns, rows, f"Distances of the modalities on {lab.source.name}")
    numbers = {"items": len(chosen), "options": options, "stages": distances}
    return Outcome(numbers, tables=[table], figures=[figure], notes=notes)


def sea_figure_5(lab: Lab) -> Outcome:
    """Shared and modality-specific parts of MICRO, which subtracts one from the other.

    Shared is the fused view of an item, specific what a modality's view has beyond it.
    """
    return _parts(lab, "MICRO@released", _micro_parts)


def sea_figure_6(lab: Lab) -> Outcome:
    """Generic and unique parts of SEA.

    Generic is the output of the alignment's heads, unique that of the maps in front of
    the distance; both have rows of length 1 here.
    """
    return _parts(lab, "SEA", _sea_parts)


def _parts(lab: Lab, system: str, part: Callable[[Lab, Any], Parts]) -> Outcome:
    lab.need_modalities()
    trained, chosen = lab.fit(system), sample_items(lab)
    stages = {"before training": trained.untrained, "after training": trained.model}
    planes, numbers, complete = {}, {}, complete_items(lab)
    for stage, model in stages.items():
        with torch.no_grad():
            shown, generic, unique, aligned = part(lab, model)
        sets = {name: F.normalize(x[chosen], dim=1) for name, x in shown.items()}
        planes[stage] = joint_plane(sets, lab.seeds[0])
        generic, unique, aligned = (
            {m: x[complete] for m, x in tables.items()}
            for tables in (generic, unique, aligned)
        )
        numbers[stage] = generic_and_unique(generic, unique, lab.seeds[0], aligned)

    drawing, axes = panels(2, width=5.6, height=5.0)
    for ax, (stage, plane) in zip(axes, planes.items(), strict=True):
        scatter(ax, plane, size=14)
        ax.set_title(stage)
    axes[0].legend(markerscale=1.5)

    modalities = list(numbers["after training"]["information"])
    columns = ["stage", "alignment", "silhouette", "accuracy"]
    for m in modalities:
        columns += [f"cosine, {m}", f"CLUB, {m}", f"Gaussian MI, {m}"]
    rows: list[list[Cell]] = []
    for stage, entry in numbers.items():
        row: list[Cell] = [stage, *(entry[name] for name in columns[1:4])]
        for m in modalities:
            information = entry["information"][m]
            row += [information[name] for name in ("cosine", "club", "gaussian")]
        rows.append(row)
    caption = (
        f"t-SNE of the parts of {len(chosen)} items of {lab.source.name} in {system}, "
        "rows of length 1, all sets together, before and after training."
    )
    after = numbers["after training"]
    alt = (
        f"Two scatter plots of {len(planes['after training'])} sets of points; after "
        f"training their silhouette is {after['silhouette']:.2f} and a linear "
        f"classifier tells generic from unique with accuracy {after['accuracy']:.2f}."
    )
    notes = [
        f"Seed {lab.seeds[0]}. Numbers are over all items that have every modality, "
        "only the picture is of a sample.",
        "Of the sets in the picture: alignment, the mean cosine of the generic parts "
        "of two modalities; silhouette, of all sets, 1 apart, 0 mixed, over "
        f"{SILHOUETTE_POINTS:,} points at most; accuracy of a linear classifier of "
        "generic against unique, cross-validated and balanced (0.5 is chance).",
        "Of the pair that the distance acts on (in SEA both by its maps), for the same "
        "item: cosine; CLUB: upper bound of their mutual information with an estimator "
        "fitted on half of the items and taken on the other; Gaussian MI: by canonical "
        "correlations, empty where the items are fewer than the columns (nats).",
        "Maps of different parts are different maps: an untrained model separates them "
        "already, so compare after with before.",
    ]
    figure = figure_of(
        *(drawing, caption, alt, ["stage", "set", "x", "y"]), point_rows(planes)
    )
    table = Table(columns, rows, f"Generic and unique parts on {lab.source.name}")
    return Outcome(
        {"system": system, "items": len(chosen), "stages": numbers},
        tables=[table],
        figures=[figure],
        notes=notes,
    )


def _sea_parts(lab: Lab, model: SEA) -> Parts:
    separate = model.separate
    if not separate.heads or not separate.maps_generic or model.split_at != "encoder":
        raise UserError(
            "this figure needs SEA's heads and maps",
            "leave variant at a or c and split_at at encoder",
        )
    z = model.encode_modalities(lab.train)
    halves, _ = separate.split(z)
    # The heads normalise over all items, as the loss has it.
    separate.heads.train()
    heads = {m: separate.heads[m](halves[m]) for m in z}
    pairs = separate.distance_inputs(z)
    shown = {f"generic, {m}": x for m, x in heads.items()}
    shown |= {f"unique, {m}": unique for m, (_, unique) in pairs.items()}
    generic = {m: generic for m, (generic, _) in pairs.items()}
    return shown, generic, {m: unique for m, (_, unique) in pairs.items()}, heads


def _micro_parts(lab: Lab, model: GraphLearner) -> Parts:
    data = model.add_graphs(lab.train)
    views = dict(zip(lab.modalities, model.smooth_items(data), strict=True))
    fuse: Any = model.get_submodule("fuse")
    shared = fuse(list(views.values()))
    unique = {m: view - shared for m, view in views.items()}
    shown = {"shared": shared} | {f"specific, {m}": x for m, x in unique.items()}
    return shown, {"shared": shared}, unique, {}
