from __future__ import annotations

import importlib.util
import shutil

import pytest

from mmgraph.encode.model_folder import check_safetensors, model_digest, model_folder
from mmgraph.encode.pictures import picture_encoder
from mmgraph.encode.texts import text_encoder
from mmgraph.errors import UserError


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that cannot be reached, and its cache, which is empty."""
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def fill(hub, name, folder):
    """Lay a model into the cache as the hub's own client does."""
    place = hub / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("1234")
    shutil.copytree(folder, place / "snapshots" / "1234")
    return place / "snapshots" / "1234"


def test_a_folder_is_taken_as_it_is(tmp_path):
    (tmp_path / "model.safetensors").touch()
    assert model_folder(str(tmp_path), owner="timm") == tmp_path


@pytest.mark.parametrize("name", ["", "./no", "/no/where", "~/no-such-folder-here"])
def test_a_path_is_not_looked_for_on_the_hub(name):
    with pytest.raises(UserError, match="no such folder - check the path, or give the"):
        model_folder(name, owner="timm")


@pytest.mark.parametrize("name", ["tiny", "timm/tiny"])
def test_a_name_is_taken_from_the_cache_of_the_hub(name, hub, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").touch()
    place = fill(hub, "timm/tiny", tmp_path / "model")
    assert model_folder(name, owner="timm") == place


@pytest.mark.parametrize(
    "name", ["owner/no-such-model", "a/b/c", "no model", "x" * 200]
)
def test_a_name_that_cannot_be_had_is_one_line(name, hub):
    with pytest.raises(UserError) as error:
        model_folder(name, owner="owner")
    message = str(error.value)
    assert message.startswith("no folder '")
    assert "nor such a model from the hub (" in message
    assert message.endswith(
        "give a local folder, or set HF_HOME to a hub's cache that has it"
    )
    assert "\n" not in message


@pytest.mark.parametrize(
    ("inner", "name"),
    [
        *(("", name) for name in ("pytorch_model.bin", "model.pth", "a.ckpt")),
        ("2_Dense", "pytorch_model.bin"),
    ],
)
def test_weights_that_are_a_pickle_are_refused(name, inner, tmp_path):
    (tmp_path / inner).mkdir(exist_ok=True)
    (tmp_path / inner / name).touch()
    if inner:
        (tmp_path / "model.safetensors").touch()
    with pytest.raises(UserError, match=rf"a pickle \(.*{name}\), which is never load"):
        check_safetensors(tmp_path)
    (tmp_path / inner / "model.safetensors").touch()  # which is loaded instead
    check_safetensors(tmp_path)


def test_what_is_not_loaded_may_be_there(tmp_path):
    names = ("model.safetensors", "training_args.bin", "openvino/openvino_model.bin")
    (tmp_path / "openvino").mkdir()
    for name in names:
        (tmp_path / name).touch()
    check_safetensors(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "config.json").touch()
    with pytest.raises(UserError, match=r"holds no weights \(.safetensors\) - save"):
        check_safetensors(tmp_path)


@pytest.mark.parametrize(
    ("load", "package"),
    [(text_encoder, "sentence_transformers"), (picture_encoder, "timm")],
)
def test_no_encoder_loads_a_pickle(load, package, tmp_path):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04K\x01.")
    (tmp_path / "config.json").write_text('{"architecture": "test_vit"}')
    with pytest.raises(UserError, match="which is never loaded - save the model again"):
        load(str(tmp_path))


def test_the_digest_is_of_names_and_contents(tmp_path):
    (tmp_path / "a.json").write_text("1")
    (tmp_path / "README.md").write_text("1")
    before = model_digest(tmp_path)
    (tmp_path / "README.md").write_text("2")
    assert model_digest(tmp_path) == before
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    renamed = model_digest(tmp_path)
    (tmp_path / "b.json").write_text("2")
    assert len({before, renamed, model_digest(tmp_path)}) == 3
