"""With a real model of sentence-transformers, tiny and of random weights."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mmgraph.encode.encoder import Encoded
from mmgraph.encode.texts import text_encoder
from mmgraph.errors import UserError

TEXTS = ["green tea", "rum", "black tea tea rum", "unheard of"]


def test_features_are_the_mean_of_the_tokens_of_the_model(text_model):
    from transformers import AutoModel, AutoTokenizer

    encoder = text_encoder(str(text_model), batch_size=2, device="cpu")
    encoded = encoder.encode(TEXTS)
    assert encoded.features.dtype == np.float32
    assert encoded.faults == {}
    tokenizer = AutoTokenizer.from_pretrained(text_model)
    model = AutoModel.from_pretrained(text_model).eval()
    for text, features in zip(TEXTS, encoded.features, strict=True):
        with torch.no_grad():  # alone, so that nothing is padded
            output = model(**tokenizer(text, return_tensors="pt"))
        mean = output.last_hidden_state[0].mean(dim=0).numpy()
        np.testing.assert_allclose(features, mean, atol=1e-6)
    again = text_encoder(str(text_model), batch_size=2, device="cpu")
    assert again.identity == encoder.identity
    assert (again.encode(TEXTS).features == encoded.features).all()
    assert isinstance(encoded, Encoded)


def test_tokens_of_a_model_of_transformers_are_averaged(text_model, tmp_path):
    for path in text_model.iterdir():
        if (
            path.is_file()
            and "sentence" not in path.name
            and "modules" not in path.name
        ):
            shutil.copy(path, tmp_path)
    plain = text_encoder(str(tmp_path), device="cpu").encode(TEXTS)
    whole = text_encoder(str(text_model), device="cpu").encode(TEXTS)
    assert (plain.features == whole.features).all()


def test_a_model_in_half_precision_computes_in_float32(text_model, tmp_path):
    half = tmp_path / "half"
    shutil.copytree(text_model, half)
    weights = load_file(half / "model.safetensors")
    halved = {name: tensor.half() for name, tensor in weights.items()}
    save_file(halved, half / "model.safetensors", metadata={"format": "pt"})
    one = text_encoder(str(half), device="cpu")
    other = text_encoder(str(text_model), device="cpu")
    np.testing.assert_allclose(
        one.encode(TEXTS).features, other.encode(TEXTS).features, atol=1e-3
    )
    assert one.identity["model_sha256"] != other.identity["model_sha256"]


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "modules.json"])
def test_a_damaged_model_is_one_line(damage, text_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(text_model, folder)
    (folder / damage).write_bytes(b"{ no")
    with pytest.raises(UserError) as error:
        text_encoder(str(folder), device="cpu")
    message = str(error.value)
    assert message.startswith(f"{folder}: no model of sentence-transformers (")
    assert "\n" not in message


def test_no_code_of_a_model_is_run(text_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(text_model, folder)
    modules = (folder / "modules.json").read_text()
    modules = modules.replace(
        "sentence_transformers.sentence_transformer.modules.pooling.Pooling", "own.Own"
    )
    (folder / "modules.json").write_text(modules)
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(UserError, match="no model of sentence-transformers"):
        text_encoder(str(folder), device="cpu")
    assert not (tmp_path / "ran").exists()
