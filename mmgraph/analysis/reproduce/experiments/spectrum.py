"""What the projection does to the spectrum: CLEAR's Figure 5."""

from __future__ import annotations

from dataclasses import asdict
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from mmgraph.analysis.report.page import Cell, Figure, Table
from mmgraph.analysis.report.plots import COLOURS, DASHES, figure_of, panels
from mmgraph.analysis.reproduce.context import Lab, Trained
from mmgraph.analysis.reproduce.refreshes import (
    AFFINITY,
    AFFINITY_AXIS,
    TracedRun,
    colours_of,
    draw_measure,
    epoch_axis,
    first_ratio,
    undone,
)
from mmgraph.analysis.reproduce.result import Outcome
from mmgraph.analysis.reproduce.trace import traces
from mmgraph.functional.redundancy.projection import shared_directions, suppress
from mmgraph.functional.redundancy.refresh_measures import LEADING
from mmgraph.functional.redundancy.spectrum import effective_rank, energy_share
from mmgraph.schema import ITEM, mask_key

_BASE, _BEFORE, _AFTER = "trained without", "before projection", "after projection"


def clear_figure_5(lab: Lab) -> Outcome:
    r"""Singular values of the cross-covariance before and after the projection.

    For one trained model the second follow from the first (:math:`(1-\lambda)^2
    \sigma_i` for :math:`i \le k`, Theorem 5), so the spectrum of a model trained with
    :math:`\lambda = 0` stands beside them. *Undo ratio*: by how much training with the
    projection grew what the projection takes away, :math:`(1-\lambda)^2
    \sigma_i^{\lambda} / \sigma_i^{0}`; 1 means all of it is undone. A second figure
    shows it, and the drift of the directions, refresh by refresh.
    """
    lab.need_modalities()
    with_, without = lab.fit("CLEAR"), lab.fit("CLEAR:strength=0")
    rank, strength = with_.line["options"]["rank"], with_.line["options"]["strength"]
    sides = with_.line["options"]["sides"]
    z, z_base = _encoded(lab, with_), _encoded(lab, without)
    project: Any = with_.model.get_submodule("project")
    with torch.no_grad():
        projected = project(z)

    pairs: list[dict[str, Any]] = []
    for a, b in combinations(z, 2):
        mask = _both_present(lab, a, b)
        u, sigma, w = shared_directions(z[a], z[b], rank, mask=mask)
        spectra = {
            _BASE: shared_directions(z_base[a], z_base[b], 0, mask=mask)[1],
            _BEFORE: sigma,
            _AFTER: shared_directions(projected[a], projected[b], 0, mask=mask)[1],
        }
        fresh = [suppress(x, basis, strength) for x, basis in ((z[a], u), (z[b], w))]
        reached = shared_directions(fresh[0], fresh[1], 0, mask=mask)[1]
        damped = sigma.clone()
        damped[:rank] *= (1 - strength) ** 2
        error = (reached - damped.sort(descending=True).values).abs().max() / sigma[0]
        projected_sides = 2 if sides == "both" else (a, b).count(sides)
        factor = (1 - strength) ** projected_sides
        grown = factor * sigma[:rank] / spectra[_BASE][:rank]
        pairs.append(
            {
                "modalities": [a, b],
                "singular_values": {k: v.tolist() for k, v in spectra.items()},
                "effective_rank": {k: effective_rank(v) for k, v in spectra.items()},
                "head_energy": {k: energy_share(v, rank) for k, v in spectra.items()},
                "undo_ratio": grown.tolist(),
                "theorem_5_relative_error": float(error),
            }
        )

    drawing, axes = panels(len(pairs), width=5.4, height=4.0)
    for ax, pair in zip(axes, pairs, strict=True):
        for n, (name, values) in enumerate(pair["singular_values"].items()):
            places = range(1, len(values) + 1)
            ax.plot(places, values, color=COLOURS[n], ls=DASHES[n], label=name)
        ax.axvline(rank + 0.5, color="black", lw=0.8, alpha=0.5)
        ax.set_yscale("log")
        ax.set_xlabel("direction i (line: the rank k)")
        ax.set_ylabel("singular value σᵢ of the cross-covariance")
        ax.set_title(" and ".join(pair["modalities"]))
    axes[0].legend(frameon=False)

    data: list[list[Cell]] = [
        [" and ".join(pair["modalities"]), name, n, value]
        for pair in pairs
        for name, values in pair["singular_values"].items()
        for n, value in enumerate(values, start=1)
    ]
    rows: list[list[Cell]] = [
        [
            *(" and ".join(pair["modalities"]), name),
            *(pair["singular_values"][name][0], pair["effective_rank"][name]),
            pair["head_energy"][name],
        ]
        for pair in pairs
        for name in (_BASE, _BEFORE, _AFTER)
    ]
    columns = [
        "modalities",
        "spectrum",
        "σ₁",
        "effective rank",
        f"energy of the first {rank}",
    ]
    caption = (
        f"Singular values (log scale) of the cross-covariance of CLEAR's encoded "
        f"features on {lab.source.name}: of a model trained without projection, and of "
        f"one trained with rank {rank} and strength {strength:g}, before and after its "
        "projection."
    )
    first = pairs[0]["singular_values"]
    alt = (
        f"Three falling curves; the first singular value is {first[_BASE][0]:.3g} "
        f"trained without projection, {first[_BEFORE][0]:.3g} trained with it before "
        f"and {first[_AFTER][0]:.3g} after it."
    )
    undone = ", ".join(f"{pair['undo_ratio'][0]:.2f}" for pair in pairs if rank)
    notes = [
        f"Seed {lab.seeds[0]}; parameters and bases of the best epoch. The bases were "
        "found at the last refresh before, so the spectrum after the projection is not "
        "exactly that of Theorem 5; with bases of the same moment it is, to a relative "
        f"{max(pair['theorem_5_relative_error'] for pair in pairs):.0e}.",
        f"Undo ratio of the first direction: {undone or 'none, the rank is 0'} (1: the "
        "encoder has grown the shared direction by as much as the projection takes "
        "away).",
    ]
    figure = figure_of(
        drawing, caption, alt, ["modalities", "spectrum", "i", "σᵢ"], data
    )
    numbers = {"rank": rank, "strength": strength, "pairs": pairs}
    figures = [figure]
    if traces(with_.history):
        runs, more = _development(lab, with_, without)
        figures += more
        numbers["refreshes"] = {
            run.label: {m: asdict(trace) for m, trace in run.traces.items()}
            for run in runs
        }
        numbers["undo_ratio"] = asdict(runs[0].undo)
    table = Table(columns, rows, f"Spectra on {lab.source.name}")
    return Outcome(numbers, tables=[table], figures=figures, notes=notes)


