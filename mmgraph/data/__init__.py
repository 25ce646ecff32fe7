"""From raw files to split catalogues: one ``HeteroData`` each for train, val, test."""

from mmgraph.data.build import from_interactions
from mmgraph.data.catalogue import read_catalogue
from mmgraph.data.content_hash import fingerprint
from mmgraph.data.feature_rows import FeatureRows, catalogue_features
from mmgraph.data.formats.features import check_finite, read_features
from mmgraph.data.formats.interactions import Interactions, read_interactions
from mmgraph.data.graphs.graph_file import (
    GraphFile,
    ModalityGraph,
    read_graph,
    write_graph,
)
from mmgraph.data.ids import ids_to_index, original_ids
from mmgraph.data.importing.core import k_core
from mmgraph.data.importing.dataset import ImportReport, import_dataset
from mmgraph.data.label_split import split_by_label
from mmgraph.data.line_up import (
    ItemFeatures,
    graph_features,
    line_up_features,
    open_features,
)
from mmgraph.data.load import load_dataset
from mmgraph.data.neighbor_sampler import NeighborSampler
from mmgraph.data.planted import PlantedTruth, plant_catalogue, synthetic
from mmgraph.data.report import data_report
from mmgraph.data.splits import (
    SPLITS,
    leave_one_out,
    split_cold_items,
    split_dataset,
    split_none,
    split_per_user,
    split_temporal,
)
from mmgraph.data.validation import check_split, validate
from mmgraph.data.write import write_dataset

__all__ = [
    "SPLITS",
    "FeatureRows",
    "GraphFile",
    "ImportReport",
    "Interactions",
    "ItemFeatures",
    "ModalityGraph",
    "NeighborSampler",
    "PlantedTruth",
    "catalogue_features",
    "check_finite",
    "check_split",
    "data_report",
    "fingerprint",
    "from_interactions",
    "graph_features",
    "ids_to_index",
    "import_dataset",
    "k_core",
    "leave_one_out",
    "line_up_features",
    "load_dataset",
    "open_features",
    "original_ids",
    "plant_catalogue",
    "read_catalogue",
    "read_features",
    "read_graph",
    "read_interactions",
    "split_by_label",
    "split_cold_items",
    "split_dataset",
    "split_none",
    "split_per_user",
    "split_temporal",
    "synthetic",
    "validate",
    "write_dataset",
    "write_graph",
]
