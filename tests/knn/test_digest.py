from __future__ import annotations

import hashlib
import struct

import numpy as np
import torch

from mmgraph.functional.block_sizes import BlockSize
from mmgraph.knn import digest as report
from mmgraph.knn.digest import feature_digest, num_components


def test_feature_digest_is_that_of_shape_and_values(monkeypatch):
    monkeypatch.setattr(report, "READ", BlockSize(2 * 5, 1))
    x = np.arange(6.0).reshape(3, 2)
    packed = struct.pack("<2q6f", 3, 2, 0, 1, 2, 3, 4, 5)
    assert feature_digest(x) == hashlib.sha256(packed).hexdigest()
    assert feature_digest(x.reshape(2, 3)) != feature_digest(x)


def test_components_equal_a_flood_fill():
    edge_index = torch.randint(0, 40, (2, 25))
    left, count = set(range(40)), 0
    neighbours: dict[int, set[int]] = {node: set() for node in left}
    for a, b in edge_index.T.tolist():
        neighbours[a].add(b)
        neighbours[b].add(a)
    while left:
        count += 1
        front = {left.pop()}
        while front:
            node = front.pop()
            left.discard(node)
            front |= neighbours[node] & left
    assert num_components(edge_index, 40) == count


def test_a_node_without_edges_is_a_component_wherever_it_is():
    chain = torch.tensor([[1, 2], [2, 3]])
    assert num_components(chain, 4) == 2
    assert num_components(chain, 6) == 4
    assert num_components(chain[:, :0], 3) == 3
    assert num_components(chain.flip(0), 4) == 2  # directions are ignored