def _encoded(lab: Lab, trained: Trained) -> dict[str, Tensor]:
    with torch.no_grad():
        return trained.model.encode_modalities(lab.train)


def _both_present(lab: Lab, a: str, b: str) -> Tensor | None:
    store = lab.train[ITEM]
    masks = [store[mask_key(m)] for m in (a, b) if mask_key(m) in store]
    return torch.stack(masks).all(dim=0) if masks else None


def _development(
    lab: Lab, with_: Trained, without: Trained
) -> tuple[list[TracedRun], list[Figure]]:
    """The refreshes of both runs, and undo ratio and drift drawn epoch by epoch."""
    base = traces(without.history)
    runs = [
        undone("with projection", with_.line, traces(with_.history), base),
        undone(_BASE, without.line, base, {}),
    ]
    undo = runs[0].undo
    has_undo = any(undo.ratio)
    drawing, axes = panels(2 if has_undo else 1, width=5.4, height=3.8)
    if has_undo:
        ax = axes[0]
        for i in range(max(map(len, undo.ratio))):
            points = [
                (epoch, ratios[i])
                for epoch, ratios in zip(undo.epoch, undo.ratio, strict=True)
                if i < len(ratios)
            ]
            ax.plot(*zip(*points, strict=True), color=COLOURS[i], label=f"σ{i + 1}")
        ax.axhline(1, color="black", lw=0.8, alpha=0.5)
        ax.set_ylim(bottom=0)
        ax.set_ylabel("undo ratio (line: all is undone)")
        ax.legend(frameon=False, loc="center left")
        epoch_axis(ax)
    draw_measure(axes[-1], runs, "affinity", colours_of(runs))
    axes[-1].set_ylabel(AFFINITY_AXIS)
    axes[-1].set_ylim(0, 1.05)
    axes[-1].legend(frameon=False, fontsize="small")
    left = (
        "Left: undo ratio of the first directions, after equally many epochs with and "
        "without projection. Right: "
    )
    caption = (
        f"Each refresh of CLEAR's projection on {lab.source.name}. "
        f"{left if has_undo else 'Shown: '}{AFFINITY}."
    )
    ratio = first_ratio(undo)
    alt = "Lines over the epochs" + (
        "." if ratio is None else f"; the undo ratio of σ1 ends at {ratio:.2f}."
    )
    data: list[list[Cell]] = [
        [run.label, modality, epoch, affinity, *(sigma + [None] * LEADING)[:LEADING]]
        for run in runs
        for modality, trace in run.traces.items()
        for epoch, affinity, sigma in zip(
            trace.epoch, trace.affinity, trace.singular_values, strict=True
        )
    ]
    columns = ["run", "modality", "epoch", "affinity"]
    columns += [f"σ{i}" for i in range(1, LEADING + 1)]
    return runs, [figure_of(drawing, caption, alt, columns, data)]
