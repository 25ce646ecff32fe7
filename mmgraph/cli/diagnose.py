"""``mmgraph diagnose``: how redundant the modalities of a catalogue are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmgraph.cli import options as opt

if TYPE_CHECKING:
    from rich.console import Console
    from torch_geometric.data import HeteroData

    from mmgraph.analysis.redundancy.diagnosis import Diagnosis
    from mmgraph.analysis.redundancy.pair_diagnosis import PairDiagnosis
    from mmgraph.analysis.redundancy.probe import Probe
    from mmgraph.data import FeatureRows


def diagnose(
    data: opt.Data,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", help="Folder for diagnosis.json and report.html."
        ),
    ],
    centres: Annotated[
        int, typer.Option("--centres", min=2, help="Items whose neighbours to compare.")
    ] = 1000,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe/--no-probe",
            help="Measure on validation whether projecting pays, where there are "
            "interactions.",
        ),
    ] = True,
    split_rule: opt.SplitRule = "label",
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Report how much the modalities of a catalogue say twice.

    For every pair: spectrum of the cross-covariance, shared neighbours against chance,
    a rank and a strength for CLEAR with the reason, and what they cost. Where there are
    interactions and at most 30,000 items, a probe shows on validation whether
    projecting pays, without training; else only feature files are read, float32 .npy
    files without loading them. Writes diagnosis.json and report.html, a page with
    figures if matplotlib is there. Example: mmgraph diagnose --data synthetic --out
    report
    """
    opt.set_up(seed, device, threads, quiet)
    import logging
    import time

    from mmgraph.analysis.redundancy import diagnose as run
    from mmgraph.analysis.redundancy import write_diagnosis
    from mmgraph.analysis.redundancy.diagnosis import can_probe
    from mmgraph.bench.memory import peak_memory, reset_peak_memory
    from mmgraph.device import resolve_device
    from mmgraph.folders import check_output_folder
    from mmgraph.lock import locked_folder

    check_output_folder(out, first=["diagnosis.json"], others=["report.html"])
    where, log = resolve_device(device), logging.getLogger(__name__)
    reset_peak_memory()
    start = time.perf_counter()
    features = _features(data)
    interactions = reason = None
    if probe and can_probe(features):
        interactions, reason = _interactions(data, split_rule)
    diagnosis = run(
        features,
        interactions=interactions,
        num_centres=centres,
        seed=seed,
        device=where,
        on_step=log.info,
    )
    if reason is not None:
        diagnosis.notes.append(f"The probe of the projection is left out: {reason}.")
    with locked_folder(out):
        result = write_diagnosis(
            out,
            diagnosis,
            data,
            command=opt.command_line(),
            seconds=time.perf_counter() - start,
            peak_memory_bytes=peak_memory(where),
        )
    if as_json:
        opt.emit_json(result)
    else:
        _show(diagnosis, opt.console())
        typer.echo(f"\n{out / 'report.html'}")


def _features(data: str) -> dict[str, FeatureRows]:
    from mmgraph.data import catalogue_features, open_features, plant_catalogue
    from mmgraph.data.load import SYNTHETIC

    if data == SYNTHETIC:
        return catalogue_features(plant_catalogue()[0])
    return open_features(data)


def _interactions(
    data: str, split_rule: str
) -> tuple[tuple[HeteroData, HeteroData] | None, str | None]:
    """Training and validation split, or the reason why there are none."""
    from mmgraph.data import load_dataset
    from mmgraph.errors import UserError

    try:
        train, valid, _ = load_dataset(data, split=split_rule)
    except UserError as error:
        if split_rule != "label":  # the user's own choice
            raise
        return None, error.what  # the report is about the features
    return (train, valid), None


