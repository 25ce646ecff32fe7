from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from mmgraph.encode.encoder import Encoded, Encoder, Fault
from mmgraph.encode.packages import load_package

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "green", "black", "tea", "rum"]


def need(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="session")
def text_model(tmp_path_factory):
    """Folder of a tiny Bert of random weights, as sentence-transformers saves one."""
    need("sentence_transformers")
    load_package("sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    bert, folder = (tmp_path_factory.mktemp(name) for name in ("bert", "text_model"))
    (bert / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab_file=str(bert / "vocab.txt")).save_pretrained(bert)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(bert)
    model = SentenceTransformer(
        modules=[Transformer(str(bert)), Pooling(16)], device="cpu"
    )
    model.save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def picture_model(tmp_path_factory):
    """Folder of timm's smallest model with random weights, as timm saves one."""
    need("timm")
    timm = load_package("timm")
    folder = tmp_path_factory.mktemp("picture_model")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model("test_vit", pretrained=False)
    timm.models.save_for_hf(model, folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Folder of six pictures, ``0.png`` to ``5.jpg``, of several modes and sizes."""
    need("PIL")
    from PIL import Image

    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number, mode in enumerate(["RGB", "L", "RGBA", "P", "CMYK", "RGB"]):
        noise = rng.integers(0, 255, (30 + number, 50, 3), dtype=np.uint8)
        suffix = "jpg" if mode == "CMYK" or number == 5 else "png"
        Image.fromarray(noise).convert(mode).save(folder / f"{number}.{suffix}")
    return folder


def letters(contents):
    """A fake model: the number of each letter a, b, c; 'broken' has no features."""
    kept = [text for text in contents if text != "broken"]
    rows = [[text.count(letter) for letter in "abc"] for text in kept]
    faults = {
        n: Fault("no such file", "gone")
        for n, text in enumerate(contents)
        if text == "broken"
    }
    return Encoded(np.array(rows, np.float32).reshape(len(kept), 3), faults)


@pytest.fixture
def fake_encoder():
    """An encoder without a model."""
    return Encoder("title", letters, {"model_sha256": "0" * 64, "batch_size": 32})
