"""The features of a table's items: encoded part by part, then one file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmgraph.data.formats.tables.item_table import ItemTable, LeftOut
from mmgraph.encode.encoder import Encoded, Encoder, Fault
from mmgraph.encode.feature_file import (
    check_feature_file,
    check_ids,
    check_range,
    write_features,
)
from mmgraph.encode.parts import (
    check_parts,
    claim_parts,
    count_parts,
    locked_parts,
    locked_shard,
    parts_folder,
    read_part,
    remove_parts,
    write_part,
)
from mmgraph.errors import UserError
from mmgraph.files import write_atomic
from mmgraph.folders import check_output_file
from mmgraph.shards import parse_shard

#: Rows of a part: what is lost at most where a process is killed.
PART_ROWS = 256
NOT_FINITE = "features that are not finite"
_log = logging.getLogger(__name__)

#: Called with the number of rows that have been done since.
OnRows = Callable[[int], None]
#: Gives what an encoder makes of the contents of each part, in their order.
EncodeParts = Callable[[Iterable[list[str]]], Iterator[Encoded]]


def left_out_file(out: Path) -> Path:
    """File beside a feature file that lists the rows without features.

    Example:
        >>> left_out_file(Path("visual.npz")).name
        'visual.left_out.csv'
    """
    return out.with_name(f"{out.stem}.left_out.csv")


def check_out(
    out: Path,
    *,
    inputs: Iterable[Path],
    dtype: str = "float32",
    resume: bool = False,
) -> None:
    """Refuse a place for features, before any work is done.

    Args:
        out: The feature file.
        inputs: Files that are read: the table, the model.
        dtype: Of the features.
        resume: Parts of a run that was stopped are to be taken.

    Raises:
        UserError: If the file, the list beside it or the folder of parts cannot be
            written, or would cost another file.

    Example:
        >>> check_out(Path("visual.npz"), inputs=[Path("items.csv")])
    """
    check_feature_file(out, dtype)
    inputs = list(inputs)
    check_output_file(out, inputs=inputs)
    check_output_file(left_out_file(out), inputs=inputs)
    check_parts(parts_folder(out), resume=resume)


def write_item_features(
    items: ItemTable,
    encoder: Encoder,
    out: str | Path,
    *,
    dtype: str = "float32",
    resume: bool = False,
    on_rows: OnRows | None = None,
    encode_parts: EncodeParts | None = None,
) -> dict[str, Any]:
    """Encode the items of a table and write their features, whole or not at all.

    Finished parts lie in a folder beside the file until it is there. A run that was
    interrupted or killed goes on with ``resume`` and gives the same bytes as one
    without a break. Items without features are not in the file, so that their mask is
    False in a data set; they are listed in ``<name>.left_out.csv`` beside it.

    Args:
        items: The table.
        encoder: The model.
        out: The feature file, ``.npz``, ``.parquet`` or ``.safetensors``.
        dtype: ``"float32"`` or ``"float16"``.
        resume: Take the parts of a run that was stopped.
        on_rows: Told of the progress.
        encode_parts: The same encoder elsewhere, as
            :func:`~mmgraph.encode.cluster_encoding.encoding` gives it; None: here.

    Returns:
        ``items`` and ``dimension`` of the file, ``left_out`` by reason, and what the
        features depend on.

    Raises:
        UserError: As :func:`check_out`; if parts of something else lie there, another
            process writes them, a value is too large for float16, or no item has
            features.
    """
    out = Path(out)
    inputs = [items.path, *encoder.files]
    check_out(out, inputs=inputs, dtype=dtype, resume=resume)
    check_ids(out, items.ids)
    folder, count = parts_folder(out), _num_parts(items)
    settings = _settings(items, encoder)
    with locked_parts(folder):
        check_parts(folder, resume=resume)
        claim_parts(folder, {**settings, "rows_of_a_part": PART_ROWS})
        parts = range(count)
        _encode_parts(items, encoder, dtype, folder, parts, on_rows, encode_parts)
        dim, kept, faults = _survey(items, folder, count)
        left_out = sorted([*items.left_out, *faults])
        if not kept.any():
            remove_parts(folder, count)
            raise _none_left(items, encoder.kind, left_out)
        blocks = (part.features for part in _parts(folder, count) if len(part.features))
        write_features(out, items.ids[kept], blocks, dim, dtype)
        _write_left_out(left_out_file(out), left_out)
        remove_parts(folder, count)
    return {
        "items": int(kept.sum()),
        "dimension": dim,
        "dtype": dtype,
        "left_out": dict(Counter(each.reason for each in left_out)),
        **settings,
    }


def write_shard(
    items: ItemTable,
    encoder: Encoder,
    out: str | Path,
    shard: str,
    *,
    dtype: str = "float32",
    on_rows: OnRows | None = None,
) -> dict[str, Any]:
    """Encode a share of a table's items: parts alone, and no feature file.

    Machines that reach the same folder of parts work at the same time; where each has a
    folder of its own, its parts are copied into one. When all are there,
    :func:`write_item_features` with ``resume`` makes the file, the same to the byte as
    by itself.

    Args:
        items: The whole table.
        encoder: The model.
        out: The feature file that is to be.
        shard: ``"i/n"``: every n-th part from the i-th on.
        dtype: Of the feature file.
        on_rows: Told of the progress.

    Returns:
        ``folder`` of the parts, how many ``parts`` are in it, and ``of`` how many.

    Raises:
        UserError: If there is no such shard, it is under way already, or as
            :func:`write_item_features`.
    """
    out, number = Path(out), parse_shard(shard)
    inputs = [items.path, *encoder.files]
    check_out(out, inputs=inputs, dtype=dtype, resume=True)
    check_ids(out, items.ids)
    folder, count = parts_folder(out), _num_parts(items)
    settings = {**_settings(items, encoder), "rows_of_a_part": PART_ROWS}
    with locked_shard(folder, number, settings):
        mine = range(number[0] - 1, count, number[1])
        _encode_parts(items, encoder, dtype, folder, mine, on_rows)
        there = count_parts(folder, count)
    return {"folder": str(folder), "parts": there, "of": count}


def rows_of_shard(count: int, shard: str) -> int:
    """How many of a table's rows a shard encodes.

    Example:
        >>> [rows_of_shard(600, f"{i}/2") for i in (1, 2)]
        [344, 256]
    """
    first, step = parse_shard(shard)
    starts = range((first - 1) * PART_ROWS, count, step * PART_ROWS)
    return sum(min(PART_ROWS, count - start) for start in starts)


def _num_parts(items: ItemTable) -> int:
    return -(-len(items.contents) // PART_ROWS)


def _settings(items: ItemTable, encoder: Encoder) -> dict[str, Any]:
    content = json.dumps([items.ids.tolist(), items.contents]).encode()
    digest = hashlib.sha256(content).hexdigest()
    return {**encoder.identity, "table_sha256": digest}


def _encode_parts(
    items: ItemTable,
    encoder: Encoder,
    dtype: str,
    folder: Path,
    parts: range,
    on_rows: OnRows | None,
    encode_parts: EncodeParts | None = None,
) -> None:
    """Make each of the parts that is not there yet."""
    encode_parts = encode_parts or partial(map, encoder.encode)

    def contents_of(number: int) -> list[str]:
        return items.contents[number * PART_ROWS : (number + 1) * PART_ROWS]

    def look_at(part: Encoded, count: int) -> None:
        # Another call may have made it, and for another dtype.
        check_range(part.features, dtype, fix="go on with --resume --dtype float32")
        if on_rows is not None:
            on_rows(count)

    found, missing = 0, []
    for number in parts:
        contents = contents_of(number)
        part = _part_there(folder, number, encoder, contents)
        if part is None:
            missing.append(number)
        else:
            found += len(contents)
            look_at(part, len(contents))
    if found:
        total = sum(len(contents_of(number)) for number in parts)
        _log.info("%d of %d rows were there already", found, total)
    made = encode_parts(map(contents_of, missing))
    for number, encoded in zip(missing, made, strict=True):
        contents = contents_of(number)
        part = _checked(encoded, encoder.kind, len(contents))
        write_part(folder, number, part)
        look_at(part, len(contents))


def _part_there(
    folder: Path, number: int, encoder: Encoder, contents: list[str]
) -> Encoded | None:
    """A part that need not be made; what could not be read then is looked at again."""
    part = read_part(folder, number)
    if part is None:
        return None
    then = {n: part.faults[n].reason for n in sorted(part.faults)}
    unread = [n for n, reason in then.items() if reason != NOT_FINITE]
    if unread:
        again = encoder.encode([contents[n] for n in unread])
        now = _checked(again, encoder.kind, len(unread)).faults
        if [now[n].reason for n in sorted(now)] != [then[n] for n in unread]:
            return None
    return part


def _checked(part: Encoded, kind: str, count: int) -> Encoded:
    """What an encoder gave, with a row or a fault for each content."""
    shape, faults = part.features.shape, len(part.faults.keys() & set(range(count)))
    if len(shape) != 2 or shape[0] + faults != count:
        raise UserError(
            f"the encoder gave features of shape {list(shape)} and {faults} faults "
            f"for {count} {kind}s",
            "give a row, or a fault, for each",
        )
    return _finite(part, count)


def _finite(part: Encoded, count: int) -> Encoded:
    """A part without the rows of features that no reader would take."""
    finite = np.isfinite(part.features).all(axis=1)
    if finite.all():
        return part
    position = np.setdiff1d(np.arange(count), list(part.faults))
    faults = {int(n): Fault(NOT_FINITE) for n in position[~finite]}
    return Encoded(part.features[finite], {**part.faults, **faults})


def _parts(folder: Path, count: int) -> Iterator[Encoded]:
    for number in range(count):
        part = read_part(folder, number)
        if part is None:
            what, fix = f"lost its part {number}", "run again with --resume"
            raise UserError(what, fix, path=folder)
        yield part


def _survey(
    items: ItemTable, folder: Path, count: int
) -> tuple[int, np.ndarray, list[LeftOut]]:
    """Dimension of all parts, which items have features, and why the others do not."""
    dims, left_out = set(), []
    kept = np.ones(len(items.contents), dtype=bool)
    for number, part in enumerate(_parts(folder, count)):
        if len(part.features):
            dims.add(part.features.shape[1])
        for position, fault in part.faults.items():
            n = number * PART_ROWS + position
            kept[n] = False
            row, item = int(items.rows[n]), str(items.ids[n])
            left_out.append(LeftOut(row, item, items.contents[n], *fault))
    return max(dims, default=0), kept, left_out


def _none_left(items: ItemTable, kind: str, left_out: list[LeftOut]) -> UserError:
    first = next(each for each in left_out if each.row in items.rows)
    detail = f": {first.detail}" if first.detail else ""
    return UserError(
        f"no {kind} has features; of this one: {first.reason}{detail}",
        "check the paths and their --root" if kind == "picture" else "check the model",
        path=items.path,
        row=first.row,
    )


def _write_left_out(path: Path, left_out: list[LeftOut]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LeftOut._fields)
    writer.writerows(left_out)
    write_atomic(path, text.getvalue())
