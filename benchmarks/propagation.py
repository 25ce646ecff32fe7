"""Forward + backward of one symmetric propagation, every known way, in one run.

    python -m benchmarks propagation [--data DIR] [--dim 64] [--device cpu]

Each way multiplies the same normalised user-item graph with the same matrix and is
checked against float64 before it is timed. Rounds take the ways in turn, so that a busy
machine slows all of them alike; the figures are medians over the rounds: process CPU
milliseconds on a CPU, event milliseconds on a GPU. Without --data the graph is random,
of the size of Amazon Baby.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.nn import LGConv

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import stack_user_item, symmetric_norm
from mmgraph.nn.conv import LightGCNConv

warnings.filterwarnings("ignore", message=".*[Ss]parse.*")


def baby_sized(folder: str | None) -> tuple[Tensor, int]:
    """Stacked edges and number of nodes."""
    if folder is not None:
        from mmgraph.data import load_dataset
        from mmgraph.schema import INTERACTS

        train, _, _ = load_dataset(folder)
        users, items = train["user"].num_nodes, train["item"].num_nodes
        return stack_user_item(train[INTERACTS].edge_index, users), users + items
    generator = torch.Generator().manual_seed(0)
    users, items, edges = 19_445, 7_050, 118_551
    popularity = torch.rand(items, generator=generator).pow(3)
    item = torch.multinomial(popularity, edges, replacement=True, generator=generator)
    user = torch.randint(users, (edges,), generator=generator)
    pairs = torch.unique(torch.stack([user, item]), dim=1)
    return stack_user_item(pairs, users), users + items


class _Csr(torch.autograd.Function):
    """A symmetric CSR matrix that is its own adjoint, by a given product."""

    @staticmethod
    def forward(ctx, x, matrix, product):  # type: ignore[no-untyped-def]
        ctx.matrix, ctx.product = matrix, product
        return product(matrix, x)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return ctx.product(ctx.matrix, grad), None, None


def ways(edge_index: Tensor, num_nodes: int) -> dict[str, Callable[[Tensor], Tensor]]:
    """Name -> product with the normalised graph."""
    weight = symmetric_norm(edge_index, num_nodes)
    adj = Adjacency.from_edge_index(edge_index, weight, num_src=num_nodes)
    adj.t()
    ours, plain = LightGCNConv(), LGConv(normalize=False)
    normalizing = LGConv()
    csr = adj.csr()
    coo = torch.sparse_coo_tensor(
        edge_index.flip(0), weight, (num_nodes, num_nodes)
    ).coalesce()
    bag_index, bag_ptr = adj.col, adj.rowptr
    wide = (adj.col.long(), adj.rowptr.long())
    sorted_index = EdgeIndex(
        adj.edge_index(), sparse_size=(num_nodes, num_nodes), sort_order="col"
    ).fill_cache_()

    def bag(index: Tensor, offsets: Tensor) -> Callable[[Tensor], Tensor]:
        def product(_: object, x: Tensor) -> Tensor:
            return F.embedding_bag(
                index, x, offsets, mode="sum", per_sample_weights=adj.weight,
                include_last_offset=True,
            )  # fmt: skip

        return lambda x: _Csr.apply(x, None, product)

    found: dict[str, Callable[[Tensor], Tensor]] = {
        "mmgraph LightGCNConv(adjacency)": lambda x: ours(x, adj),
        "LGConv(edge_index)": lambda x: normalizing(x, edge_index),
        "LGConv(edge_index, edge_weight)": lambda x: plain(x, edge_index, weight),
        "LGConv(CSR)": lambda x: plain(x, csr),
        "COO coalesced": lambda x: torch.sparse.mm(coo, x),
        "CSR @ x, own adjoint": lambda x: _Csr.apply(x, csr, lambda a, y: a @ y),
        "embedding_bag int64, own adjoint": bag(*wide),
        "embedding_bag int32, own adjoint": bag(bag_index, bag_ptr),
        "EdgeIndex.matmul": lambda x: sorted_index.matmul(
            x, input_value=adj.weight, transpose=True
        ),
    }
    if not edge_index.is_cuda:
        found["torch.sparse.mm reduce, own adjoint"] = lambda x: _Csr.apply(
            x, csr, lambda a, y: torch.sparse.mm(a, y, "sum")
        )
    try:
        import torch_sparse

        sparse = torch_sparse.SparseTensor(
            row=adj.row().long(), col=adj.col.long(), value=adj.weight,
            sparse_sizes=(num_nodes, num_nodes),
        )  # fmt: skip
        found["torch_sparse.matmul"] = lambda x: sparse.matmul(x)
    except ImportError:
        pass
    return found


def measure(step: Callable[[], None], device: torch.device, repeats: int) -> float:
    """Milliseconds per call: CPU time of the process, or GPU time by events."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(repeats):
            step()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / repeats
    begin = time.process_time()
    for _ in range(repeats):
        step()
    return (time.process_time() - begin) * 1e3 / repeats


def main() -> None:
    """Check, time and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json")
    args = parser.parse_args()
    device = torch.device(args.device)
    edge_index, num_nodes = baby_sized(args.data)
    edge_index = edge_index.to(device)
    x = torch.randn(num_nodes, args.dim, device=device, requires_grad=True)
    upstream = torch.randn(num_nodes, args.dim, device=device)

    weight = symmetric_norm(edge_index, num_nodes).double()
    src, dst = edge_index
    exact = torch.zeros(num_nodes, args.dim, dtype=torch.float64, device=device)
    exact.index_add_(0, dst, weight[:, None] * x.detach().double()[src])
    exact_grad = torch.zeros_like(exact)
    exact_grad.index_add_(0, src, weight[:, None] * upstream.double()[dst])

    steps, errors = {}, {}
    for name, product in ways(edge_index, num_nodes).items():
        try:
            y = product(x)
            (grad,) = torch.autograd.grad(y, x, upstream)
        except (RuntimeError, NotImplementedError, ValueError) as error:
            print(f"{name}: not available ({str(error).splitlines()[0][:80]})")
            continue
        errors[name] = max(
            float((y.detach().double() - exact).abs().max()),
            float((grad.double() - exact_grad).abs().max()),
        )

        def step(product: Callable[[Tensor], Tensor] = product) -> None:
            torch.autograd.grad(product(x), x, upstream)

        steps[name] = step
    times: dict[str, list[float]] = {name: [] for name in steps}
    repeats = 50 if device.type == "cuda" else 5
    for _ in range(args.rounds):
        for name, step in steps.items():
            times[name].append(measure(step, device, repeats))
    middle = {name: statistics.median(values) for name, values in times.items()}
    own = middle["mmgraph LightGCNConv(adjacency)"]
    hardware = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    )
    print(
        f"{hardware}, torch {torch.__version__}: {num_nodes} nodes, "
        f"{edge_index.size(1)} edges, d = {args.dim}"
    )
    print(f"{'forward + backward':38}{'ms':>9}{'x ours':>9}{'max error':>12}")
    rows = []
    for name, value in sorted(middle.items(), key=lambda pair: pair[1]):
        print(f"{name:38}{value:9.3f}{value / own:9.2f}{errors[name]:12.1e}")
        rows.append({"way": name, "ms": value, "ratio": value / own,
                     "max_error": errors[name]})  # fmt: skip
    if args.json:
        record = {"hardware": hardware, "torch": torch.__version__, "dim": args.dim,
                  "nodes": num_nodes, "edges": edge_index.size(1),
                  "rows": rows}  # fmt: skip
        Path(args.json).write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
