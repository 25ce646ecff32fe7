"""Records on disk, key by key: lines of results, grid points, ``run.json``."""

# No postponed annotations here: they would hide NotRequired from __required_keys__.
from typing import Any, NotRequired, TypedDict

#: Metrics by split (``valid``, ``test``) and name (``recall@20``).
Metrics = dict[str, dict[str, float]]


class Selection(TypedDict):
    """The choice behind a run."""

    #: Options that were chosen on validation.
    chosen: dict[str, Any]
    #: Grid points that were tried for it.
    tried: int


class _Measured(TypedDict):
    """Keys that a line of results and ``run.json`` share."""

    #: The system as the user named it; its parts follow.
    spec: str
    model: str
    plugin: str | None
    fidelity: str
    options: dict[str, Any]
    trainer: dict[str, Any]
    #: Digest of all that decides the result.
    key: str
    data: str
    data_sha256: str
    #: Users, items, and interactions of each split.
    counts: dict[str, int]
    metrics: Metrics
    best_epoch: int
    epochs: int
    seconds_per_epoch: float
    seconds_per_evaluation: float
    peak_memory_bytes: int
    device: str
    versions: dict[str, str]


class ResultLine(_Measured):
    """A line of ``results.jsonl``."""

    #: None for *Popularity*, which draws nothing.
    seed: int | None
    selection: NotRequired[Selection]


class RunInfo(_Measured):
    """``run.json`` of a finished run."""

    #: ``"finished"``; before that the file has this and ``key`` alone.
    status: str
    seed: int
    data_location: str
    split_rule: str
    split_seed: int


#: A line of ``selection.jsonl``. Where training diverged, the value is None and there
#: is an error.
GridPoint = TypedDict(
    "GridPoint",
    {
        "spec": str,
        "options": dict[str, Any],
        "trainer": dict[str, Any],
        "seed": int,
        "key": str,
        "best_epoch": NotRequired[int],
        "epochs": NotRequired[int],
        "error": NotRequired[str],
        "valid_recall@20": float | None,
    },
)
