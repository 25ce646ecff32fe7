from __future__ import annotations

import hashlib
import struct

import torch

from mmgraph.functional.graph import edge_digest
from mmgraph.functional.graph.edge_digest import graph_digest


def test_graph_digest_is_that_of_packed_integers_and_floats():
    packed = struct.pack("<4q2f", 1, 2, 0, 0, 0.75, -0.5)
    edge_index = torch.tensor([[1, 2], [0, 0]])
    similarity = torch.tensor([0.75, -0.5])
    want = hashlib.sha256(packed).hexdigest()
    assert graph_digest(edge_index, similarity) == want
    columns = edge_index.T.contiguous().T  # same values, another memory order
    assert graph_digest(columns, similarity) == want


def test_blocks_do_not_change_the_digest(monkeypatch):
    edge_index, similarity = torch.randint(50, (2, 103)), torch.randn(103)
    want = graph_digest(edge_index, similarity)
    monkeypatch.setattr(edge_digest, "READ", edge_digest.READ.__class__(10, 10))
    assert graph_digest(edge_index, similarity) == want
