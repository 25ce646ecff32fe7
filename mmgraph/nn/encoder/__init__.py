"""Encoders of features and graphs."""

from mmgraph.nn.encoder.alternating_encoder import AlternatingEncoder
from mmgraph.nn.encoder.light_gcn_encoder import LightGCNEncoder
from mmgraph.nn.encoder.modality_encoder import ModalityEncoder
from mmgraph.nn.encoder.modality_graph_encoder import ModalityGraphEncoder
from mmgraph.nn.encoder.multimodal_gcn import MultimodalGCN
from mmgraph.nn.encoder.perturbed_encoder import PerturbedEncoder

__all__ = [
    "AlternatingEncoder",
    "LightGCNEncoder",
    "ModalityEncoder",
    "ModalityGraphEncoder",
    "MultimodalGCN",
    "PerturbedEncoder",
]
