from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mmgraph.cli.knn.page import check_report, write_report
from mmgraph.errors import UserError
from mmgraph.functional.divergence import neighbour_overlap
from mmgraph.knn import knn_graph


class Cells(HTMLParser):
    """Rows of all tables as a reader sees them, the bars' widths, and all tags."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.widths, self.tags = [], [], set()
        self.inside = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
            self.inside = True
        elif tag == "span":
            width = dict(attrs)["style"].removeprefix("width:").removesuffix("rem")
            self.widths.append(float(width))

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


@pytest.fixture
def built(tmp_path, knn, x):
    """The words that build two modalities with a report, and where it goes."""
    np.save(tmp_path / "a<b.npy", x)
    np.save(tmp_path / "c.npy", x[:, :4].copy())
    files = (tmp_path / "a<b.npy", tmp_path / "c.npy")
    return ("build", *files, "--k", 4, "--out", tmp_path / "g.pt", "--report")


def test_reports_tell_hubs_and_overlap(tmp_path, knn, x, built):
    result = knn(*built, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == result
    graphs = [knn_graph(x, 4)[0], knn_graph(x[:, :4].copy(), 4)[0]]
    count = graphs[0][0].bincount(minlength=60)
    row = result["graphs"]["a<b"]
    assert row["hubs"][0] == [int(count.argmax()), int(count.max())]
    (overlap,) = result["overlap"]
    assert overlap["value"] == neighbour_overlap(*graphs, 60)
    knn(*built, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "<h2>a&lt;b</h2>" in page
    assert row["input_sha256"] in page
    assert f"<td>{overlap['value']:.4f}</td>" in page
    assert "http" not in page
    assert "<script" not in page


def test_the_page_shows_what_the_build_returned(tmp_path, knn, built):
    result = knn(*built, tmp_path / "r.html")
    page = Cells((tmp_path / "r.html").read_text())
    assert not {"script", "link", "img", "iframe"} & page.tags
    for name in ("a<b", "c"):
        row = result["graphs"][name]
        for label, key in (
            ("Items", "num_nodes"),
            ("Edges", "num_edges"),
            ("Rows of zeros", "zero_rows"),
            ("Groups of equal rows", "duplicate_groups"),
            ("Components (isolated items included)", "components"),
            ("SHA-256 of the graph", "graph_sha256"),
        ):
            assert [label, str(row[key])] in page.rows
        for hub in row["hubs"]:
            assert [str(number) for number in hub] in page.rows
        for least, most, rows in row["in_lists_histogram"]:
            span = str(least) if least == most else f"{least} to {most}"
            assert [span, str(rows)] in page.rows
    assert page.rows[-1][0] == "a<b and c"
    counts = [
        [rows for *_, rows in result["graphs"][name]["in_lists_histogram"]]
        for name in ("a<b", "c")
    ]
    longest = [20 * rows / max(some) for some in counts for rows in some]
    np.testing.assert_allclose(page.widths, longest, atol=0.005)


def test_names_that_look_like_html_are_text(tmp_path):
    overlap = [{"modalities": ["<b>", "a&b"], "value": 0.25, "expected": 0.5}]
    write_report(tmp_path / "r.html", {}, overlap, {})
    page = Cells((tmp_path / "r.html").read_text())
    assert page.rows == [
        ["Modalities", "Shared", "Of random lists"],
        ["<b> and a&b", "0.2500", "0.5000"],
    ]
    assert "b" not in page.tags


def test_one_graph_has_no_overlap_to_tell(tmp_path, knn, built):
    _, first, _, *rest = built
    knn("build", first, *rest, tmp_path / "r.html")
    assert "Neighbours in common" not in (tmp_path / "r.html").read_text()


def test_another_kind_of_report_is_refused_and_not_written(tmp_path):
    with pytest.raises(UserError, match=r"cannot write 'r\.txt' - name it \.json or "):
        check_report(Path("r.txt"))
    with pytest.raises(UserError, match=r"cannot write 'r' - name it \.json or \.html"):
        write_report(tmp_path / "r", {}, [], {})
    assert not any(tmp_path.iterdir())
