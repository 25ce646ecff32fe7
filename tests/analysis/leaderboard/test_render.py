from __future__ import annotations

from mmgraph.analysis.leaderboard.render import COLUMNS, cells, to_markdown
from mmgraph.analysis.leaderboard.table import METRICS, Comparison, Leaderboard, Row
from mmgraph.analysis.statistics.intervals import Interval


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
            "VBPR", -0.00123, Interval(-0.00312, 0.00066), 30, 0.0004, 0.0521
        ),
    }
    return Row(**(values | changes))


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
