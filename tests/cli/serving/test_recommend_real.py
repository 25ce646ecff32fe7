"""Recommendations for every user of a real catalogue."""

from __future__ import annotations

import pandas as pd
import pytest

from mmgraph.cli import main


@pytest.mark.data
def test_original_ids_and_never_a_training_item(real_data, tmp_path):
    folder = real_data / "tiktok"
    run, table = tmp_path / "run", tmp_path / "lists.parquet"
    common = ["--quiet", "--device", "cpu"]
    options = ["--data", str(folder), "--out", str(run), "--epochs", "2"]
    assert main(["train", "LightGCN", *options, *common]) == 0
    assert main(["recommend", str(run), "--k", "20", "--out", str(table), *common]) == 0
    lists = pd.read_parquet(table)
    log = pd.read_csv(folder / "tiktok.inter", sep="\t")
    train = log[log.x_label == 0]
    assert list(lists.columns) == ["user_id", "item_id", "rank", "score"]
    assert set(lists.user_id) == set(range(log.userID.max() + 1))
    assert set(lists.item_id) <= set(range(log.itemID.max() + 1))
    assert (lists.groupby("user_id")["rank"].apply(list).map(len) == 20).all()
    pairs = lists.merge(
        train, left_on=["user_id", "item_id"], right_on=["userID", "itemID"]
    )
    assert len(lists) == 20 * 9308
    assert pairs.empty
