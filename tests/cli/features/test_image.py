"""The real command with a real model; most of it is tested in tests/encode."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys

import pytest
from fake_ray import FakeRay

from mmgraph.cli import main
from mmgraph.data.formats.features import read_features


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with a model of timm, pictures and a table."""
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    from PIL import Image

    from mmgraph.encode.packages import load_package

    folder = tmp_path_factory.mktemp("shop")
    timm = load_package("timm")
    model = timm.create_model("test_vit", pretrained=False)
    timm.models.save_for_hf(model, folder / "model", safe_serialization=True)
    (folder / "pictures").mkdir()
    Image.new("RGB", (40, 40), "red").save(folder / "pictures" / "a.png")
    Image.new("RGB", (40, 40), "blue").save(folder / "pictures" / "b.jpg")
    (folder / "pictures" / "c.jpg").write_text("no picture")
    rows = ["1,pictures/a.png", "2,pictures/b.jpg", "3,pictures/c.jpg", "4,d.jpg"]
    (folder / "items.csv").write_text("\n".join(["item_id,image", *rows]))
    return folder


def test_pictures_beside_the_table_become_features(shop, capsys, monkeypatch):
    out = shop / "visual.npz"
    words = ["features", "image", str(shop / "items.csv"), "--out", str(out), "--json"]
    words += ["--model", str(shop / "model"), "--device", "cpu", "--quiet"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["items"] == 2
    assert report["dimension"] == 64
    assert report["left_out"] == {"not a readable picture": 1, "no such file": 1}
    values, ids = read_features(out)
    assert ids.tolist() == [1, 2]
    assert (values[0] != values[1]).any()
    listed = (shop / "visual.left_out.csv").read_text().splitlines()
    assert listed[1].startswith("4,3,pictures/c.jpg,not a readable picture,cannot id")
    assert listed[2] == f"5,4,d.jpg,no such file,{shop / 'd.jpg'}"
    again = shop / "again.npz"
    words[words.index(str(out))] = str(again)
    assert main(words) == 0
    assert again.read_bytes() == out.read_bytes()
    monkeypatch.setitem(sys.modules, "ray", FakeRay())
    monkeypatch.chdir(shop)  # machines have working directories of their own
    words = ["features", "image", "items.csv", "--out", "far.npz", "--quiet"]
    words += ["--model", "model", "--device", "cpu", "--ray", "10.0.0.1:6379"]
    assert main(words) == 0
    for name in ("{}.npz", "{}.left_out.csv"):
        there, here = (shop / name.format(each) for each in ("far", "visual"))
        assert there.read_bytes() == here.read_bytes()


def test_parts_of_another_root_are_not_taken(shop, capsys, tmp_path):
    table, out = tmp_path / "items.csv", tmp_path / "visual.npz"
    table.write_text("item_id,image\n1,a.png\n2,d.jpg\n")
    words = ["features", "image", str(table), "--model", str(shop / "model")]
    words += ["--out", str(out), "--device", "cpu", "--quiet", "--root"]
    assert main([*words, str(shop / "pictures"), "--shard", "1/1"]) == 0
    assert main([*words, str(tmp_path), "--resume"]) == 2
    assert "holds parts with another root (" in capsys.readouterr().err
    shutil.copy(shop / "pictures" / "a.png", shop / "pictures" / "d.jpg")  # it came
    assert main([*words, str(shop / "pictures"), "--resume"]) == 0
    (shop / "pictures" / "d.jpg").unlink()
    assert read_features(out)[1].tolist() == [1, 2]


def test_another_root_finds_nothing_and_says_so(shop, capsys, tmp_path):
    words = ["features", "image", str(shop / "items.csv"), "--root", str(tmp_path)]
    words += ["--model", str(shop / "model"), "--device", "cpu", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "visual.npz")]) == 2
    assert capsys.readouterr().err == (
        f"error: {shop / 'items.csv'}:2: no picture has features; of this one: no such "
        f"file: {tmp_path / 'pictures' / 'a.png'} - check the paths and their --root\n"
    )
    assert not list(tmp_path.iterdir())
