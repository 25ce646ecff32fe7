"""The kNN graph of a new catalogue: built from files, verified, put into HeteroData."""

import tempfile
from pathlib import Path

import numpy as np

from mmgraph.analysis.knn import build_graphs, verify_graphs
from mmgraph.data import from_interactions, read_graph, write_graph
from mmgraph.transforms import AddItemGraphs

rng = np.random.default_rng(0)
items = np.array([f"sku-{n}" for n in rng.permutation(300)])
temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
features = {"visual": folder / "visual.npz", "textual": folder / "textual.npz"}
np.savez(features["visual"], features=rng.normal(size=(300, 64)), ids=items)
np.savez(features["textual"], features=rng.normal(size=(280, 32)), ids=items[:280])

# Exact, whatever the backend and the number of threads; file rows meet by their ids.
graph, report = build_graphs(features, k=10)
for name, facts in report["graphs"].items():
    print(f"{name}: {facts['num_edges']} edges, {facts['missing_rows']} missing")

# Every row against brute force in float64, bit for bit.
checked = verify_graphs(graph, features, rows=0)
print("wrong rows:", [facts["wrong_rows"] for facts in checked["graphs"].values()])

# The command line writes and reads the same file: mmgraph knn info graph.pt
write_graph(folder / "graph.pt", graph)
data = from_interactions(["ann", "bob"], ["sku-7", "sku-8"], items=items)
data = AddItemGraphs(read_graph(folder / "graph.pt"))(data)
neighbour, centre = data["item", "similar_visual", "item"].edge_index
of_seven = centre == int(np.flatnonzero(items == "sku-7")[0])
print("like sku-7:", *data["item"].raw_id[neighbour[of_seven].numpy()][:3])
temporary.cleanup()
