"""When a training writes its checkpoints."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mmgraph.distributed.exchange import ConnectionLostError, word_of_first
from mmgraph.train.loop import TrainingRun


class PeriodicCheckpoints:
    """Writes a run's state from time to time, at its end, and when it is interrupted.

    An interruption (Ctrl-C, SIGTERM, another process gone) comes in the middle of an
    epoch; what is written then is the state after the last epoch that was finished.
    Where processes share the embeddings, none has the state alone: they put it together
    when it is written, and an interruption writes nothing.

    Args:
        run: The run.
        folder: Folder of the checkpoint; nothing is written without one.
        seconds: Least seconds between two.
    """

    def __init__(self, run: TrainingRun, folder: Path | None, seconds: float) -> None:
        self._run, self._folder, self._seconds = run, folder, seconds
        self._written_at = time.monotonic()
        self._unwritten: tuple[dict[str, Any], dict[str, Any]] | None = None
        writes = folder is not None
        self._writes = word_of_first(writes) if run.is_shared else writes

    def __enter__(self) -> PeriodicCheckpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None or self._run.is_shared:
            return
        if issubclass(kind, ConnectionLostError) or not issubclass(kind, Exception):
            try:
                self.write()
            except KeyboardInterrupt:  # torchrun ends what another's end has left
                self.write()
                raise

    def finish_epoch(self) -> None:
        """Take the state after an epoch."""
        if self._writes and not self._run.is_shared:
            self._unwritten = self._run.state()

    @property
    def is_due(self) -> bool:
        """True if the time between two has passed."""
        due = time.monotonic() - self._written_at >= self._seconds
        return bool(word_of_first(due)) if self._run.is_shared else due

    def write(self) -> None:
        """Write the state that was taken last, unless it is written already."""
        if self._writes and self._run.is_shared:
            self._unwritten = self._run.state()
        if self._folder is not None and self._unwritten is not None:
            self._run.save(self._folder, *self._unwritten)
        self._unwritten, self._written_at = None, time.monotonic()
