from __future__ import annotations

from mmgraph.data.layout import feature_files, interactions_file


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
