from __future__ import annotations

import json

from mmgraph.analysis.reproduce.experiments.sweep import clear_figure_4, sea_figure_4


def lines(folder, model):
    found = map(json.loads, (folder / "runs" / "results.jsonl").open())
    return [line for line in found if line["model"] == model]


def test_each_cell_of_the_heat_map_is_its_run(make_context, tmp_path):
    context = make_context(tmp_path, grid={"strength": [0.5, 0.9], "rank": [1, 2, 4]})
    result = clear_figure_4(context)
    found = {
        (line["options"]["strength"], line["options"]["rank"]): line["metrics"]["test"]
        for line in lines(tmp_path, "CLEAR")
    }
    cells = result.numbers["cells"]
    assert [(cell["strength"], cell["rank"]) for cell in cells] == [
        *((0.5, 1), (0.5, 2), (0.5, 4), (0.9, 1), (0.9, 2), (0.9, 4))
    ]
    for cell in cells:
        test = found[cell["strength"], cell["rank"]]
        assert cell["recall@20"]["mean"] == test["recall@20"]
        assert cell["ndcg@20"]["mean"] == test["ndcg@20"]
    best = result.numbers["best"]
    highest = max(test["recall@20"] for test in found.values())
    assert found[best["strength"], best["rank"]]["recall@20"] == highest
    (figure,) = result.figures
    assert [row[:2] for row in figure.data.rows] == [list(cell) for cell in found]
    assert f"best {highest:.4f}" in figure.alt


def test_one_option_moves_at_a_time(make_context, tmp_path):
    grid = {
        "align_weight": [0, 0.5],
        "distance_weight": [0, 0.1],
        "temperature": [0.1, 0.2],
    }
    result = sea_figure_4(make_context(tmp_path, grid=grid))
    defaults = {"align_weight": 0.012, "distance_weight": 0.003, "temperature": 0.2}
    found = {
        tuple(line["options"][key] for key in defaults): line["metrics"]["test"]
        for line in lines(tmp_path, "SEA")
    }
    assert list(result.numbers["curves"]) == list(defaults)
    for option, points in result.numbers["curves"].items():
        assert [point["value"] for point in points] == grid[option]
        for point in points:
            place = tuple((defaults | {option: point["value"]}).values())
            assert point["recall@20"]["mean"] == found[place]["recall@20"]
        best = max(points, key=lambda point: point["recall@20"]["mean"])["value"]
        assert result.numbers["best"][option] == best
