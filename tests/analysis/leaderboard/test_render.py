from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from reference.result_lines import result

from mmgraph.analysis import build_leaderboard
from mmgraph.analysis.leaderboard.render import (
    COLUMNS,
    comparison_cells,
    to_html,
    to_markdown,
    to_table,
    write_leaderboard,
)
from mmgraph.analysis.leaderboard.table import METRICS, Comparison, Leaderboard, Row
from mmgraph.analysis.statistics.intervals import Interval
from mmgraph.errors import UserError


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


def cells(row):
    (texts,) = to_table(Leaderboard("toy", [row])).rows
    return texts


def test_a_full_row_reads_as_expected():
    assert dict(zip(COLUMNS, cells(make_row()), strict=True)) == {
        "System": "VBPR+CLEAR",
        "Seeds": "3",
        "R@10": ".1235 ± .0010",
        "R@20": ".1235 ± .0010",
        "R@20 95 %": ".1195 to .1275",
        "N@10": ".1235 ± .0010",
        "N@20": ".1235 ± .0010",
        "Published R@20": ".0776 (159%)",
        "Valid R@20": ".2000",
        "vs base": "-0.0012 (VBPR)",
        "vs base 95 %": "-0.0031 to +0.0007",
        "By seed": "-0.0020, +0.0004, -0.0010",
        "Detectable": ".0027",
        "p": ".200",
        "p (t)": "< .001",
        "p (Wilcoxon)": ".052",
        "Epochs": "42",
        "s/epoch": "1.23",
        "Peak MB": "512",
    }


def test_what_is_unknown_stays_empty():
    row = cells(make_row(sd=None, interval=None, published=None, comparison=None))
    assert row[3] == ".1235"
    assert [row[4], row[7], *row[9:13]] == [""] * 6


def test_markdown_has_one_cell_per_column():
    text = to_markdown(Leaderboard("toy", [make_row()], ["One note."]))
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert [line.count("|") for line in table] == [len(COLUMNS) + 1] * 3
    assert text.endswith("- One note.\n")


def test_the_page_is_self_contained_and_shows_the_cells_and_notes():
    row = Row("A<b>", 1, dict.fromkeys(METRICS, 0.1), None, 0.2, 3, 0.5, 1, None, {}, 0)
    text = to_html(Leaderboard("toy", [row], ["x < y"]))
    reader = Reader()
    reader.feed(text)
    assert reader.links == []
    assert reader.cells == [*COLUMNS, *cells(row)]
    assert "<title>Leaderboard: toy</title>" in text
    assert "<li>x &lt; y</li>" in text


def test_a_comparison_has_sign_base_interval_and_both_tests():
    comparison = Comparison("SEA", -0.00123, Interval(-0.004, 0.0015), 9, 0.03, 0.0001)
    texts = ["-0.0012 (SEA)", "-0.0040 to +0.0015", "", "", "1.000", ".030", "< .001"]
    assert comparison_cells(comparison) == texts
    assert comparison_cells(None) == [""] * 7


def test_a_star_marks_a_corrected_p_below_a_twentieth():
    comparison = Comparison("SEA", 0.02, Interval(0.01, 0.03), 9, 0.03, 0.0001)
    for p_value, text in ((0.049, "+0.0200 * (SEA)"), (0.05, "+0.0200 (SEA)")):
        assert comparison_cells(replace(comparison, p_value=p_value))[0] == text


def test_a_leaderboard_is_written_from_a_folder_of_results(tmp_path):
    line = result("a")
    (tmp_path / "results.jsonl").write_text(json.dumps(line) + "\n")
    board = write_leaderboard(tmp_path)
    assert board == build_leaderboard([line])
    assert (tmp_path / "leaderboard.md").read_text() == to_markdown(board)
    assert (tmp_path / "report.html").read_text() == to_html(board)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(UserError) as caught:
        write_leaderboard(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'results.jsonl'}: no run has finished - run mmgraph bench first"
    )
    assert list(tmp_path.iterdir()) == []
