"""Matrices shared by columns, by three processes and by one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mmgraph.distributed import columns
from mmgraph.distributed.columns import (
    columns_of_first,
    join_columns,
    rows_of_columns,
    whole_matrix,
)
from mmgraph.distributed.group import joined_processes
from mmgraph.distributed.world import world

X = torch.arange(35.0).view(5, 7)


def share_columns(out):
    """What each of three processes got of X, as JSON."""
    columns._SENT_AT_ONCE = 14  # two rows
    with joined_processes("cpu"):
        rank, own = world().rank, world().share(7)
        part = X[:, own].clone().requires_grad_()
        joined = join_columns(part, 7)
        (joined * (1 + rank)).pow(2).sum().backward()
        copied = torch.zeros(5, own.stop - own.start)
        columns_of_first(2 * X if rank == 0 else None, copied, 7)
        got = {
            "joined": joined.tolist(),
            "grad": part.grad.tolist(),
            "rows": rows_of_columns(part.detach(), 7).tolist(),
            "whole": whole_matrix(part, 7).tolist(),
            "first": whole_matrix(part, 7, in_all=False).tolist(),
            "copied": copied.tolist(),
        }
        Path(f"{out}-{rank}").write_text(json.dumps(got))


def test_three_processes(launch, tmp_path):
    out = tmp_path / "got"
    outputs = launch(3, share_columns, str(out)).outputs()
    assert [code for code, *_ in outputs] == [0, 0, 0], outputs
    shares = [(slice(0, 3), slice(0, 2)), (slice(3, 5), slice(2, 4))]
    shares.append((slice(5, 7), slice(4, 5)))
    for rank, (own, rows) in enumerate(shares):
        got = json.loads(Path(f"{out}-{rank}").read_text())
        assert got["joined"] == got["whole"] == X.tolist()
        # The gradient of all processes' sums: 2 x (1 + 4 + 9).
        assert got["grad"] == (28 * X[:, own]).tolist()
        assert got["rows"] == X[rows].tolist()
        assert got["first"] == (X if rank == 0 else X[:, own]).tolist()
        assert got["copied"] == (2 * X[:, own]).tolist()


@pytest.mark.parametrize("function", [join_columns, rows_of_columns, whole_matrix])
def test_one_process_has_all(function):
    assert function(X, 7).equal(X)
