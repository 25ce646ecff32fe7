"""Blocks that bring modalities together."""

from mmgraph.nn.fusion.user_modality_weights import UserModalityWeights

__all__ = ["UserModalityWeights"]
