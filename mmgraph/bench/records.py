"""Records on disk, key by key: lines of results, grid points, ``run.json``."""

# No postponed annotations here: they would hide NotRequired from __required_keys__.
import re
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, get_type_hints

from mmgraph.bench.spec import parse_spec
from mmgraph.options import fits

#: Metrics by split (``valid``, ``test``) and name (``recall@20``).
Metrics = dict[str, dict[str, float]]


class Selection(TypedDict):
    """The choice behind a run."""

    #: Options that were chosen on validation.
    chosen: dict[str, Any]
    #: Grid points that were tried for it.
    tried: int
    #: Seeds that each was tried with; versions up to 0.6 did not record it.
    seeds: NotRequired[int]


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
    #: Of users, items and interactions alone; versions before 0.4 did not record it.
    interactions_sha256: NotRequired[str]
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
    #: Which numbers seeds draw; versions before 0.8 did not record it.
    draws: NotRequired[int]


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
    #: The run that ``mmgraph update`` started from, and how many came and went.
    updated_from: NotRequired[dict[str, Any]]
    #: Of ``model.safetensors``; versions before 0.3 did not record it.
    weights_sha256: NotRequired[str]
    #: Digest of a run with more epochs that has begun, and takes its place at the end.
    longer_key: NotRequired[str]


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

_KEY = re.compile(r"[A-Za-z0-9][\w.-]{0,199}", re.ASCII)
_METRICS = tuple(f"{name}@{k}" for name in ("recall", "ndcg") for k in (10, 20))
#: A ratio, and what rounding may add to it.
LARGEST_METRIC = 1 + 1e-6
_COUNTS = ("users", "items", "train", "valid", "test")


def same_data(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """True if two results are of the same splits, so that they can be compared.

    Systems without features do not load them, so that their ``data_sha256`` differs
    from that of systems with.

    Example:
        >>> with_features = {"data_sha256": "a", "interactions_sha256": "c"}
        >>> same_data(with_features, {"data_sha256": "b", "interactions_sha256": "c"})
        True
        >>> same_data(with_features, {"data_sha256": "b"})
        False
    """
    of_interactions = "interactions_sha256"
    if of_interactions in one and of_interactions in other:
        return bool(one[of_interactions] == other[of_interactions])
    return bool(one["data_sha256"] == other["data_sha256"])


def is_key(key: Any) -> bool:
    """True if a value can be the key of a run, which becomes the name of files.

    Example:
        >>> is_key("Popularity-0f"), is_key("../x"), is_key("/x"), is_key("")
        (True, False, False, False)
    """
    return isinstance(key, str) and _KEY.fullmatch(key) is not None


def fault_of_result(line: Mapping[str, Any]) -> str | None:
    """What is wrong with a line of ``results.jsonl``, None where nothing is.

    Example:
        >>> fault_of_result({"key": "../x"})
        "the line has no 'spec'"
    """
    return (
        _fault_of_record(line, ResultLine)
        or _fault_of_counts(line["counts"])
        or _fault_of_metrics(line["metrics"])
        or _fault_of_selection(line.get("selection"))
    )


def fault_of_point(line: Mapping[str, Any]) -> str | None:
    """What is wrong with a line of ``selection.jsonl``, None where nothing is.

    Example:
        >>> fault_of_point({"key": 5})
        "the line has no 'spec'"
    """
    return _fault_of_record(line, GridPoint)


def fault_of_epoch(line: Mapping[str, Any]) -> str | None:
    """What is wrong with a line of a history, None where nothing is.

    Example:
        >>> fault_of_epoch({"epoch": 1, "loss/bpr": "low"})
        "'loss/bpr' cannot be 'low'"
    """
    if not fits(line.get("epoch"), int):
        return _not_so("epoch", line.get("epoch"))
    wrong = [name for name, value in line.items() if not _is_number(value)]
    return _not_so(wrong[0], line[wrong[0]]) if wrong else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fault_of_record(line: Mapping[str, Any], record: Any) -> str | None:
    for name, kind in get_type_hints(record).items():
        if name not in line:
            if name in record.__required_keys__:
                return f"the line has no {name!r}"
        elif not fits(line[name], kind):
            return _not_so(name, line[name])
    if not is_key(line["key"]):
        return f"{line['key']!r:.80} is no key of a run"
    try:
        parse_spec(line["spec"])
    except (ValueError, RecursionError):
        return _not_so("spec", line["spec"])
    return None


def _fault_of_metrics(metrics: Mapping[str, Mapping[str, Any]]) -> str | None:
    for split in ("valid", "test"):
        values = metrics.get(split, {})
        for name in _METRICS:
            if name not in values:
                return f"the line has no metric {name!r} of {split}"
            if not 0 <= values[name] <= LARGEST_METRIC:
                return _not_so(f"{split} {name}", values[name])
    return None


def _fault_of_counts(counts: Mapping[str, int]) -> str | None:
    lacking = [name for name in _COUNTS if name not in counts]
    return f"the line has no count of {lacking[0]!r}" if lacking else None


def _fault_of_selection(selection: Any) -> str | None:
    if selection is None:
        return None
    if not isinstance(selection, Mapping):
        return _not_so("selection", selection)
    for name, kind in get_type_hints(Selection).items():
        lacks = name not in selection
        if lacks and name not in Selection.__required_keys__:
            continue
        if lacks or not fits(selection[name], kind):
            return _not_so("selection", selection)
    return None


def _not_so(name: str, value: Any) -> str:
    return f"{name!r} cannot be {value!r:.80}"
