"""Parts of a feature file on a Ray cluster."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

import torch

from mmgraph.cluster import cluster_device, done_on_cluster, joined_cluster
from mmgraph.encode.encoder import Encoded, Encoder
from mmgraph.encode.item_features import EncodeParts
from mmgraph.errors import UserError

#: Loads an encoder on the device that it is given.
MakeEncoder = Callable[[str], Encoder]


@dataclass(frozen=True)
class _Encoding:
    """What a worker does with the contents of a part."""

    make: MakeEncoder = field(compare=False)
    device: str
    threads: int
    identity: str

    def __call__(self, contents: list[str]) -> Encoded:
        return _encoder_of(self).encode(contents)


@contextmanager
def encoding(
    make: MakeEncoder,
    encoder: Encoder,
    *,
    ray: str | None = None,
    gpus: float | None = None,
    device: str = "auto",
    threads: int = 0,
) -> Iterator[EncodeParts | None]:
    """What encodes parts on a cluster, inside the block; None: this process does.

    Every machine finds the model, and pictures, under the same path. The part of a lost
    worker is made again.

    Args:
        make: Loads the encoder on a machine: a function that Ray can copy.
        encoder: The same, loaded here.
        ray: Address of a cluster, or ``"auto"``; None: no cluster.
        gpus: GPUs of a part, a share of one too (default: one, where this process would
            compute on one).
        device: Device to compute on.
        threads: CPU threads of a part; 0: one core.

    Yields:
        For :func:`~mmgraph.encode.item_features.write_item_features`.

    Raises:
        UserError: If Ray is not installed or not there, or GPUs are asked for where
            this process has none; from what is yielded, if a machine lacks the model,
            or has another one.
    """
    if ray is None:
        yield None
        return
    kind, num_gpus = cluster_device(device, gpus)
    task = _Encoding(make, kind, threads, json.dumps(encoder.identity))
    with joined_cluster(ray) as joined:

        def encode_parts(parts: Iterable[list[str]]) -> Iterator[Encoded]:
            done = done_on_cluster(
                joined,
                task,
                parts,
                what="a part of the features",
                in_order=True,
                again="go on with --resume",
                resources={"num_cpus": max(1, threads), "num_gpus": num_gpus},
            )
            return (part for _, part in done)

        yield encode_parts


@lru_cache(maxsize=1)
def _encoder_of(task: _Encoding) -> Encoder:
    """The encoder on a machine, which a worker keeps for its next part."""
    if task.threads:
        torch.set_num_threads(task.threads)
    host = socket.gethostname()
    try:
        encoder = task.make(task.device)
    except UserError as error:
        what = f"{error.what} (on {host})"
        raise UserError(what, error.fix, path=error.path) from error
    expected, found = (
        json.loads(task.identity),
        json.loads(json.dumps(encoder.identity)),
    )
    for name, value in expected.items():
        if found.get(name) != value:
            raise UserError(
                f"{name} is {found.get(name)} on {host}, and {value} here",
                "give all machines the same model and paths",
            )
    return encoder
