"""``mmgraph data synth``: plant a catalogue whose right answers are known."""

from __future__ import annotations

from typing import Annotated

import typer

from mmgraph.cli.data.arguments import Force, Out, by_modality
from mmgraph.cli.data.report import report_splits
from mmgraph.cli.options import Device, Json, Quiet, Seed, Threads, set_up


def synth(
    out: Out,
    users: Annotated[int, typer.Option(help="Number of users.")] = 1000,
    items: Annotated[int, typer.Option(help="Number of items.")] = 600,
    interactions: Annotated[int, typer.Option(help="Mean number per user.")] = 20,
    modality: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIM", help="Repeatable; visual=64, textual=48 by default."
        ),
    ] = None,
    shared_rank: Annotated[int, typer.Option(help="Factors all modalities share.")] = 4,
    private_share: Annotated[
        float, typer.Option(help="Ratio of the liking in private factors.")
    ] = 0.8,
    seed: Seed = 0,
    force: Force = False,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Plant a catalogue whose right answers are known and write it to a folder."""
    set_up(seed, device, threads, quiet)
    from mmgraph.data import synthetic, write_dataset
    from mmgraph.data.write import check_dataset_folder
    from mmgraph.errors import UserError

    check_dataset_folder(out, force=force)
    try:
        train, val, test, _ = synthetic(
            seed=seed,
            num_users=users,
            num_items=items,
            interactions_per_user=interactions,
            modalities=_dims(modality) if modality else None,
            shared_rank=shared_rank,
            private_share=private_share,
        )
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error), "choose other sizes") from error
    write_dataset(train, val, test, out, force=force)
    report_splits((train, val, test), str(out), as_json, quiet)


def _dims(modality: list[str]) -> dict[str, int]:
    from mmgraph.errors import UserError

    dims = by_modality(modality, "NAME=DIM")
    for name, dim in dims.items():
        if not (dim.isascii() and dim.isdigit()):
            raise UserError(f"cannot read '{name}={dim}'", "write NAME=DIM")
    return {name: int(dim) for name, dim in dims.items()}
