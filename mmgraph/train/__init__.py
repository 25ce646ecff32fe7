"""Training and evaluation."""

from mmgraph.train.evaluate import evaluate, recommend
from mmgraph.train.history import History
from mmgraph.train.trainer import Trainer

__all__ = ["History", "Trainer", "evaluate", "recommend"]
