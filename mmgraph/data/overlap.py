"""How far the ids of two tables meet, said where they meet only in part."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from mmgraph.data.ids import match_ids

log = logging.getLogger(__name__)


def log_overlap(
    ids: np.ndarray,
    known: np.ndarray,
    *,
    label: str | Path,
    known_label: str,
    is_table: bool = True,
) -> None:
    """Count the ids that are not among those of another table, and the other way.

    A row of an item without interactions makes a node that no user ever saw: a warning.
    That two modalities cover different items is usual, unless it is for leading zeros.

    Args:
        ids: Distinct ids of the rows of a feature matrix.
        known: Distinct ids of the items of the other table.
        label: File or name of the matrix, for the message.
        known_label: Name of the other table, for the message.
        is_table: It is the table of interactions, not another feature matrix.

    Example:
        >>> logging.basicConfig(force=True)
        >>> log_overlap(
        ...     np.array([7]), np.array(["07", "1"]), label="a.npz", known_label="table"
        ... )
    """
    place = match_ids(known, ids)
    strangers = ids[place < 0]
    has_row = np.zeros(len(known), bool)
    has_row[place[place >= 0]] = True
    without = known[~has_row]
    if strangers.size:
        zeros = _differ_in_zeros(strangers, without)
        hint = f"; {zeros} of them differ in leading zeros alone" if zeros else ""
        log.log(
            logging.WARNING if is_table or zeros else logging.INFO,
            "%s: %d of %d rows are of items that %s lacks, first %r%s; %d of its %d "
            "items without a row",
            label,
            len(strangers),
            len(ids),
            known_label,
            strangers[0].item(),
            hint,
            len(without),
            len(known),
        )
    elif without.size:
        log.info(
            "%s: %d of the %d items of %s without a row",
            label,
            len(without),
            len(known),
            known_label,
        )


def _differ_in_zeros(strangers: np.ndarray, without: np.ndarray) -> int:
    bare = {str(value).lstrip("0") for value in without}
    return sum(str(value).lstrip("0") in bare for value in strangers)
