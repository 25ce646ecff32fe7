"""Layers and losses that any PyTorch Geometric project can import one by one.

What a single system needs is in the sub-packages: ``AlternatingEncoder``,
``CrossModalAttention``, ``AdversarialScoreLoss`` and ``RowCritic`` of MMSSL,
``ChainedAlignmentLoss`` of SLMRec.
"""

from mmgraph.nn.conv import (
    BipartiteConv,
    ItemGraphConv,
    LayerRefinedConv,
    LightGCNConv,
    MMGCNConv,
    WeightedSumConv,
)
from mmgraph.nn.encoder import (
    LightGCNEncoder,
    ModalityEncoder,
    ModalityGraphEncoder,
    MultimodalGCN,
    PerturbedEncoder,
)
from mmgraph.nn.fusion import ModalityAttention, UserModalityWeights
from mmgraph.nn.losses import (
    CLUBLoss,
    InfoNCELoss,
    NegativeDistanceLoss,
    ProjectionHead,
    SeparateLearningLoss,
    SoloSimLoss,
)
from mmgraph.nn.modality_dict import ModalityDict, ModalityParameterDict
from mmgraph.nn.projection import NullSpaceProjection

__all__ = [
    "BipartiteConv",
    "CLUBLoss",
    "InfoNCELoss",
    "ItemGraphConv",
    "LayerRefinedConv",
    "LightGCNConv",
    "LightGCNEncoder",
    "MMGCNConv",
    "ModalityAttention",
    "ModalityDict",
    "ModalityEncoder",
    "ModalityGraphEncoder",
    "ModalityParameterDict",
    "MultimodalGCN",
    "NegativeDistanceLoss",
    "NullSpaceProjection",
    "PerturbedEncoder",
    "ProjectionHead",
    "SeparateLearningLoss",
    "SoloSimLoss",
    "UserModalityWeights",
    "WeightedSumConv",
]
