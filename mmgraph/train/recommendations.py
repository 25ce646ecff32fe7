"""Recommendations as a table of original ids."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.data.formats.columns import parse_ids
from mmgraph.data.formats.id_list import read_id_list, split_id_list
from mmgraph.data.ids import ids_to_index, one_kind
from mmgraph.errors import UserError
from mmgraph.files import write_atomic_by
from mmgraph.folders import list_contents, new_folder
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.recommend.candidates import candidate_items
from mmgraph.functional.recommend.popular_lists import by_popularity, popular_lists
from mmgraph.models.base import Recommender
from mmgraph.schema import INTERACTS, ITEM, USER
from mmgraph.train.arguments import check_kinds
from mmgraph.train.evaluation import Rank, Ranked, rank_items

log = logging.getLogger(__name__)

#: Treatments of users that the data lack.
UNKNOWN = ("error", "skip", "popular")
#: Rows of a table that are held and written at a time.
_ROWS = 2**18
#: What the first file of a table in a folder is called.
FIRST_SHARD = "part-00000.parquet"


def recommend_table(
    model: Recommender,
    data: HeteroData,
    user_ids: Sequence[object] | None = None,
    k: int = 20,
) -> pd.DataFrame:
    """The ``k`` best items of users, by original ids.

    Args:
        model: A trained model.
        data: The data it was trained on.
        user_ids: Original ids, as they are or as text; None for all users.
        k: Items per user.

    Returns:
        Columns ``user_id, item_id, rank, score``, users in the order given, rank from
        1. Items of the user's training history never occur, so a user with few
        candidates left has fewer rows. A user of whom the model knows nothing, as she
        has no training pair, gets the most popular items, see :class:`Choice`.

    Raises:
        UserError: If an id is unknown, naming it.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.models import build_model
        >>> train, _, _ = load_dataset("synthetic")
        >>> user = train["user"].raw_id[0]
        >>> table = recommend_table(build_model("MF-BPR", train), train, [user], k=3)
        >>> list(table.columns), list(table["rank"])
        (['user_id', 'item_id', 'rank', 'score'], [1, 2, 3])
    """
    blocks = recommend_blocks(model, data, user_ids, k)
    return pd.concat(list(blocks), ignore_index=True)


def recommend_blocks(
    model: Recommender,
    data: HeteroData,
    user_ids: Sequence[object] | None = None,
    k: int = 20,
    *,
    on_users: Callable[[int], None] | None = None,
) -> Iterator[pd.DataFrame]:
    """:func:`recommend_table` in parts of some hundred thousand rows, one at a time.

    Args:
        model: A trained model.
        data: The data it was trained on.
        user_ids: Original ids, as they are or as text; None for all users.
        k: Items per user.
        on_users: Called with the number of users that were ranked since its last call.

    Yields:
        Parts of the table, the users of one part together; one at least.

    Raises:
        UserError: If an id is unknown, naming it.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.models import build_model
        >>> train, _, _ = load_dataset("synthetic")
        >>> parts = recommend_blocks(build_model("MF-BPR", train), train, k=1)
        >>> [len(part) for part in parts] == [train["user"].num_nodes]
        True
    """
    check_kinds(model, data=data)
    if user_ids is None:
        users = torch.arange(int(data[USER].num_nodes))
    else:
        users = ids_to_index(data, USER, user_ids)
    return recommend_chosen(model, data, Audience(users), k, on_users=on_users)


@dataclass(frozen=True)
class Choice:
    """Who is taken, and which items may come.

    Attributes:
        unknown: Users that the data lack: ``"error"``, ``"skip"`` them, or give them
            the most ``"popular"`` candidates, with training interactions as scores.
            Users of the data for whom the best candidates all score 0, as the vector of
            one without a training pair is of zeros, get these too, unless they are
            skipped: any order of such candidates would be as good.
        candidates: ``"all"`` items, ``"warm"`` ones (with training interactions) or
            ``"cold"`` ones (without).
        allow: The only items that may come: a file with one id per line, or ids with
            commas between.
        deny: Items that may not, in the same form.
        include_seen: Leave no item of a user's training history out.
        titles: Title of each item that has one, by its id as text, for a column
            ``title``; None: no such column.
    """

    unknown: str = "error"
    candidates: str = "all"
    allow: str | None = None
    deny: str | None = None
    include_seen: bool = False
    titles: Mapping[str, str] | None = None


class Audience(NamedTuple):
    """Users who get recommendations: rows of the data, and ids that it lacks."""

    users: Tensor
    strangers: tuple[str, ...] = ()


def choose_users(users: str | None, data: HeteroData, unknown: str) -> Audience:
    """Users of a file or of a list, each once.

    Args:
        users: A file with one id per line, or ids with commas between; None: all.
        data: The data that know them.
        unknown: See :class:`Choice`.

    Raises:
        UserError: If there are none, the file is not UTF-8 text, or one is unknown
            (with its row in the file) and may not be.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> train, _, _ = load_dataset("synthetic")
        >>> choose_users("u001, eve,u001", train, "popular")
        Audience(users=tensor([1]), strangers=('eve',))
    """
    if unknown not in UNKNOWN:
        raise UserError(f"unknown is {unknown!r}", f"write {', '.join(UNKNOWN)}")
    if users is None:
        return Audience(torch.arange(int(data[USER].num_nodes)))
    known = np.asarray(data[USER].raw_id)
    if unknown == "error":
        or_else = "or choose unknown 'skip' or 'popular'"
        listed = read_id_list(users, known, "user", or_else=or_else)
        return Audience(torch.from_numpy(listed))
    rows, strangers = split_id_list(users, known, "user")
    if unknown == "skip" and not len(rows):
        raise UserError(
            f"none of the {len(strangers)} users is known",
            "name others, or give them what is popular",
        )
    if strangers:
        done = _done_with_unknown(unknown)
        log.info("unknown users %s: %d", done, len(strangers))
    return Audience(
        torch.from_numpy(rows), tuple(strangers) if unknown == "popular" else ()
    )


def recommend_chosen(
    model: Recommender,
    data: HeteroData,
    audience: Audience,
    k: int = 20,
    choice: Choice | None = None,
    *,
    on_users: Callable[[int], None] | None = None,
    rank: Rank = rank_items,
) -> Iterator[pd.DataFrame]:
    """:func:`recommend_blocks` for users and items that were chosen.

    Args:
        model: A trained model.
        data: The data it was trained on.
        audience: The users; those that the data lack come last.
        k: Items per user.
        choice: Which items may come.
        on_users: See :func:`recommend_blocks`.
        rank: See :func:`~mmgraph.train.evaluation.evaluate`.

    Returns:
        Parts of the table, as :func:`recommend_blocks` yields them.

    Raises:
        UserError: If a listed item is unknown, or no item may come.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.models import build_model
        >>> train, _, _ = load_dataset("synthetic")
        >>> model, two = build_model("MF-BPR", train), Audience(torch.tensor([4, 2]))
        >>> choice = Choice(allow="i007,i009", titles={"i007": "Tea"})
        >>> (part,) = recommend_chosen(model, train, two, 2, choice)
        >>> list(part.columns), sorted(set(part["title"]))
        (['user_id', 'item_id', 'rank', 'score', 'title'], ['', 'Tea'])
    """
    choice = choice or Choice()
    degree, known = _degree(data), np.asarray(data[ITEM].raw_id)
    candidates = chosen_items(data, choice)
    user_raw, strangers = _ids_of_one_kind(data, audience)
    ranked = rank(
        model,
        data,
        audience.users,
        k,
        candidates=candidates,
        include_seen=choice.include_seen,
    )
    order = by_popularity(degree, candidates)
    popular = _popular(degree, order[:k], len(strangers), len(user_raw))
    ids = (np.concatenate([user_raw, strangers]), known)
    told = _of_the_unknown(ranked, data, degree, order, k, choice)
    return _with_titles(_blocks(ids, chain(told, popular), on_users), choice.titles)


def chosen_items(data: HeteroData, choice: Choice) -> Tensor | None:
    """The only items that may come, ascending; None: all.

    Args:
        data: The data that know them.
        choice: Which they are.

    Raises:
        UserError: If a listed item is unknown, or no item may come.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> train, _, _ = load_dataset("synthetic")
        >>> chosen_items(train, Choice(allow="i009,i007,i008", deny="i008"))
        tensor([7, 9])
    """
    known = np.asarray(data[ITEM].raw_id)
    allow, deny = (
        None if words is None else torch.from_numpy(read_id_list(words, known, "item"))
        for words in (choice.allow, choice.deny)
    )
    return candidate_items(_degree(data), choice.candidates, allow=allow, deny=deny)


def _degree(data: HeteroData) -> Tensor:
    """Training interactions of each item."""
    items = data[INTERACTS].edge_index[1]
    return torch.bincount(items, minlength=int(data[ITEM].num_nodes))


def _ids_of_one_kind(
    data: HeteroData, audience: Audience
) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the data's users and of the others, both integers or both strings."""
    raw = np.asarray(data[USER].raw_id)
    if not audience.strangers:
        return raw, raw[:0]
    names = pa.array(audience.strangers)
    own, others = one_kind([raw, parse_ids(names, "user", Path(), 0).ids])
    return own, others


