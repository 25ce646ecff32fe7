"""The redundancy report of a catalogue: how much its modalities say twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import torch
from torch_geometric.data import HeteroData

from mmgraph.analysis.redundancy.clear_options import ClearOption, clear_options
from mmgraph.analysis.redundancy.findings import modality_notes
from mmgraph.analysis.redundancy.modality_summary import (
    ModalitySummary,
    summarise_modality,
)
from mmgraph.analysis.redundancy.pair_diagnosis import PairDiagnosis, diagnose_pair
from mmgraph.analysis.redundancy.probe import MOST_ITEMS, Probe, probe_projection
from mmgraph.data import FeatureRows

LEAST_ROWS = 3


@dataclass(frozen=True)
class Diagnosis:
    """Modalities and pairs of a catalogue, with notes for the reader.

    Attributes:
        modalities: Counts of each.
        pairs: Every pair that has enough items in common.
        notes: Warnings for the reader.
        settings: Samples and seed.
        probe: What projecting does to content neighbours on validation; None without
            interactions, with one modality, or where there are too many items.
        clear_options: Options of CLEAR to try, beside rank and strength, and why.
    """

    modalities: dict[str, ModalitySummary]
    pairs: list[PairDiagnosis]
    notes: list[str]
    settings: dict[str, int]
    probe: Probe | None = None
    clear_options: list[ClearOption] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers, for JSON."""
        return asdict(self)


def diagnose(
    features: Mapping[str, FeatureRows],
    *,
    interactions: tuple[HeteroData, HeteroData] | None = None,
    num_centres: int = 1000,
    num_sampled: int = 4000,
    seed: int = 0,
    device: torch.device | str = "cpu",
    on_step: Callable[[str], None] | None = None,
) -> Diagnosis:
    """Measure every modality, and every pair of modalities, of a catalogue.

    Features are read in blocks, some passes per pair: memory depends on the dimensions,
    not on the number of items (but for some bytes per item). A pair uses the items that
    have both modalities; a zero row counts as missing.

    Args:
        features: Modalities over the same items.
        interactions: Training and validation split of the same catalogue, for the
            probe (:func:`~mmgraph.analysis.redundancy.probe.probe_projection`).
        num_centres: Items whose neighbours are compared.
        num_sampled: Items in the sample of the sliced Wasserstein distance.
        seed: Of everything drawn.
        device: Device of the computation, in float64.
        on_step: Called with the name of each step as it begins.

    Raises:
        ValueError: If there is no modality, or they differ in their items.

    Example:
        >>> from mmgraph.data import catalogue_features, plant_catalogue
        >>> data, _ = plant_catalogue(num_users=9, shared_rank=3)
        >>> (pair,) = diagnose(catalogue_features(data)).pairs
        >>> pair.modalities, pair.suggested_rank
        (['visual', 'textual'], 3)
    """
    counts = {name: rows.num_items for name, rows in features.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"modalities need the same items (got {counts})")
    report_step = on_step or (lambda step: None)
    summaries, present, notes = {}, {}, []
    for name, rows in features.items():
        report_step(f"reading {name}")
        summaries[name], present[name] = summarise_modality(rows)
        notes += modality_notes(name, summaries[name])
    pairs = []
    for a, b in combinations(features, 2):
        both = present[a] & present[b]
        if both.sum() < LEAST_ROWS:
            notes.append(
                f"{a} and {b} have {both.sum()} items in common: too few to compare."
            )
            continue
        report_step(f"comparing {a} and {b}")
        pairs.append(
            diagnose_pair(
                (a, b),
                features[a],
                features[b],
                both,
                num_centres=num_centres,
                num_sampled=num_sampled,
                seed=seed,
                device=device,
            )
        )
    if len(features) == 1:
        notes.append("There is one modality: no pair to compare.")
    probe = None
    if interactions is not None:
        report_step("probing the projection on validation")
        probe = _probe(*interactions, seed, notes)
    return Diagnosis(
        modalities=summaries,
        pairs=pairs,
        notes=notes,
        settings={
            "num_centres": num_centres,
            "num_sampled": num_sampled,
            "seed": seed,
        },
        probe=probe,
        clear_options=clear_options(summaries, pairs, probe),
    )


def can_probe(features: Mapping[str, FeatureRows]) -> bool:
    """True if there are two modalities, and not too many items.

    Example:
        >>> from mmgraph.data import catalogue_features, plant_catalogue
        >>> can_probe(catalogue_features(plant_catalogue(num_users=9)[0]))
        True
    """
    items = max(rows.num_items for rows in features.values())
    return len(features) > 1 and items <= MOST_ITEMS


def _probe(
    train: HeteroData, valid: HeteroData, seed: int, notes: list[str]
) -> Probe | None:
    try:
        return probe_projection(train, valid, seed=seed)
    except ValueError as error:  # one modality, or no user to ask
        notes.append(f"The probe of the projection is left out: {error}.")
        return None
