"""The k-core of a catalogue."""

from __future__ import annotations

import numpy as np
import torch
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS, ITEM, REV_INTERACTS, USER


def k_core(data: HeteroData, k: int) -> HeteroData:
    """The largest part in which every user and every item has k interactions.

    Users and items with fewer leave, then those who have fewer for that, until nobody
    does. Items without interactions leave, too, and the features of all who left.

    Args:
        data: Catalogue of all interactions, not yet split.
        k: Fewest interactions of a user and of an item.

    Returns:
        A catalogue of those who stay, in their order.

    Raises:
        UserError: If nobody stays.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> data = from_interactions(list("aabbc"), [1, 2, 1, 2, 2])
        >>> core = k_core(data, 2)
        >>> core["user"].raw_id.tolist(), core["item"].raw_id.tolist()
        (['a', 'b'], [1, 2])
    """
    edges = data[INTERACTS].edge_index
    kept = _edges_of_core(edges.cpu().numpy(), k)
    if not kept.size:
        raise UserError(
            f"no user and no item has {k} interactions among those who have",
            "choose a smaller --min-interactions",
        )
    keep = torch.from_numpy(kept)
    core = HeteroData()
    pairs = []
    for kind, of_edge in ((USER, edges[0, keep]), (ITEM, edges[1, keep])):
        nodes, place = of_edge.unique(return_inverse=True)
        pairs.append(place)
        for key, value in data[kind].items():
            if key == "raw_id":
                core[kind].raw_id = value[nodes.cpu().numpy()]
            elif key != "num_nodes":
                core[kind][key] = value[nodes]
        core[kind].num_nodes = len(nodes)
    new = torch.stack(pairs)
    core[INTERACTS].edge_index = core[INTERACTS].edge_label_index = new
    core[REV_INTERACTS].edge_index = new.flip(0)
    for key, value in data[INTERACTS].items():
        if key not in ("edge_index", "edge_label_index"):
            core[INTERACTS][key] = value[keep]
    if "stored_dtype" in data:
        core.stored_dtype = data.stored_dtype
    return core


def _edges_of_core(edges: np.ndarray, k: int) -> np.ndarray:
    """Positions of the edges that stay."""
    kept = np.arange(edges.shape[1])
    while True:
        user, item = edges[:, kept]
        enough = (np.bincount(user)[user] >= k) & (np.bincount(item)[item] >= k)
        if enough.all():
            return kept
        kept = kept[enough]
