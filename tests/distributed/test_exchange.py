"""What processes send each other, by three real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mmgraph.distributed.exchange import (
    ConnectionLostError,
    between_processes,
    rows_of_all,
    sum_gradients,
    sum_over_processes,
    take_from_first,
    word_of_first,
    words_of_all,
)
from mmgraph.distributed.group import joined_processes
from mmgraph.distributed.world import world


def exchange_everything(out):
    """What each of three processes got, as JSON."""
    with joined_processes("cpu"):
        rank, sizes = world().rank, [2, 0, 1]
        table = {"b": torch.full((2,), float(rank)), "a": torch.tensor([rank]).bool()}
        turned = torch.arange(6.0).view(2, 3) * (1 + rank)
        table["turned"] = turned.T
        take_from_first(table)
        dense, sparse, none, short = (
            torch.nn.Parameter(torch.zeros(3, 2)) for _ in range(4)
        )
        dense.grad = torch.full((3, 2), 1.0 + rank)
        short.grad = torch.full((3, 2), 10.0 * rank, dtype=torch.float32)
        index = torch.tensor([[rank, rank]])
        sparse.grad = torch.sparse_coo_tensor(index, torch.ones(2, 2), (3, 2))
        sum_gradients([dense, sparse, none, short])
        got = {
            "sum": sum_over_processes(torch.tensor([1.0, rank])).tolist(),
            "rows": rows_of_all(torch.full((sizes[rank], 1), rank), sizes).tolist(),
            "flags": rows_of_all(torch.tensor([rank == 1]), [1, 1, 1]).tolist(),
            "first": word_of_first({"rank": rank}),
            "all": words_of_all("é" * rank),
            "table": {name: value.tolist() for name, value in table.items()},
            "dense": dense.grad.tolist(),
            "sparse": sparse.grad.to_dense().tolist(),
            "none": none.grad,
            "short": short.grad.tolist(),
        }
        Path(f"{out}-{rank}").write_text(json.dumps(got))


def test_three_processes(launch, tmp_path):
    out = tmp_path / "got"
    outputs = launch(3, exchange_everything, str(out)).outputs()
    assert [code for code, *_ in outputs] == [0, 0, 0], outputs
    expected = {
        "sum": [3.0, 3.0],
        "rows": [[0], [0], [2]],
        "flags": [False, True, False],
        "first": {"rank": 0},
        "all": ["", "é", "éé"],
        "table": {
            "b": [0.0, 0.0],
            "a": [False],
            "turned": [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]],
        },
        "dense": [[6.0, 6.0]] * 3,
        "sparse": [[2.0, 2.0]] * 3,
        "none": None,
        "short": [[30.0, 30.0]] * 3,
    }
    for rank in range(3):
        assert json.loads(Path(f"{out}-{rank}").read_text()) == expected


def test_one_process_keeps_what_it_has():
    x, parameter = torch.ones(2), torch.nn.Parameter(torch.ones(1))
    parameter.sum().backward()
    gradient = parameter.grad
    sum_gradients([parameter])
    take_from_first({"x": x})
    assert parameter.grad is gradient
    assert sum_over_processes(x) is x
    assert rows_of_all(x, [2]) is x
    assert words_of_all(float("inf")) == [float("inf")]


def test_an_error_of_the_exchange_is_a_lost_connection(monkeypatch):
    def fail(tensor):
        raise RuntimeError("Connection closed by peer\nand more")

    module = "mmgraph.distributed.exchange"
    monkeypatch.setattr(f"{module}.world", lambda: type(world())(0, 2))
    monkeypatch.setattr(f"{module}.dist.all_reduce", fail)
    with pytest.raises(ConnectionLostError) as error:
        sum_over_processes(torch.ones(1))
    assert str(error.value) == (
        "the connection to another process is lost (Connection closed by peer) - "
        "start again with --resume"
    )


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("No backend type associated with device type cpu"),
    ],
)
def test_other_errors_are_no_lost_connection(error):
    @between_processes
    def fail():
        raise error

    with pytest.raises(RuntimeError) as caught:
        fail()
    assert caught.value is error
