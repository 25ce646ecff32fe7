from __future__ import annotations

import json

import numpy as np

from mmgraph.analysis.knn import join_blocks
from mmgraph.analysis.knn.blocks import blocks_report
from mmgraph.data import read_graph
from mmgraph.knn import build_blocks, knn_graph
from mmgraph.knn.digest import graph_digest


def test_the_record_goes_with_the_shards(tmp_path, x):
    """Of two machines, of which the second knows the file by another path."""
    paths = [tmp_path / name / "image_feat.npy" for name in ("one", "two")]
    folders = []
    for shard, path in enumerate(paths, start=1):
        path.parent.mkdir()
        np.save(path, x)
        folder = path.parent / "work"
        work = build_blocks(path, 4, folder, block_rows=20, shard=f"{shard}/2")
        report = blocks_report(work, path)
        assert list(report["graphs"]) == ["visual"]
        assert (report["blocks"], report["missing"]) == (3, [1, 2][shard - 1])
        folders.append(folder)
    report = join_blocks(folders, tmp_path / "graph")
    want = graph_digest(*knn_graph(x, 4))
    assert report["graph_sha256"] == report["graphs"]["visual"]["graph_sha256"] == want
    (name, graph), *_ = read_graph(tmp_path / "graph").graphs.items()
    assert (name, graph.facts["features"]) == ("visual", [str(paths[0])])
    assert graph.facts["graph_sha256"] == want
    # A build that is begun again goes on, with the record beside its blocks.
    again = build_blocks(paths[0], 4, folders[0], block_rows=20, shard="2/2")
    assert not again.missing()


def test_the_record_says_what_is_stored(tmp_path, x):
    work = build_blocks((9 * x).astype(np.int8), 4, tmp_path / "work")
    join_blocks([work.path], tmp_path / "graph")
    record = json.loads((tmp_path / "graph" / "graph.json").read_text())
    assert (record["dim"], record["dtype"]) == (8, "float64")
    assert "modality" not in record
