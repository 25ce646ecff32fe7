from __future__ import annotations

import pytest

from mmgraph.analysis.reproduce.experiments.data_table import data_table


def test_statistics_are_counted(make_context, tmp_path, toy):
    result = data_table(make_context(tmp_path))
    pairs = sum(s["user", "interacts", "item"].edge_label_index.size(1) for s in toy[1])
    numbers = result.numbers
    assert (numbers["users"], numbers["items"]) == (60, 90)
    assert numbers["interactions"] == pairs == sum(numbers["splits"].values())
    assert numbers["sparsity"] == pytest.approx(1 - pairs / (60 * 90))
    assert numbers["published"] is None
    (table,) = result.tables
    assert list(table.columns) == ["", "toy"]
    dims = {m: toy[1][0]["item"][f"x_{m}"].size(1) for m in ("visual", "textual")}
    assert numbers["dims"] == dims
    columns = f"visual {dims['visual']}, textual {dims['textual']}; the papers' 4,096,"
    assert columns in result.notes[1]


@pytest.mark.parametrize(
    ("name", "counts", "sparsity"),
    [
        ("baby", (19445, 7050, 160792), "99.88 %"),
        ("sports", (35598, 18357, 296337), "99.95 %"),
        ("clothing", (39387, 23033, 278677), "99.97 %"),
    ],
)
def test_the_papers_statistics_stand_beside(
    make_context, tmp_path, monkeypatch, name, counts, sparsity
):
    context = make_context(tmp_path)
    monkeypatch.setattr(type(context), "dataset", name)
    result = data_table(context)
    (table,) = result.tables
    printed = [f"{count:,}" for count in counts]
    assert [row[2] for row in table.rows] == [*printed, sparsity]
    assert f"{100 * result.numbers['published']['sparsity']:.2f} %" == sparsity
