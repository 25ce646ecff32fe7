from __future__ import annotations

from pathlib import Path

import pytest

from mmgraph.data.formats.layout import (
    check_modality_names,
    feature_files,
    interactions_file,
    log_files,
    modality_files,
)
from mmgraph.errors import UserError


def _touch(folder, *names):
    for name in names:
        (folder / name).touch()
    return folder


def test_the_general_table_wins_over_inter(tmp_path):
    _touch(tmp_path, "shop.inter", "interactions.tsv")
    assert interactions_file(tmp_path).name == "interactions.tsv"


def test_the_table_named_like_the_folder_wins(tmp_path):
    _touch(tmp_path, "other.inter", f"{tmp_path.name}.inter")
    assert interactions_file(tmp_path).stem == tmp_path.name


def test_usual_modalities_come_first_then_by_name(tmp_path):
    names = ("zoom.npz", "acoustic.npy", "visual.safetensors", "bass.parquet")
    _touch(tmp_path, *names, "text_feat.npy", "interactions.parquet", "notes.txt")
    found = feature_files(tmp_path, mmrec=False)
    assert list(found) == ["visual", "textual", "acoustic", "bass", "zoom"]
    assert list(feature_files(tmp_path, mmrec=True)) == ["textual"]


@pytest.mark.parametrize("name", ["visual", "image", "v2.small", "a b", "interaction"])
def test_names_that_are_allowed_come_back(tmp_path, name):
    check_modality_names([name])
    assert list(feature_files(_touch(tmp_path, f"{name}.npz"), mmrec=False)) == [name]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "a"], "'a' is given twice - give each once"),
        (["image_feat"], "'image_feat' would be read back as 'visual' - name it 'vis"),
        (["interactions"], "'interactions' is called as the table of interactions"),
        (["../x"], r"'\.\./x' is no file name - use plain words"),
        (["a/b"], "'a/b' is no file name"),
        ([""], "'' is no file name"),
        (["a\nb"], "is no file name"),
    ],
)
def test_names_that_would_not_come_back_are_refused(names, message):
    with pytest.raises(UserError, match=message):
        check_modality_names(names)


def test_files_are_called_as_their_modality():
    paths = [Path(f"d/{name}") for name in ("text_feat.npy", "depth_feat.npz")]
    paths += [Path("image.parquet"), Path("e.v2.npy")]
    assert list(modality_files(paths)) == ["textual", "depth", "image", "e.v2"]
    both = [Path("image_feat.npy"), Path("visual.npz")]
    with pytest.raises(UserError, match=r"visual\.npz: image_feat\.npy and this file "):
        modality_files(both)


def test_suffixes_count_in_any_letter_case_and_hidden_files_do_not(tmp_path):
    _touch(tmp_path, "visual.NPY", "._visual.npy", "TEXT_FEAT.Npy", "interactions.CSV")
    assert interactions_file(tmp_path).name == "interactions.CSV"
    found = feature_files(tmp_path, mmrec=False)
    assert {name: path.name for name, path in found.items()} == {
        "visual": "visual.NPY",
        "textual": "TEXT_FEAT.Npy",
    }


def test_a_table_of_users_is_no_modality(tmp_path):
    _touch(tmp_path, "users.parquet", "User.npy", "user_feat.npy", "sound.npz")
    assert list(feature_files(tmp_path, mmrec=False)) == ["sound"]
    with pytest.raises(UserError, match="'users' is called as a table of users - cho"):
        check_modality_names(["users"])


def test_what_was_taken_and_what_was_left_is_one_line(tmp_path, caplog):
    caplog.set_level("INFO")
    _touch(tmp_path, "a.npy", "notes.txt", ".hidden")
    log_files(tmp_path, [tmp_path / "a.npy"])
    assert caplog.messages == [f"{tmp_path}: a.npy; not read: notes.txt"]
