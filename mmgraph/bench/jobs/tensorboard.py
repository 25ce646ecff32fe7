"""The history of training runs for TensorBoard, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmgraph.bench.jobs.watch import OnEpoch, Watch
from mmgraph.distributed.world import world
from mmgraph.errors import UserError


def to_tensorboard(folder: Path, watch: Watch) -> Watch:
    """A watch that also writes every number of a history as a scalar.

    Each run has a folder of its own, ``<label>-<seed>``; rows are there while it
    trains. Of several processes of one training the first writes.

    Args:
        folder: The folder that ``tensorboard --logdir`` is given.
        watch: What else is shown.

    Raises:
        UserError: If TensorBoard is not installed, or the folder cannot be written.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        fix = "pip install 'mmgraph[tensorboard]', or leave --tensorboard away"
        raise UserError("TensorBoard is not installed", fix) from None
    if not world().is_first:
        return watch
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot be made ({error.strerror})"
        raise UserError(what, "choose another folder", path=folder) from error

    @contextmanager
    def watched(label: str, seed: int, epochs: int) -> Iterator[OnEpoch]:
        with (
            watch(label, seed, epochs) as shown,
            SummaryWriter(str(folder / f"{label}-{seed}")) as writer,
        ):

            def on_epoch(row: dict[str, Any]) -> None:
                if shown is not None:
                    shown(row)
                for name in row.keys() - {"epoch"}:
                    writer.add_scalar(name, row[name], row["epoch"])
                writer.flush()

            yield on_epoch

    return watched
