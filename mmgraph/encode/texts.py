"""Texts to features, by a model of sentence-transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmgraph.device import resolve_device
from mmgraph.encode.encoder import Encoded, Encoder
from mmgraph.encode.model_folder import model_digest, model_files, model_folder
from mmgraph.encode.packages import check_installed, load_package
from mmgraph.errors import UserError

#: The usual one of the field.
TEXT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
_OWNER = "sentence-transformers"


def text_encoder(
    model: str = TEXT_MODEL, *, batch_size: int = 32, device: str = "auto"
) -> Encoder:
    """An encoder of texts, in float32.

    Args:
        model: A folder that sentence-transformers saved, one of transformers (its
            tokens are averaged), or the name of such a model on the hub.
        batch_size: Texts that go through the model at once.
        device: Device to compute on.

    Returns:
        The encoder. A text longer than the model takes is cut off at its end.

    Raises:
        UserError: If sentence-transformers is missing, the model cannot be had or is
            none, or its weights are no safetensors.
    """
    check_installed("sentence_transformers")
    where = resolve_device(device)
    folder = model_folder(model, owner=_OWNER)  # loading the packages takes seconds
    package = load_package("sentence_transformers")
    load_package("transformers").utils.logging.disable_progress_bar()
    try:
        encoder = package.SentenceTransformer(
            str(folder),
            device=str(where),
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        )
    except Exception as error:  # of whatever reads the many files of a model
        reason = " ".join(str(error).split())
        raise UserError(
            f"no model of sentence-transformers ({reason})",
            "give a folder that its save_pretrained made",
            path=folder,
        ) from error
    encoder.eval()

    def encode(texts: Sequence[str]) -> Encoded:
        return Encoded(_encode(encoder, list(texts), batch_size), {})

    identity = {
        "encoder": "sentence-transformers",
        "model_sha256": model_digest(folder),
        "batch_size": batch_size,
        "device": where.type,
    }
    return Encoder("title", encode, identity, model_files(folder))


def _encode(encoder: Any, texts: list[str], batch_size: int) -> np.ndarray:
    features: np.ndarray = encoder.encode(
        texts, batch_size=batch_size, show_progress_bar=False, convert_to_numpy=True
    )
    return features.astype(np.float32, copy=False)
