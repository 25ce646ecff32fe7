"""Training one model, and its evaluation by full ranking."""

from mmgraph.train.evaluation import evaluate, recommend
from mmgraph.train.history import History
from mmgraph.train.trainer import Trainer

__all__ = ["History", "Trainer", "evaluate", "recommend"]