def _show(diagnosis: Diagnosis, console: Console) -> None:
    from mmgraph.bench.spec import format_options

    columns = ("modality", "dim", "items", "missing", "zero", "duplicate rows")
    rows = [
        (name, m.dim, m.rows, m.missing_rows, m.zero_rows, m.duplicate_rows)
        for name, m in diagnosis.modalities.items()
    ]
    _print_table(console, columns, rows)
    if diagnosis.probe is not None:
        _show_probe(diagnosis.probe, console)
    for pair in diagnosis.pairs:
        _show_pair(pair, console)
    for option in diagnosis.clear_options:
        named = format_options(option.options)
        text = f"Try CLEAR:{named}. {option.reason}"
        console.print(text, highlight=False, soft_wrap=True)
    for note in diagnosis.notes:
        console.print(f"Note: {note}", highlight=False, soft_wrap=True)


def _show_probe(probe: Probe, console: Console) -> None:
    from rich.text import Text

    heading = Text("\nDoes projecting pay here?", "bold")
    about = f" {probe.metric} on validation, {probe.num_users} users, no training"
    console.print(heading.append(about, "not bold"))
    columns = ["neighbours by", "as it is"]
    columns += [f"rank {p.rank}, {p.strength:g}" for p in probe.places[0].points[1:]]
    rows = [
        (place.name, *(f"{point.recall:.4f}" for point in place.points))
        for place in probe.places
    ]
    _print_table(console, tuple(columns), rows)
    console.print(probe.suggestion, highlight=False, soft_wrap=True)


def _show_pair(pair: PairDiagnosis, console: Console) -> None:
    from rich.text import Text

    a, b = pair.modalities
    heading = Text(f"\n{a} and {b}", "bold")
    console.print(heading.append(f", {pair.rows} items with both", "not bold"))
    ratio = pair.imbalance_ratio
    facts = [
        ("suggested rank", str(pair.suggested_rank)),
        ("suggested strength", f"{pair.suggested_strength:.2f}"),
        ("effective rank", f"{pair.effective_rank:.2f}"),
        ("energy of the first k", _series(pair.head_energy.items())),
        ("correlation along each", _series(enumerate(pair.correlations[:6], start=1))),
        ("spectral gap", f"{pair.spectral_gap:.3f}" if pair.suggested_rank else "none"),
        ("linear CKA (chance)", f"{pair.cka:.4f} ({pair.cka_by_chance:.4f})"),
        ("sliced Wasserstein (after)", f"{pair.swd:.4f} ({pair.swd_after:.4f})"),
        (
            "imbalance ratio at unit variance",
            "none" if ratio is None else f"{ratio:.2f}",
        ),
    ]
    for name, stability in (pair.stability or {}).items():
        angle = f"{stability.angle_degrees:.1f}°"
        facts.append((f"largest angle between halves, {name}", angle))
    _print_table(console, None, facts)
    rows = [
        (k, f"{o.value:.4f}", _span(o.low, o.high), f"{o.expected:.4f}")
        for k, o in pair.neighbour_overlap.items()
    ]
    _print_table(console, ("K", "neighbours in common", "95 %", "random"), rows)
    if pair.costs:
        columns = (
            "rank",
            *(f"{name}: variance removed" for name in (a, b)),
            *(f"{name}: neighbours changed" for name in (a, b)),
        )
        lines = [
            (
                str(cost.rank),
                *(f"{cost.energy_removed[name]:.1%}" for name in (a, b)),
                *(f"{cost.neighbours_changed[name]:.1%}" for name in (a, b)),
            )
            for cost in pair.costs
        ]
        _print_table(console, columns, lines)
    for text in (pair.reason, *(f"Note: {note}" for note in pair.notes)):
        console.print(text, highlight=False, soft_wrap=True)


def _series(values: Any) -> str:
    return "  ".join(f"{number}: {value:.2f}" for number, value in values)


def _span(low: float, high: float) -> str:
    return f"{low:.4f} to {high:.4f}"


def _print_table(
    console: Console, columns: tuple[str, ...] | None, rows: list[tuple[Any, ...]]
) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=columns is not None, pad_edge=False)
    for number, name in enumerate(columns or rows[0]):
        left = number == 0 or columns is None
        table.add_column(name if columns else "", justify="left" if left else "right")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console.print(table)
