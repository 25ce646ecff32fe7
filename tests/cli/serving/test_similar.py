from __future__ import annotations

import json

import pandas as pd

from mmgraph.cli import main
from mmgraph.data import load_dataset


def test_similar_items_as_a_table_a_file_and_json(run, catalogue, tmp_path, capsys):
    item = str(load_dataset(catalogue)[0]["item"].raw_id[5])
    words = ["similar", str(run), "--items", item, "--k", "3", "--quiet"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "similar id" in shown
    assert item in shown
    assert main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["similar"]
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert main([*words, "--out", str(tmp_path / "a.csv")]) == 0
    assert capsys.readouterr().out == f"3 similar items in {tmp_path / 'a.csv'}\n"
    table = pd.read_csv(tmp_path / "a.csv")
    assert list(table["similar_id"]) == [row["similar_id"] for row in rows]


def test_neither_a_run_nor_a_graph_is_one_line(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("no graph")
    assert main(["similar", str(tmp_path / "a.txt"), "--items", "1", "--quiet"]) == 2
    assert "a.txt" in capsys.readouterr().err
    assert main(["similar", str(tmp_path / "b"), "--items", "1", "--quiet"]) == 2
