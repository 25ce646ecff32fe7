"""The systems, on one small interface."""

from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.bm3 import BM3
from mmgraph.models.clear import CLEAR
from mmgraph.models.dual_gnn import DualGNN
from mmgraph.models.floors.content_knn import ContentKNN
from mmgraph.models.floors.item_knn import ItemKNN
from mmgraph.models.freedom import FREEDOM
from mmgraph.models.lattice import LATTICE
from mmgraph.models.layer_gcn import LayerGCN
from mmgraph.models.lgmrec import LGMRec
from mmgraph.models.light_gcn import LightGCN
from mmgraph.models.mentor import MENTOR
from mmgraph.models.mf_bpr import MFBPR
from mmgraph.models.mgcn import MGCN
from mmgraph.models.micro import MICRO
from mmgraph.models.mmgcn import MMGCN
from mmgraph.models.mmssl import MMSSL
from mmgraph.models.pamd import PAMD
from mmgraph.models.plugins.base import Plugin
from mmgraph.models.plugins.clear import CLEARPlugin
from mmgraph.models.plugins.sea import SEAPlugin
from mmgraph.models.registry import (
    available_floors,
    available_models,
    available_plugins,
    build_model,
    model_options,
    register_model,
    register_plugin,
    resolve_model,
    resolve_plugin,
)
from mmgraph.models.sea import SEA
from mmgraph.models.slmrec import SLMRec
from mmgraph.models.vbpr import VBPR

__all__ = [
    "BM3",
    "CLEAR",
    "FREEDOM",
    "LATTICE",
    "MENTOR",
    "MFBPR",
    "MGCN",
    "MICRO",
    "MMGCN",
    "MMSSL",
    "PAMD",
    "SEA",
    "VBPR",
    "Batch",
    "CLEARPlugin",
    "ContentKNN",
    "DualGNN",
    "ItemKNN",
    "LGMRec",
    "LayerGCN",
    "LightGCN",
    "Plugin",
    "Recommender",
    "SEAPlugin",
    "SLMRec",
    "available_floors",
    "available_models",
    "available_plugins",
    "build_model",
    "model_options",
    "register_model",
    "register_plugin",
    "resolve_model",
    "resolve_plugin",
]
