"""Pictures to features, by a model of timm."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from mmgraph.device import resolve_device
from mmgraph.encode.encoder import Encoded, Encoder, Fault
from mmgraph.encode.model_folder import model_digest, model_files, model_folder
from mmgraph.encode.packages import check_installed, load_package
from mmgraph.encode.picture import PictureError, open_picture
from mmgraph.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

#: The usual one of the field.
PICTURE_MODEL = "timm/resnet50.a1_in1k"
_OWNER = "timm"
_READERS = 4

Read = Callable[[Path], Tensor]


def picture_encoder(
    model: str = PICTURE_MODEL,
    *,
    root: str | Path = ".",
    batch_size: int = 32,
    device: str = "auto",
) -> Encoder:
    """An encoder of pictures: what a model of timm has before its last layer, pooled.

    Pictures are scaled, cropped and normalised as the model says of its evaluation.

    Args:
        model: A folder that timm saved (``config.json`` and ``model.safetensors``), or
            the name of such a model on the hub.
        root: Folder that paths are relative to.
        batch_size: Pictures that go through the model at once.
        device: Device to compute on.

    Returns:
        The encoder. What is no readable picture gets no features.

    Raises:
        UserError: If timm is missing, the model cannot be had or is none, or its
            weights are no safetensors.
    """
    check_installed("timm")
    check_installed("PIL")
    where = resolve_device(device)
    folder = model_folder(model, owner=_OWNER)
    network, transform = _load(folder)
    network.to(where).eval()
    root = Path(root)

    def read(path: Path) -> Tensor:
        return transform(open_picture(path))

    def encode(paths: Sequence[str]) -> Encoded:
        return _encode(network, read, [root / path for path in paths], batch_size)

    identity = {
        "encoder": "timm",
        "model_sha256": model_digest(folder),
        "root": str(root.resolve()),
        "batch_size": batch_size,
        "device": where.type,
    }
    return Encoder("picture", encode, identity, model_files(folder))


def _load(folder: Path) -> tuple[nn.Module, Callable[[Image], Tensor]]:
    """A model without its last layer, and what makes its input of a picture."""
    fix = "give a folder that timm's save_for_hf made"
    if not (folder / "model.safetensors").is_file():  # timm would look for others
        raise UserError("holds no model.safetensors", fix, path=folder)
    timm = load_package("timm")
    try:
        model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0)
        settings = timm.data.resolve_model_data_config(model)
        return model, timm.data.create_transform(**settings, is_training=False)
    except Exception as error:  # of whatever reads a model
        reason = " ".join(str(error).split())
        raise UserError(f"no model of timm ({reason})", fix, path=folder) from error


def _encode(
    network: nn.Module, read: Read, paths: list[Path], batch_size: int
) -> Encoded:
    """Pictures are read in threads: Pillow decodes without Python's lock."""
    from PIL.Image import DecompressionBombWarning

    where = next(network.parameters()).device
    features: list[np.ndarray] = []
    faults: dict[int, Fault] = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(_READERS) as pool:
        warnings.simplefilter("ignore", DecompressionBombWarning)  # we look, too
        warnings.filterwarnings("ignore", module="PIL")  # of what is read all the same
        for start in range(0, len(paths), batch_size):
            batch = paths[start : start + batch_size]
            found = dict(enumerate(pool.map(_readable(read), batch), start=start))
            faults |= {n: each for n, each in found.items() if isinstance(each, Fault)}
            tensors = [each for each in found.values() if isinstance(each, Tensor)]
            if tensors:
                features.append(_features(network, torch.stack(tensors).to(where)))
    if not features:
        return Encoded(np.zeros((0, 0), np.float32), faults)
    return Encoded(np.concatenate(features), faults)


def _readable(read: Read) -> Callable[[Path], Tensor | Fault]:
    def read_or_fault(path: Path) -> Tensor | Fault:
        try:
            return read(path)
        except PictureError as error:
            return error.fault

    return read_or_fault


def _features(network: nn.Module, batch: Tensor) -> np.ndarray:
    with torch.inference_mode():
        output = network(batch)
    if not isinstance(output, Tensor) or output.dim() != 2:
        raise UserError(
            "the model gives no vector for a picture", "choose another --model"
        )
    features: np.ndarray = output.float().cpu().numpy()
    return features
