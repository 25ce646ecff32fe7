"""With a real model of timm, tiny and of random weights."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mmgraph.encode.pictures import picture_encoder
from mmgraph.errors import UserError

NAMES = ["0.png", "1.png", "2.png", "3.png", "4.jpg", "5.jpg"]


def by_hand(model_folder, path):
    """The model's input by Pillow and NumPy, its output from weights loaded by name."""
    import timm
    from PIL import Image

    network = timm.create_model("test_vit", pretrained=False, num_classes=0).eval()
    network.load_state_dict(load_file(model_folder / "model.safetensors"), strict=False)
    picture = Image.open(path).convert("RGB")
    shape, side = np.array(picture.size), int(160 / 0.95)  # of which the middle is kept
    width, height = (shape * side // shape.min()).tolist()
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - 160) / 2), round((height - 160) / 2)
    picture = picture.crop((left, top, left + 160, top + 160))
    values = (np.asarray(picture, np.float32) / 255 - 0.5) / 0.5
    with torch.no_grad():
        return network(torch.from_numpy(values.transpose(2, 0, 1))[None])[0].numpy()


def test_features_are_what_the_model_gives_for_each_picture(picture_model, pictures):
    encoder = picture_encoder(
        str(picture_model), root=pictures, batch_size=2, device="cpu"
    )
    encoded = encoder.encode(NAMES)
    assert encoded.features.shape == (6, 64)
    assert encoded.faults == {}
    for name, features in zip(NAMES, encoded.features, strict=True):
        expected = by_hand(picture_model, pictures / name)
        np.testing.assert_allclose(features, expected, atol=1e-5)
    assert (encoder.encode(NAMES).features == encoded.features).all()


def test_pictures_that_cannot_be_read_leave_the_others_as_they_are(
    picture_model, pictures, tmp_path
):
    (tmp_path / "broken.png").write_text("no picture")
    broken = str(tmp_path / "broken.png")  # a whole path is not taken from the root
    encoder = picture_encoder(
        str(picture_model), root=pictures, batch_size=2, device="cpu"
    )
    mixed = ["gone.png", "0.png", broken, "gone.png", "1.png"]
    encoded = encoder.encode(mixed)
    assert {n: each.reason for n, each in encoded.faults.items()} == {
        0: "no such file",
        2: "not a readable picture",
        3: "no such file",
    }
    expected = encoder.encode(["0.png", "1.png"]).features
    np.testing.assert_allclose(encoded.features, expected, atol=1e-6)
    nothing = encoder.encode(["gone.png"])
    assert len(nothing.features) == 0
    assert list(nothing.faults) == [0]


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors"])
def test_a_damaged_model_is_one_line(damage, picture_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(picture_model, folder)
    (folder / damage).write_bytes(b"{ no")
    with pytest.raises(UserError) as error:
        picture_encoder(str(folder), device="cpu")
    assert str(error.value).startswith(f"{folder}: no model of timm (")
    assert "\n" not in str(error.value)


def test_the_root_is_part_of_what_features_depend_on(
    picture_model, pictures, tmp_path, monkeypatch
):
    monkeypatch.chdir(pictures)
    roots = [".", pictures, pictures / ".." / pictures.name, tmp_path]
    encoders = [picture_encoder(str(picture_model), root=r) for r in roots]
    assert [encoder.identity["root"] for encoder in encoders] == [
        *3 * [str(pictures.resolve())],
        str(tmp_path.resolve()),
    ]


def test_the_files_of_the_model_are_told(picture_model):
    files = picture_encoder(str(picture_model)).files
    assert {path.name for path in files} == {"config.json", "model.safetensors"}


def test_weights_of_another_name_are_refused(picture_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(picture_model, folder)
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    with pytest.raises(UserError, match=r"holds no model.safetensors - give a folder"):
        picture_encoder(str(folder), device="cpu")
