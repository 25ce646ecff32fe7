from __future__ import annotations

import json

import pytest
import torch

from mmgraph.cli import main
from mmgraph.errors import UserError
from mmgraph.functional.graph import kernels
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.kernels import kernel_of, use_kernel


@pytest.fixture
def installed(monkeypatch):
    """Says whether torch-sparse is installed, whatever is."""
    return lambda answer: monkeypatch.setattr(
        kernels, "_has_torch_sparse", lambda: answer
    )


def test_torch_is_the_kernel_of_a_cpu_and_torch_sparse_of_a_gpu_that_has_it(
    installed, monkeypatch
):
    monkeypatch.delenv("MMGRAPH_KERNEL", raising=False)
    installed(True)
    assert (kernel_of("cpu"), kernel_of("cuda")) == ("torch", "torch-sparse")
    installed(False)
    assert (kernel_of("cpu"), kernel_of("cuda")) == ("torch", "torch")


def test_the_environment_asks_and_a_block_asks_louder(installed, monkeypatch, capsys):
    installed(True)
    monkeypatch.setenv("MMGRAPH_KERNEL", "torch-sparse")
    assert kernel_of("cpu") == "torch-sparse"
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["propagation_kernel"]
    assert found == {"cpu": "torch-sparse matmul", "cuda": "torch-sparse matmul"}
    with use_kernel("torch"):
        assert kernel_of("cpu") == "torch"
    assert kernel_of("cpu") == "torch-sparse"


def test_a_kernel_that_is_unknown_or_missing_is_refused(installed, monkeypatch):
    installed(False)
    with pytest.raises(UserError, match="unknown kernel 'torchsparse'"):
        use_kernel("torchsparse").__enter__()
    with pytest.raises(UserError, match="use_kernel asks for torch-sparse, which is"):
        use_kernel("torch-sparse").__enter__()
    monkeypatch.setenv("MMGRAPH_KERNEL", "torch-sparse")
    adj = Adjacency.from_edge_index(torch.tensor([[0], [1]]), num_src=2)
    with pytest.raises(UserError, match="MMGRAPH_KERNEL asks for torch-sparse"):
        adj.matmul(torch.ones(2, 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_kernels_give_the_same_product_and_gradient(device, dtype):
    pytest.importorskip("torch_sparse")
    edges = torch.randint(9, (2, 40), device=device)
    weight = torch.randn(40, device=device)
    upstream = torch.randn(9, 5, device=device, dtype=dtype)
    results = []
    for name in ("torch", "torch-sparse"):
        x = torch.arange(45.0, device=device).view(9, 5).to(dtype).requires_grad_()
        with use_kernel(name):
            adj = Adjacency.from_edge_index(edges, weight, num_src=9)
            y = adj.power_sum(adj.matmul(x), num_layers=2)
            y.backward(upstream)
        results.append((y.detach(), x.grad))
    torch.testing.assert_close(results[0], results[1])
