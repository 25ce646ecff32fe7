from __future__ import annotations

import numpy as np
import pytest

from mmgraph.data import data_report, from_interactions, load_dataset, split_by_label


def test_every_count_of_a_hand_made_catalogue():
    data = from_interactions(
        [0, 0, 0, 1, 1, 2],
        [0, 1, 2, 0, 3, 0],
        features={"a": [[1.0], [0.0], [1.0], [-0.0], [9.0]]},
        masks={"a": [True, True, True, True, False]},
        labels=[0, 1, 2, 0, 0, 2],
    )
    report = data_report(*split_by_label(data))
    assert report == {
        "users": 3,
        "items": 5,
        "interactions": 5,
        "sparsity": pytest.approx(1 - 5 / 15, abs=1e-12),
        "splits": {
            "train": {"rows": 3, "share": 0.6, "users": 2, "dropped_rows": 0},
            "valid": {"rows": 1, "share": 0.2, "users": 1, "dropped_rows": 0},
            "test": {"rows": 1, "share": 0.2, "users": 1, "dropped_rows": 1},
        },
        "users_without_train": 1,
        "items_without_train": 3,
        "degree": {"user": [0, 0.5, 1, 1.5, 2], "item": [0, 0, 0, 1, 2]},
        "modalities": {
            "a": {
                "dim": 1,
                "stored_dtype": None,
                "missing_rows": 1,
                "zero_rows": 2,
                "duplicate_rows": 2,
            }
        },
    }


def test_the_dtype_on_disk_is_known(tmp_path):
    (tmp_path / "a.inter").write_text(
        "userID\titemID\tx_label\n0\t0\t0\n0\t1\t1\n0\t2\t2\n"
    )
    np.save(tmp_path / "text_feat.npy", np.eye(3, dtype=np.float16))
    report = data_report(*load_dataset(tmp_path))
    assert report["modalities"]["textual"]["stored_dtype"] == "float16"
