from __future__ import annotations

import json
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from reference.result_lines import result

from mmgraph.analysis import build_leaderboard
from mmgraph.analysis.leaderboard import render
from mmgraph.analysis.leaderboard.render import (
    COLUMNS,
    TRAINING,
    comparison_cells,
    to_html,
    to_markdown,
    to_table,
    write_leaderboard,
)
from mmgraph.analysis.leaderboard.table import METRICS, Comparison, Leaderboard, Row
from mmgraph.analysis.statistics.intervals import Interval
from mmgraph.errors import UserError
from mmgraph.files import to_json_lines


class Reader(HTMLParser):
    """Texts of the table's head and body, and the links."""

    def __init__(self):
        super().__init__()
        self.cells, self.links, self.inside = [], [], False

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag in ("td", "th"):
            self.inside = True
            self.cells.append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.cells[-1] += data


def make_row(**changes):
    values = {
        "label": "VBPR+CLEAR",
        "num_seeds": 3,
        "mean": dict.fromkeys(METRICS, 0.12345),
        "sd": dict.fromkeys(METRICS, 0.001),
        "valid": 0.2,
        "epochs": 41.6,
        "seconds_per_epoch": 1.234,
        "peak_memory_bytes": 512_000_000,
        "published": {"recall@20": 0.0776},
        "chosen": {},
        "tried": 0,
        "interval": Interval(0.1195, 0.12751),
        "comparison": Comparison(
            *("VBPR", -0.00123, Interval(-0.00312, 0.00066), 30, 0.0004, 0.0521),
            per_seed=(-0.002, 0.0004, -0.001),
            p_value=0.2,
            detectable=0.00271,
        ),
    }
    return Row(**(values | changes))


def cells(*rows):
    """Cells of the last of some rows, by column."""
    table = to_table(Leaderboard("toy", list(rows)))
    return dict(zip(table.columns, table.rows[-1], strict=True))


def test_a_full_row_reads_as_expected():
    assert tuple(cells(make_row())) == COLUMNS
    assert cells(make_row()) == {
        "System": "VBPR+CLEAR",
        "Seeds": "3",
        "R@10": "0.1235 ± 0.0010",
        "R@20": "0.1235 ± 0.0010",
        "R@20 95 %": "0.1195 to 0.1275",
        "N@10": "0.1235 ± 0.0010",
        "N@20": "0.1235 ± 0.0010",
        "Published R@20": "0.0776 (159%)",
        "Valid R@20": "0.2000",
        "vs base": "-0.0012 (VBPR)",
        "vs base 95 %": "-0.0031 to +0.0007",
        "By seed": "-0.0020, +0.0004, -0.0010",
        "Detectable": "0.0027",
        "p": "0.200",
        "p (t)": "< 0.001",
        "p (Wilcoxon)": "0.052",
        "Epochs": "42",
        "s/epoch": "1.23",
        "Peak memory": "512 MB",
    }


UNKNOWN = {"sd": None, "interval": None, "published": None, "comparison": None}


def test_what_is_unknown_stays_empty():
    row = cells(make_row(), make_row(**UNKNOWN))
    assert row["R@20"] == "0.1235"
    assert [name for name, cell in row.items() if not cell] == [
        *("R@20 95 %", "vs base", "vs base 95 %", "p", "Published R@20"),
        *("By seed", "Detectable", "p (t)", "p (Wilcoxon)"),
    ]


def test_a_column_that_all_leave_empty_is_left_out():
    row = cells(make_row(**UNKNOWN))
    assert list(row) == [
        *("System", "Seeds", "R@20", "N@20", "R@10", "N@10"),
        *("Valid R@20", "Epochs", "s/epoch", "Peak memory"),
    ]


def test_a_floor_has_no_cost_of_training():
    row = cells(make_row(), make_row(is_floor=True))
    assert (row["Epochs"], row["s/epoch"], row["Peak memory"]) == ("", "", "")


def test_significance_comes_before_all_other_metrics():
    order = [COLUMNS.index(name) for name in ("R@20", "vs base", "p", "N@20", "R@10")]
    assert order == sorted(order)


def test_markdown_has_one_cell_per_column():
    text = to_markdown(Leaderboard("toy", [make_row()], ["One note."]))
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert [line.count("|") for line in table] == [len(COLUMNS) + 1] * 3
    assert text.endswith("- One note.\n")


def test_the_page_is_self_contained_and_shows_the_cells_and_notes():
    row = Row("A<b>", 1, dict.fromkeys(METRICS, 0.1), None, 0.2, 3, 0.5, 1, None, {}, 0)
    text = to_html(Leaderboard("toy", [row], ["x < y"]), {"Command": "a 'b'"})
    reader = Reader()
    reader.feed(text)
    assert all(link.startswith(("#section-", "data:")) for link in reader.links)
    figure = ["System", "R@20", "A<b>", "0.1"]
    ranked = ["System", "Seeds", "R@20", "N@20", "A<b>", "1", "0.1000", "0.1000"]
    further = ["System", "R@10", "N@10", "A<b>", "0.1000", "0.1000"]
    training = ["System", *TRAINING, "A<b>", "0.2000", "3", "0.50", "1 bytes"]
    assert reader.cells == [*figure, *ranked, *further, *training]
    assert "<dt>Command</dt><dd>a &#39;b&#39;</dd>" in text
    assert "<title>Leaderboard: toy</title>" in text
    assert "<li>x &lt; y</li>" in text


def test_a_comparison_has_sign_base_interval_and_both_tests():
    comparison = Comparison("SEA", -0.00123, Interval(-0.004, 0.0015), 9, 0.03, 0.0001)
    texts = ["-0.0012 (SEA)", "-0.0040 to +0.0015", "", "", "1.000", "0.030", "< 0.001"]
    assert comparison_cells(comparison) == texts
    assert comparison_cells(None) == [""] * 7


def test_a_star_marks_a_corrected_p_below_a_twentieth():
    comparison = Comparison("SEA", 0.02, Interval(0.01, 0.03), 9, 0.03, 0.0001)
    for p_value, text in ((0.049, "+0.0200 * (SEA)"), (0.05, "+0.0200 (SEA)")):
        assert comparison_cells(replace(comparison, p_value=p_value))[0] == text


def test_a_leaderboard_is_written_from_a_folder_of_results(tmp_path, monkeypatch):
    line = result("a")
    monkeypatch.setattr(render, "provenance", lambda command, _: {"By": command})
    (tmp_path / "results.jsonl").write_text(json.dumps(line) + "\n")
    epochs = [{"epoch": n, "valid/recall@20": n / 10} for n in (1, 2)]
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "a.jsonl").write_bytes(to_json_lines(epochs))
    board = write_leaderboard(tmp_path, command="mmgraph bench")
    assert board == build_leaderboard([line], histories={"a": epochs})
    made = {"By": "mmgraph bench"}
    assert (tmp_path / "leaderboard.md").read_text() == to_markdown(board, made)
    report = (tmp_path / "report.html").read_text()
    assert report == to_html(board, made)
    assert "<dt>By</dt><dd>mmgraph bench</dd>" in report
    assert report.count("<img") == 2


def test_without_matplotlib_the_report_has_no_figures(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    text = to_html(Leaderboard("toy", [make_row()]))
    assert "<img" not in text
    assert "figures need matplotlib: pip install &#39;mmgraph[plots]&#39;" in text
    assert "0.1195 to 0.1275" in text


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(UserError) as caught:
        write_leaderboard(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'results.jsonl'}: no run has finished - run mmgraph bench first"
    )
    assert list(tmp_path.iterdir()) == []
