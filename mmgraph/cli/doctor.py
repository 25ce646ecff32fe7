"""``mmgraph doctor``: what is installed, and what will be used."""

from __future__ import annotations

from typing import Any

from mmgraph.cli import options as opt

KERNELS = {
    ("torch", "cpu"): "torch embedding_bag on CSR arrays",
    ("torch", "cuda"): "torch sparse CSR product (cuSPARSE)",
    ("torch-sparse", "cpu"): "torch-sparse matmul",
    ("torch-sparse", "cuda"): "torch-sparse matmul",
}


def doctor(
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Show versions, devices and the kernels in use; attach it to every bug report.

    Example: mmgraph doctor --json
    """
    opt.set_up(seed, device, threads, quiet)
    findings = _findings()
    if as_json:
        opt.emit_json(findings)
        return
    from rich.table import Table

    table = Table(show_header=False, box=None)
    for name, value in findings.items():
        for key, text in value.items() if isinstance(value, dict) else [("", value)]:
            table.add_row(name.replace("_", " "), key, str(text))
    opt.console().print(table)


def _findings() -> dict[str, Any]:
    import os
    import platform

    import torch

    from mmgraph.bench.versions import versions
    from mmgraph.device import usable_cores
    from mmgraph.functional.graph.kernels import kernel_of
    from mmgraph.knn.search.backends import resolve_backend

    installed = versions()
    count = torch.cuda.device_count()
    gpus = {f"cuda:{n}": torch.cuda.get_device_name(n) for n in range(count)}
    folder = os.environ.get("MMGRAPH_DATA")
    return {
        "versions": installed,
        "platform": platform.platform(),
        "devices": {"cpu": f"{usable_cores()} cores", **gpus},
        "torch_threads": torch.get_num_threads(),
        "knn_backend": {
            kind: resolve_backend("auto", torch.device(kind))
            for kind in ("cpu", "cuda")
        },
        "propagation_kernel": {
            kind: KERNELS[kernel_of(kind), kind] for kind in ("cpu", "cuda")
        },
        "data_folder": folder or "none (MMGRAPH_DATA is not set)",
    }
