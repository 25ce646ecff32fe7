"""Losses with parameters or options of their own."""

from __future__ import annotations

from mmgraph.nn.losses.adversarial_scores import AdversarialScoreLoss
from mmgraph.nn.losses.chained_alignment import ChainedAlignmentLoss
from mmgraph.nn.losses.club import CLUBLoss
from mmgraph.nn.losses.contrastive import InfoNCELoss, SoloSimLoss
from mmgraph.nn.losses.negative_distance import NegativeDistanceLoss
from mmgraph.nn.losses.projection_head import ProjectionHead
from mmgraph.nn.losses.row_critic import RowCritic
from mmgraph.nn.losses.separate_learning import SeparateLearningLoss

__all__ = [
    "AdversarialScoreLoss",
    "CLUBLoss",
    "ChainedAlignmentLoss",
    "InfoNCELoss",
    "NegativeDistanceLoss",
    "ProjectionHead",
    "RowCritic",
    "SeparateLearningLoss",
    "SoloSimLoss",
]
