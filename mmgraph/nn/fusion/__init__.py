"""Blocks that bring modalities together."""

from mmgraph.nn.fusion.cross_modal_attention import CrossModalAttention
from mmgraph.nn.fusion.modality_attention import ModalityAttention
from mmgraph.nn.fusion.user_modality_weights import UserModalityWeights

__all__ = ["CrossModalAttention", "ModalityAttention", "UserModalityWeights"]