def _popular(
    degree: Tensor, items: Tensor, number: int, first: int
) -> Iterator[Ranked]:
    """The same items for everyone whom the data lack, numbered from ``first``."""
    if not number:
        return
    for users in torch.arange(first, first + number).split(max(1, _ROWS // len(items))):
        each = (len(users), -1)
        yield users, items.expand(each), degree[items].float().expand(each)


def _of_the_unknown(
    ranked: Iterable[Ranked],
    data: HeteroData,
    degree: Tensor,
    order: Tensor,
    k: int,
    choice: Choice,
) -> Iterator[Ranked]:
    """What is popular, or nothing, in the place of lists whose scores are all zero."""
    history: Adjacency | None = None
    unknown = 0
    for user, item, score in ranked:
        empty = ((score == 0) | (score == -torch.inf)).all(dim=1)
        empty &= (score == 0).any(dim=1)
        rows = empty.nonzero().flatten()
        if len(rows):
            unknown += len(rows)
            if history is None:
                edges = data[INTERACTS].edge_index
                edges = edges[:, :0] if choice.include_seen else edges
                sizes = int(data[USER].num_nodes), len(degree)
                history = Adjacency.bipartite(edges, *sizes)
            seen = history.rows(user[rows].to(degree.device))
            popular, count = popular_lists(degree, order, k, seen)
            if choice.unknown == "skip":
                count = torch.full_like(count, -torch.inf)
            item, score = item.clone(), score.clone()
            item[rows], score[rows] = popular.to(item.device), count.to(score)
        yield user, item, score
    if unknown:
        done = _done_with_unknown(choice.unknown)
        log.info("users of whom the system knows nothing %s: %d", done, unknown)


def _done_with_unknown(unknown: str) -> str:
    return "left out" if unknown == "skip" else "given the most popular items"


def _blocks(
    ids: tuple[np.ndarray, np.ndarray],
    blocks: Iterable[Ranked],
    on_users: Callable[[int], None] | None,
) -> Iterator[pd.DataFrame]:
    ranked: list[Ranked] = []
    rows = 0
    for block in blocks:
        ranked.append(block)
        rows += block[1].numel()
        if on_users is not None:
            on_users(len(block[0]))
        if rows >= _ROWS:
            yield _table(ids, ranked)
            ranked, rows = [], 0
    if ranked:
        yield _table(ids, ranked)


def _with_titles(
    parts: Iterator[pd.DataFrame], titles: Mapping[str, str] | None
) -> Iterator[pd.DataFrame]:
    for part in parts:
        if titles is not None:
            names = part["item_id"].astype(str)
            part = part.assign(title=names.map(titles).fillna(""))
        yield part


def _table(ids: tuple[np.ndarray, np.ndarray], ranked: list[Ranked]) -> pd.DataFrame:
    """Users, items and scores by original ids, as :func:`recommend_table` says."""
    parts = [[each.cpu() for each in block] for block in ranked]
    user, item, score = (torch.cat(e).numpy() for e in zip(*parts, strict=True))
    row, column = np.nonzero(score > -np.inf)
    return pd.DataFrame(
        {
            "user_id": ids[0][user[row]],
            "item_id": ids[1][item[row, column]],
            "rank": column + 1,
            "score": score[row, column],
        }
    )


def check_table_name(path: Path) -> None:
    """Refuse a table that :func:`write_table` could not write.

    Raises:
        UserError: If the name does not end in ``.csv`` or ``.parquet``.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise UserError(f"cannot write {path.name!r}", "name it .csv or .parquet")


def write_table(table: pd.DataFrame | Iterable[pd.DataFrame], path: Path) -> None:
    """Write a table as ``.csv`` or ``.parquet``; it is there whole or not at all.

    Args:
        table: The table, or its parts, of which one at a time is held.
        path: The file.

    Raises:
        UserError: If the name has another ending, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "top.csv"
        >>> parts = [pd.DataFrame({"rank": [rank]}) for rank in (1, 2)]
        >>> write_table(parts, path)
        >>> path.read_text().split()
        ['rank', '1', '2']
    """
    check_table_name(path)
    parts = iter([table] if isinstance(table, pd.DataFrame) else table)
    write = _write_csv if path.suffix == ".csv" else _write_parquet
    write_atomic_by(path, partial(write, parts))


def write_shards(parts: Iterable[pd.DataFrame], folder: Path, rows: int) -> None:
    """Write a table as ``part-00000.parquet``, ... of a folder, whole or not at all.

    Args:
        parts: Of the table, one at a time is held; none is cut.
        folder: The folder; one that this function made is replaced.
        rows: A file ends when it has so many, or more by the rest of a part.

    Raises:
        UserError: If the folder is somebody else's or of another kind, or cannot be
            written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "top"
        >>> parts = [pd.DataFrame({"rank": [rank]}) for rank in (1, 2, 3)]
        >>> write_shards(parts, folder, rows=2)
        >>> [len(pd.read_parquet(path)) for path in sorted(folder.glob("*.parquet"))]
        [2, 1]
    """
    rest = iter(parts)
    with new_folder(folder, replace=FIRST_SHARD) as new:
        for number in count():
            first = next(rest, None)
            if first is None:
                break
            shard = chain([first], _until(rest, rows - len(first)))
            write_table(shard, new / f"part-{number:05}.parquet")
        list_contents(new)


def _until(parts: Iterator[pd.DataFrame], rows: int) -> Iterator[pd.DataFrame]:
    while rows > 0 and (part := next(parts, None)) is not None:
        rows -= len(part)
        yield part


def _write_csv(parts: Iterator[pd.DataFrame], file: io.FileIO) -> None:
    for number, part in enumerate(parts):
        file.write(part.to_csv(index=False, header=number == 0).encode())


def _write_parquet(parts: Iterator[pd.DataFrame], file: Any) -> None:
    first = next(parts)
    while first.empty and (following := next(parts, None)) is not None:
        first = following  # an empty part does not show what its columns hold
    schema = pa.Schema.from_pandas(first, preserve_index=False)
    with pq.ParquetWriter(file, schema) as writer:
        for part in chain([first], parts):
            writer.write_table(pa.Table.from_pandas(part, schema, preserve_index=False))
