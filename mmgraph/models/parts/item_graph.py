"""The frozen item graphs of the systems, as transforms."""

from __future__ import annotations

from torch_geometric.transforms import BaseTransform, Compose

from mmgraph.errors import UserError
from mmgraph.options import shown
from mmgraph.transforms import FuseItemGraphs, ItemKNNGraph


def modality_weights(
    modalities: list[str], visual_weight: float = 0.1
) -> dict[str, float]:
    """Weight of each modality in the fused item graph; the weights sum to one.

    The papers give the visual graph 0.1 and the textual one 0.9. Here ``visual`` gets
    ``visual_weight`` and the others share the rest equally; without a modality of that
    name, or with it alone, all get the same.

    Example:
        >>> modality_weights(["visual", "textual"])
        {'visual': 0.1, 'textual': 0.9}
        >>> modality_weights(["textual"])
        {'textual': 1.0}
    """
    if "visual" not in modalities or len(modalities) == 1:
        return {m: 1.0 / len(modalities) for m in modalities}
    rest = (1.0 - visual_weight) / (len(modalities) - 1)
    return {m: visual_weight if m == "visual" else rest for m in modalities}


def checked_weights(
    modalities: list[str], weights: dict[str, float] | None, visual_weight: float = 0.1
) -> dict[str, float]:
    """The given weights, or by default those of :func:`modality_weights`.

    Raises:
        UserError: If ``weights`` names other modalities than the data have, or all are
            0.

    Example:
        >>> checked_weights(["visual", "textual"], None, 0.5)
        {'visual': 0.5, 'textual': 0.5}
    """
    if not 0 <= visual_weight <= 1:
        raise UserError(
            f"'visual_weight' must be in [0, 1] (got {visual_weight})",
            "try 0.1",
            owner="",
        )
    if weights is None:
        weights = modality_weights(modalities, visual_weight)
    if set(weights) != set(modalities):
        raise UserError(
            f"'modality_weights' must name {', '.join(modalities)} "
            f"(got {shown(dict(weights))})",
            "give each modality of the data a weight",
            owner="",
        )
    if not any(weights.values()):
        raise UserError(
            f"'modality_weights' must have one above 0 (got {shown(dict(weights))})",
            "give a modality a weight",
            owner="",
        )
    return weights


def fused_item_graph(
    modalities: list[str],
    k: int,
    weights: dict[str, float] | None,
    visual_weight: float = 0.1,
) -> BaseTransform:
    r"""The fused graph :math:`\mathbf{S} = \sum_m w_m \mathbf{S}^m`.

    Each :math:`\mathbf{S}^m` holds the :math:`k` nearest items by cosine of the raw
    features, the item itself among them, with weight :math:`1/k` each.

    Raises:
        UserError: If ``weights`` names other modalities than the data have, or all are
            0.

    Example:
        >>> fused_item_graph(["visual"], 10, None)
        Compose([
          ItemKNNGraph('visual', k=10),
          FuseItemGraphs({'visual': 1.0})
        ])
    """
    weights = checked_weights(modalities, weights, visual_weight)
    graphs: list[BaseTransform] = [ItemKNNGraph(m, k) for m in modalities]
    return Compose([*graphs, FuseItemGraphs(weights)])


def similarity_graphs(modalities: list[str], k: int) -> BaseTransform:
    r"""One graph :math:`\mathbf{S}^m` per modality, weighted by similarity.

    Each holds the :math:`k` nearest items by cosine of the raw features, the item
    itself among them; a cosine is divided by the root of the two lists' sums (LATTICE,
    MICRO, MGCN).

    Example:
        >>> similarity_graphs(["visual"], 10)
        Compose([
          ItemKNNGraph('visual', k=10)
        ])
    """
    return Compose(
        [ItemKNNGraph(m, k, weight="similarity", norm="row") for m in modalities]
    )
