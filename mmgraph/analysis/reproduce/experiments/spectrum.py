"""Effect of the projection on the spectrum: CLEAR's Figure 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mmgraph.analysis.report.page import Figure
from mmgraph.analysis.report.plots import (
    COLOURS,
    DASHES,
    log_scale,
    panels,
    to_figure,
)
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce.context import ExperimentContext, Trained
from mmgraph.analysis.reproduce.refreshes import (
    AFFINITY,
    TracedRun,
    check_given_rank,
    colours_of,
    draw_affinity,
    epoch_axis,
    first_ratio,
    traced_run,
)
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.analysis.reproduce.trace import Undo, traces
from mmgraph.functional.redundancy.projection import shared_directions, suppress
from mmgraph.functional.redundancy.refresh_measures import LEADING
from mmgraph.functional.redundancy.spectrum import effective_rank, energy_ratio
from mmgraph.schema import ITEM, mask_key

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BASE, _BEFORE, _AFTER = "trained without", "before projection", "after projection"


def clear_figure_5(context: ExperimentContext) -> ExperimentResult:
    r"""Singular values of the cross-covariance before and after the projection.

    For one trained model the second follow from the first (:math:`(1-\lambda)^2
    \sigma_i` for :math:`i \le k`, Theorem 5), so the spectrum of a model trained with
    :math:`\lambda = 0` stands beside them. *Undo ratio*: by how much training with the
    projection grew what the projection takes away, :math:`(1-\lambda)^2
    \sigma_i^{\lambda} / \sigma_i^{0}`; 1 means all of it is undone. A second figure
    shows it, and the drift of the directions, refresh by refresh.
    """
    context.require_modalities()
    with_, without = context.fit("CLEAR"), context.fit("CLEAR:strength=0")
    options, name = with_.line["options"], context.source.name
    check_given_rank(options)
    pairs = _pairs(context, with_, without)
    numbers = {"rank": options["rank"], "strength": options["strength"], "pairs": pairs}
    figures, undo = [_spectrum_figure(pairs, options, name)], Undo()
    if traces(with_.history):
        runs = _traced_runs(with_, without)
        figures.append(_development_figure(runs, name))
        numbers["refreshes"] = {
            run.label: {m: asdict(trace) for m, trace in run.traces.items()}
            for run in runs
        }
        numbers["undo_ratio"] = asdict(runs[0].undo)
        undo = runs[0].undo
    return ExperimentResult(
        numbers,
        tables=[_table(pairs, options["rank"], f"Spectra on {name}")],
        figures=figures,
        notes=[
            *_notes(pairs, options["rank"], context.seeds[0]),
            *_notes_on_epochs(with_, without, undo),
        ],
    )


def _pairs(
    context: ExperimentContext, with_: Trained, without: Trained
) -> list[dict[str, Any]]:
    """Spectra of each pair of modalities, and what training undid."""
    projection: Any = with_.model.get_submodule("project")
    with torch.no_grad():
        z_base, z = (
            each.model.encode_modalities(each.model.add_graphs(context.train))
            for each in (without, with_)
        )
        projected = projection(z)
    options = with_.line["options"]
    pairs = []
    for a, b in combinations(z, 2):
        spectra, error = _spectra(
            *((x[a], x[b]) for x in (z_base, z, projected)),
            mask=_both_present(context, a, b),
            rank=options["rank"],
            strength=options["strength"],
        )
        undo = _undo_ratio(spectra, options, (a, b))
        pairs.append(
            {
                "modalities": [a, b],
                "singular_values": {k: s.tolist() for k, s in spectra.items()},
                "effective_rank": {k: effective_rank(s) for k, s in spectra.items()},
                "head_energy": {
                    k: energy_ratio(s, options["rank"]) for k, s in spectra.items()
                },
                "undo_ratio": undo.tolist(),
                "theorem_5_relative_error": error,
            }
        )
    return pairs


def _spectra(
    base: tuple[Tensor, Tensor],
    before: tuple[Tensor, Tensor],
    after: tuple[Tensor, Tensor],
    *,
    mask: Tensor | None,
    rank: int,
    strength: float,
) -> tuple[dict[str, Tensor], float]:
    """Spectra of a pair, and the largest relative error of Theorem 5.

    The theorem is checked with bases of the same moment: those of the model are from
    its last refresh.
    """
    u, sigma, w = shared_directions(*before, rank, mask=mask)
    spectra = {
        _BASE: shared_directions(*base, 0, mask=mask)[1],
        _BEFORE: sigma,
        _AFTER: shared_directions(*after, 0, mask=mask)[1],
    }
    fresh = [
        suppress(x, basis, strength) for x, basis in zip(before, (u, w), strict=True)
    ]
    reached = shared_directions(fresh[0], fresh[1], 0, mask=mask)[1]
    damped = sigma.clone()
    damped[:rank] *= (1 - strength) ** 2
    error = (reached - damped.sort(descending=True).values).abs().max() / sigma[0]
    return spectra, float(error)


def _undo_ratio(
    spectra: Mapping[str, Tensor], options: Mapping[str, Any], pair: tuple[str, str]
) -> Tensor:
    rank, sides = options["rank"], options["sides"]
    projected_sides = 2 if sides == "both" else pair.count(sides)
    factor = (1 - options["strength"]) ** projected_sides
    ratio: Tensor = factor * spectra[_BEFORE][:rank] / spectra[_BASE][:rank]
    return ratio


def _both_present(context: ExperimentContext, a: str, b: str) -> Tensor | None:
    store = context.train[ITEM]
    masks = [store[mask_key(m)] for m in (a, b) if mask_key(m) in store]
    return torch.stack(masks).all(dim=0) if masks else None


def _spectrum_figure(
    pairs: Sequence[Mapping[str, Any]], options: Mapping[str, Any], name: str
) -> Figure:
    rank = options["rank"]
    drawing, axes = panels(len(pairs), width=5.4, height=4.0)
    for ax, pair in zip(axes, pairs, strict=True):
        _draw_spectra(ax, pair, rank)
    axes[0].legend(frameon=False)
    caption = (
        f"Singular values (log scale) of the cross-covariance of CLEAR's encoded "
        f"features on {name}: of a model trained without projection, and of one "
        f"trained with rank {rank} and strength {options['strength']:g}, before and "
        "after its projection."
    )
    first = pairs[0]["singular_values"]
    alt = (
        f"Three falling curves; the first singular value is {first[_BASE][0]:.3g} "
        f"trained without projection, {first[_BEFORE][0]:.3g} trained with it before "
        f"and {first[_AFTER][0]:.3g} after it."
    )
    rows: list[list[Cell]] = [
        [_names(pair), spectrum, i, value]
        for pair in pairs
        for spectrum, values in pair["singular_values"].items()
        for i, value in enumerate(values, start=1)
    ]
    data = Table(["modalities", "spectrum", "i", "σᵢ"], rows)
    return to_figure(drawing, caption, alt, data)


def _draw_spectra(ax: Axes, pair: Mapping[str, Any], rank: int) -> None:
    for n, (spectrum, values) in enumerate(pair["singular_values"].items()):
        i = range(1, len(values) + 1)
        ax.plot(i, values, color=COLOURS[n], ls=DASHES[n], label=spectrum)
    ax.axvline(rank + 0.5, color="black", lw=0.8, alpha=0.5)
    log_scale(ax, "y")
    ax.set_xlabel("direction i (line: the rank k)")
    ax.set_ylabel("singular value σᵢ of the cross-covariance")
    ax.set_title(_names(pair))


def _table(pairs: Sequence[Mapping[str, Any]], rank: int, caption: str) -> Table:
    rows: list[list[Cell]] = [
        [
            _names(pair),
            spectrum,
            pair["singular_values"][spectrum][0],
            pair["effective_rank"][spectrum],
            pair["head_energy"][spectrum],
        ]
        for pair in pairs
        for spectrum in (_BASE, _BEFORE, _AFTER)
    ]
    columns = ["modalities", "spectrum", "σ₁", "effective rank"]
    columns.append(f"energy of the first {rank}")
    return Table(columns, rows, caption)


def _notes(pairs: Sequence[Mapping[str, Any]], rank: int, seed: int) -> list[str]:
    ratios = ", ".join(f"{pair['undo_ratio'][0]:.2f}" for pair in pairs if rank)
    return [
        f"Seed {seed}; parameters and bases of the best epoch. The bases were "
        "found at the last refresh before, so the spectrum after the projection is not "
        "exactly that of Theorem 5; with bases of the same moment it is, to a relative "
        f"{max(pair['theorem_5_relative_error'] for pair in pairs):.0e}.",
        f"Undo ratio of the first direction: {ratios or 'none, the rank is 0'} (1: the "
        "encoder has grown the shared direction by as much as the projection takes "
        "away).",
    ]


def _notes_on_epochs(with_: Trained, without: Trained, undo: Undo) -> list[str]:
    """That the spectra are of models of two epochs, and the ratio at one."""
    epochs = [each.line["best_epoch"] for each in (with_, without)]
    notes = [
        f"The best epoch is {epochs[0]} with the projection and {epochs[1]} without. "
        "Singular values grow in training: where these differ, spectra and ratio hold "
        "that, too."
    ]
    ratio = first_ratio(undo)
    if ratio is not None:
        notes.append(
            f"After equally many epochs, {undo.epoch[-1]}, the undo ratio of the first "
            f"direction is {ratio:.2f}."
        )
    return notes


def _traced_runs(with_: Trained, without: Trained) -> list[TracedRun]:
    base = traces(without.history)
    return [
        traced_run("with projection", with_.line, traces(with_.history), base),
        traced_run(_BASE, without.line, base, {}),
    ]


def _development_figure(runs: Sequence[TracedRun], name: str) -> Figure:
    """The undo ratio, if there is one, and the drift, epoch by epoch."""
    undo = runs[0].undo
    has_undo = any(undo.ratio)
    drawing, axes = panels(2 if has_undo else 1, width=5.4, height=3.8)
    left = "Shown: "
    if has_undo:
        _draw_undo(axes[0], undo)
        left = (
            "Left: undo ratio of the first directions, after equally many epochs with "
            "and without projection. Right: "
        )
    draw_affinity(axes[-1], runs, colours_of(runs))
    axes[-1].legend(frameon=False, fontsize="small")
    caption = f"Each refresh of CLEAR's projection on {name}. {left}{AFFINITY}."
    ratio = first_ratio(undo)
    end = "" if ratio is None else f"; the undo ratio of σ1 ends at {ratio:.2f}"
    return to_figure(drawing, caption, f"Lines over the epochs{end}.", _data(runs))


def _draw_undo(ax: Axes, undo: Undo) -> None:
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


def _data(runs: Sequence[TracedRun]) -> Table:
    rows: list[list[Cell]] = [
        [run.label, modality, epoch, affinity, *(sigma + [None] * LEADING)[:LEADING]]
        for run in runs
        for modality, trace in run.traces.items()
        for epoch, affinity, sigma in zip(
            trace.epoch, trace.affinity, trace.singular_values, strict=True
        )
    ]
    columns = ["run", "modality", "epoch", "affinity"]
    return Table([*columns, *(f"σ{i}" for i in range(1, LEADING + 1))], rows)


def _names(pair: Mapping[str, Any]) -> str:
    return " and ".join(pair["modalities"])
