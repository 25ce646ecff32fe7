from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from mmgraph.analysis.knn.page import check_report, rounded_down, write_report
from mmgraph.errors import UserError
from mmgraph.files import read_json
from mmgraph.functional.redundancy.divergence import neighbour_overlap
from mmgraph.knn import knn_graph


class Cells(HTMLParser):
    """Rows of all tables as a reader sees them, and all tags."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.tags = [], set()
        self.inside = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
            self.inside = True

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
    assert read_json(tmp_path / "r.json") == result
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
    assert f">{overlap['value']:.4f}</td>" in page
    assert "http:" not in page
    assert "default-src 'none'" in page


def test_the_page_shows_what_the_build_returned(tmp_path, knn, built):
    result = knn(*built, tmp_path / "r.html")
    page = Cells((tmp_path / "r.html").read_text())
    assert not {"link", "iframe"} & page.tags
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
    (overlap,) = result["overlap"]
    ratios = [f"{overlap[key]:.4f}" for key in ("value", "expected")]
    assert ["a<b and c", *ratios] in page.rows


def test_bytes_and_large_counts_can_be_read(tmp_path, knn, built):
    result = knn(*built, tmp_path / "r.html")
    row = result["graphs"]["c"] | {"num_edges": 1234567, "peak_memory_bytes": 521019392}
    write_report(tmp_path / "s.html", result | {"graphs": {"c": row}})
    page = Cells((tmp_path / "s.html").read_text())
    assert ["Edges", "1,234,567"] in page.rows
    assert ["Peak memory", "521 MB"] in page.rows


def test_hubs_and_examples_have_the_ids_of_the_file(tmp_path, knn, x):
    ids = np.array([f"i{n:02d}" for n in range(len(x))])
    np.savez(tmp_path / "v.npz", ids=ids, features=x)
    words = ("--k", 4, "--out", tmp_path / "g.pt", "--report", tmp_path / "r.html")
    result = knn("build", tmp_path / "v.npz", *words)
    page = Cells((tmp_path / "r.html").read_text())
    node, count = result["hubs"][0]
    assert [f"i{node:02d}", str(count)] in page.rows
    edge_index, similarity = knn_graph(x, 4)
    of_first = [
        f"i{n:02d} ({s:.4f})"
        for n, c, s in zip(*edge_index.tolist(), similarity.tolist(), strict=True)
        if c == 0
    ]
    assert ["i00", *of_first] in page.rows


def test_without_matplotlib_the_page_has_tables_alone(
    tmp_path, knn, built, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    knn(*built, tmp_path / "r.html")
    page = Cells((tmp_path / "r.html").read_text())
    assert "img" not in page.tags
    assert ["In-degree", "Items"] in page.rows


def test_names_that_look_like_html_are_text(tmp_path):
    overlap = [{"modalities": ["<b>", "a&b"], "value": 0.25, "expected": 0.5}]
    write_report(tmp_path / "r.html", {"graphs": {}, "overlap": overlap})
    page = Cells((tmp_path / "r.html").read_text())
    assert page.rows == [
        ["Modalities", "In common", "By chance"],
        ["<b> and a&b", "0.2500", "0.5000"],
    ]
    assert "b" not in page.tags


@pytest.fixture
def clusters(tmp_path):
    """A table that an approximate search pays for."""
    pytest.importorskip("faiss", reason="this way of searching is FAISS itself")
    centre = 4 * torch.randn(40, 8)
    x = centre[torch.randint(40, (9000,))] + torch.randn(9000, 8)
    x[8] = torch.nan
    np.save(tmp_path / "x.npy", x.numpy())
    return ("build", tmp_path / "x.npy", "--k", 5, "--out", tmp_path / "g.npz")


def certificate_of(page):
    """The rows of the table headed "Certificate", by label."""
    rows = Cells(page).rows
    first = rows.index(["Certificate", "Value"])
    return dict(rows[first + 1 : rows.index(["In-degree", "Items"], first)])


def measured(found):
    """What such a table says of the rows that were compared."""
    return {
        "Sampled rows": "2000",
        "Measured recall": f"{found['estimate']:.4f}",
        "99 % lower bound (Clopper-Pearson)": f"{found['lower_99'] - 5e-5:.4f}",
    }


def test_the_page_of_an_approximate_graph_shows_its_certificate(
    tmp_path, knn, clusters
):
    options = ("--recall", 0.9, "--nan", "isolate", "--report", tmp_path / "r.html")
    result = knn(*clusters, *options)
    found = result["certificate"]
    assert (found["aim"], found["fell_back"], found["rows"]) == (0.9, False, 2000)
    assert result["recall"] == {k: found[k] for k in ("estimate", "lower_99")}
    # The bound again by its definition: so many hits are a 1 % accident.
    accident = stats.binom.sf(found["hits"] - 1, 2000, found["lower_99"])
    assert accident <= 0.01 * (1 + 1e-9)
    page = (tmp_path / "r.html").read_text()
    assert certificate_of(page) == {
        "Recall asked for": "0.9",
        "Graph": "approximate",
        **measured(found),
        "Cells looked into": f"{found['probe']} of {found['num_cells']}",
    }
    assert ["Exact", "no"] in Cells(page).rows
    shown = knn(*clusters, *options, raw=True).stdout
    lower = f"{found['lower_99'] - 5e-5:.4f}"
    assert f", torch, recall {found['estimate']:.4f}, surely {lower}, " in shown


def test_the_page_says_why_a_graph_is_exact_after_all(
    tmp_path, knn, clusters, monkeypatch
):
    report = ("--nan", "isolate", "--report", tmp_path / "r.html")
    knn(*clusters, *report)
    assert "Certificate" not in (tmp_path / "r.html").read_text()
    module = sys.modules["mmgraph.knn.approximate"]
    monkeypatch.setattr(module, "recalled_edges", lambda *_: torch.ones(1))  # flattered
    result = knn(*clusters, "--recall", 0.999, *report)
    found = result["certificate"]
    assert result["exact"]
    assert result["recall"] is None
    page = (tmp_path / "r.html").read_text()
    assert certificate_of(page) == {
        "Recall asked for": "0.999",
        "Graph": "exact: the approximate graph, measured below, missed what was asked",
        **measured(found),
    }
    assert ["Exact", "yes"] in Cells(page).rows
    np.save(clusters[1], np.eye(30, dtype=np.float32))
    assert knn(*clusters, "--recall", 0.9, *report)["certificate"]["rows"] is None
    assert certificate_of((tmp_path / "r.html").read_text()) == {
        "Recall asked for": "0.9",
        "Graph": "exact: no approximate search was worth it for these features",
    }


def test_a_bound_is_never_shown_above_itself():
    for share in (0.98999, 0.99001, 0.5, 1.0, 0.0):
        assert 0 <= share - float(rounded_down(share)) < 1e-4


def test_one_graph_has_no_overlap_to_tell(tmp_path, knn, built):
    _, first, _, *rest = built
    knn("build", first, *rest, tmp_path / "r.html")
    assert "Neighbours in common" not in (tmp_path / "r.html").read_text()


def test_another_kind_of_report_is_refused_and_not_written(tmp_path):
    with pytest.raises(UserError, match=r"cannot write 'r\.txt' - name it \.json or "):
        check_report(Path("r.txt"))
    with pytest.raises(UserError, match=r"cannot write 'r' - name it \.json or \.html"):
        write_report(tmp_path / "r", {"graphs": {}, "overlap": []})
    assert not any(tmp_path.iterdir())
