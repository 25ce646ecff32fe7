"""Requests per second, and their seconds, of a served catalogue on loopback.

    python -m benchmarks serving [--items 10000 100000 1000000] [--seconds 10]
        [--approximate]

A process serves a made-up system of 64 numbers per vector (no training: only the sizes
count); another sends one request after the other over one connection for the given
time, half of them for known users, half with a history of 20 items, 20 items each. CPU
seconds are those of the serving process per request.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from multiprocessing.connection import Connection

import numpy as np

from benchmarks.record import append_record, surroundings

_USERS, _DIMENSION, _HISTORY = 10_000, 64, 20


def serve(num_items: int, approximate: bool, pipe: Connection) -> None:
    """Serve a made-up system, and say where; at the end, the CPU seconds it took."""
    import threading

    import torch
    import uvicorn

    from mmgraph.functional.graph.adjacency import Adjacency
    from mmgraph.serving.app import Current, create_app
    from mmgraph.serving.nearest import proposals_of, share_found
    from mmgraph.serving.server import bound_socket
    from mmgraph.serving.service import Service
    from mmgraph.serving.vectors import Vectors

    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(0)
    user, item = np.arange(_USERS), np.arange(num_items)
    # A few strong directions, as trained vectors have; in a ball no index finds much.
    lengths = torch.linspace(1, 0, _DIMENSION) ** 2
    vectors = Vectors(
        user,
        item,
        torch.randn(_USERS, _DIMENSION, generator=draw) * lengths,
        torch.randn(num_items, _DIMENSION, generator=draw) * lengths,
    )
    edges = torch.stack(
        [
            torch.arange(_USERS).repeat_interleave(_HISTORY),
            torch.randint(num_items, (_USERS * _HISTORY,), generator=draw),
        ]
    )
    history = Adjacency.bipartite(edges, _USERS, num_items)
    service = Service("made up", vectors, history)
    start = time.process_time()
    if approximate:
        service.nearest = proposals_of(vectors.item)
        service.found = share_found(service.nearest, vectors.user, vectors.item)
    built = time.process_time() - start, service.found
    app = create_app(Current(service))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with bound_socket("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        before = time.process_time()
        pipe.send((bound.getsockname()[1], *built))
        pipe.recv()
        pipe.send(time.process_time() - before)
        server.should_exit = True
        thread.join()


def measure(num_items: int, seconds: float, approximate: bool) -> dict[str, float]:
    """Ask one question after the other for a while."""
    import httpx

    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(num_items, approximate, theirs)
    )
    process.start()
    port, cpu_built, found = ours.recv()
    url = f"http://127.0.0.1:{port}/recommend"
    draw, taken = np.random.default_rng(0), []
    with httpx.Client(timeout=60) as client:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if len(taken) % 2:
                body = {"user_id": int(draw.integers(_USERS)), "k": 20}
            else:
                items = draw.integers(num_items, size=_HISTORY).tolist()
                body = {"history": items, "k": 20}
            start = time.perf_counter()
            answer = client.post(url, json=body)
            taken.append(time.perf_counter() - start)
            assert len(answer.raise_for_status().json()["items"]) == 20
    ours.send(None)
    cpu = ours.recv()
    process.join()
    p50, p99 = np.percentile(taken, [50, 99])
    return {
        "p50_ms": 1e3 * p50,
        "p99_ms": 1e3 * p99,
        "per_second": len(taken) / seconds,
        "cpu_ms": 1e3 * cpu / len(taken),
        "found": 1.0 if found is None else found,
        "index_cpu_seconds": cpu_built,
    }


def main() -> None:
    """Every size in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000]
    )
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--approximate", action="store_true", help="An HNSW index.")
    parser.add_argument("--json")
    args = parser.parse_args()
    names = f"{'items':>9} {'p50 ms':>8} {'p99 ms':>8} {'per s':>7}"
    print(f"{names} {'CPU ms':>7} {'found':>6}")
    for num_items in args.items:
        row = measure(num_items, args.seconds, args.approximate)
        print(
            f"{num_items:9} {row['p50_ms']:8.1f} {row['p99_ms']:8.1f} "
            f"{row['per_second']:7.0f} {row['cpu_ms']:7.1f} {row['found']:6.3f}"
        )
        row |= {"items": num_items, "approximate": args.approximate}
        append_record(args.json, "serving", row | surroundings())


if __name__ == "__main__":
    main()
