"""One system of MMRec, timed as ours are; a checkout of it is needed.

Its loaders, models and trainer run unchanged. Where it searches over values, the one is
taken that our fidelity "released" has by default, so that the work is the same.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

#: Name of each system there, and values of options where it searches over several.
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "MF-BPR": ("BPR", {"reg_weight": 1e-4}),
    "LightGCN": ("LightGCN", {"n_layers": 3, "reg_weight": 1e-4}),
    "LayerGCN": ("LayerGCN", {"dropout": 0.1, "reg_weight": 1e-3}),
    "VBPR": ("VBPR", {"reg_weight": 1e-4}),
    "MMGCN": ("MMGCN", {"reg_weight": 1e-3, "learning_rate": 1e-3}),
    "DualGNN": ("DualGNN", {"reg_weight": 0.1, "learning_rate": 1e-4}),
    "SLMRec": ("SLMRec", {"reg": 1e-4, "ssl_temp": 0.2, "ssl_alpha": 0.1}),
    "LATTICE": ("LATTICE", {"reg_weight": 1e-3, "learning_rate": 5e-4}),
    "BM3": ("BM3", {"n_layers": 1, "dropout": 0.5, "reg_weight": 0.1}),
    "FREEDOM": ("FREEDOM", {"dropout": 0.8, "reg_weight": 1e-3}),
    "MGCN": ("MGCN", {"cl_loss": 0.01}),
    "LGMRec": ("LGMRec", {}),
}


def write_data(
    folder: Path, data: Path, features: Callable[[int], dict[str, Any]]
) -> None:
    """Write a data folder as the peer wants it, with our synthetic features."""
    (source,) = data.glob("*.inter")
    target = folder / "baby"
    target.mkdir()
    table = pd.read_csv(source, sep="\t")
    (target / "baby.inter").write_bytes(source.read_bytes())
    names = {"visual": "image_feat.npy", "textual": "text_feat.npy"}
    for name, x in features(int(table["itemID"].max()) + 1).items():
        np.save(target / names[name], x)
    train = table[table["x_label"] == 0]
    ones = np.ones(len(train), dtype=np.float32)
    matrix = sp.csr_matrix((ones, (train["userID"], train["itemID"])))
    np.save(target / "user_graph_dict.npy", co_occurring(matrix, 200))  # type: ignore[arg-type]


def co_occurring(matrix: sp.csr_matrix, top: int) -> dict[int, list[list[Any]]]:
    """Each user's users with the most items in common, and how many."""
    common = (matrix @ matrix.T).tocsr()
    common.setdiag(0)
    common.eliminate_zeros()
    graph = {}
    for user in range(common.shape[0]):
        row = slice(common.indptr[user], common.indptr[user + 1])
        best = np.argsort(-common.data[row], kind="stable")[:top]
        graph[user] = [
            common.indices[row][best].tolist(),
            common.data[row][best].tolist(),
        ]
    return graph


def measure(checkout: Path, data: Path, system: str, batches: int) -> dict[str, Any]:
    """The figures of one system, in this process."""
    from benchmarks.record import peak_mib
    from benchmarks.roofline import now

    os.chdir(checkout / "src")
    sys.path.insert(0, str(checkout / "src"))
    raw_pictures = ("lmdb", "torchvision", "torchvision.transforms")  # which none has
    for name in (*raw_pictures, "torchvision.transforms.functional"):
        sys.modules[name] = MagicMock()
    # They were part of NumPy and SciPy when the code was written.
    for name, kind in (("int", int), ("float", float), ("bool", bool)):
        setattr(np, name, kind)
    sp.dok_matrix._update = lambda matrix, more: matrix._dict.update(more)  # type: ignore[attr-defined]
    # Two models ask for a GPU whatever the options say.
    torch.Tensor.cuda = torch.nn.Module.cuda = lambda it, *_, **__: it  # type: ignore[assignment]
    # One model looks for them there.
    for name in ("common", "common.abstract_recommender", "common.loss"):
        sys.modules[f"models.{name}"] = importlib.import_module(name)
    from utils.configurator import Config
    from utils.dataloader import EvalDataLoader, TrainDataLoader
    from utils.dataset import RecDataset
    from utils.utils import get_model, get_trainer, init_seed

    name, chosen = OPTIONS[system]
    config = Config(name, "baby", {"use_gpu": False, "data_path": f"{data}/"})
    config["seed"] = 999
    for option in config["hyper_parameters"]:
        if isinstance(config[option], list):
            config[option] = config[option][0]
    for option, value in chosen.items():
        config[option] = value
    init_seed(999)
    splits = RecDataset(config).split()
    for split in splits:
        str(split)  # counts what its loaders use
    train = TrainDataLoader(
        config, splits[0], batch_size=config["train_batch_size"], shuffle=True
    )
    val = EvalDataLoader(
        config,
        splits[1],
        additional_dataset=splits[0],
        batch_size=config["eval_batch_size"],
    )
    train.pretrain_setup()
    begin = now()
    model = get_model(name)(config, train)
    for module in model.modules():  # on a GPU, moving it makes it no parameter
        if (placeholder := module._parameters.pop("result_embed", None)) is not None:
            module.result_embed = placeholder.detach()
    trainer = get_trainer()(config, model, False)
    set_up = now() - begin

    class Some:
        """The first batches of an epoch."""

        def __init__(self, number: int) -> None:
            self.number = number

        def __iter__(self):  # type: ignore[no-untyped-def]
            train.pr = train.inter_pr = 0
            return islice(iter(train), self.number)

    def epoch(number: int) -> float:
        begin = now()
        model.pre_epoch_processing()
        trainer._train_epoch(Some(number), 0)
        return now() - begin

    epoch(1)
    first = epoch(1)
    per_step = (epoch(1 + batches) - first) / batches
    begin = now()
    trainer.evaluate(val)
    return {
        "epoch": first + (len(train) - 1) * per_step,
        "evaluation": now() - begin,
        "set_up": set_up,
        "peak_mib": peak_mib(),
        "parameters": sum(p.numel() for p in model.parameters()),
    }


if __name__ == "__main__":
    _, checkout, data, system, batches = sys.argv
    print(json.dumps(measure(Path(checkout), Path(data), system, int(batches))))
