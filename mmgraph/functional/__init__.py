"""Pure functions on tensors: what the layers, losses and transforms are made of."""

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.co_occurrence import co_occurrence
from mmgraph.functional.graph.cosine_refine import cosine_refine
from mmgraph.functional.graph.edge_similarity import edge_cosine
from mmgraph.functional.graph.fixed_neighbors import fixed_neighbors
from mmgraph.functional.graph.normalize import (
    mean_norm,
    root_norm,
    row_sum_norm,
    stack_user_item,
    symmetric_norm,
)
from mmgraph.functional.graph.prune import prune_edges
from mmgraph.functional.graph.relaxed_interactions import relaxed_interactions
from mmgraph.functional.graph.root_norm import root_norm_graphs
from mmgraph.functional.gumbel import gumbel_softmax
from mmgraph.functional.linear_chain import chained_linear
from mmgraph.functional.losses.bootstrap import bootstrap_loss
from mmgraph.functional.losses.bpr import bpr_loss, inner_product_bpr
from mmgraph.functional.losses.contrastive import info_nce, solosim
from mmgraph.functional.losses.gaussian_heads import log_variance_head, mean_head
from mmgraph.functional.losses.grace import grace
from mmgraph.functional.losses.moments import moment_alignment
from mmgraph.functional.losses.mutual_information import (
    club_bound,
    club_bound_sampled,
    gaussian_log_likelihood,
    gaussian_network_loss,
    standardized,
)
from mmgraph.functional.losses.regularizers import (
    half_square_penalty,
    half_square_sum_penalty,
    mean_square_penalty,
    norm_penalty,
)
from mmgraph.functional.recommend.metrics import ranking_metrics
from mmgraph.functional.recommend.negative_sampling import NegativeSampler
from mmgraph.functional.recommend.unseen import (
    map_unseen_scores,
    seen_items,
    top_unseen_items,
    unseen_scores,
)
from mmgraph.functional.redundancy.chance_overlap import ChanceOverlap, chance_overlap
from mmgraph.functional.redundancy.cka import chance_cka, covariance_cka, linear_cka
from mmgraph.functional.redundancy.cross_moments import CrossMoments, merge_moments
from mmgraph.functional.redundancy.divergence import (
    neighbour_overlap,
    overlap_coefficient,
    sliced_wasserstein,
)
from mmgraph.functional.redundancy.projection import (
    cross_covariance,
    shared_bases,
    shared_directions,
    suppress,
    union_bases,
)
from mmgraph.functional.redundancy.random_angle import (
    random_angle_density,
    random_angle_variance,
)
from mmgraph.functional.redundancy.refresh_measures import (
    refresh_measures,
    subspace_affinity,
)
from mmgraph.functional.redundancy.shared_rank import (
    SharedRank,
    chance_level,
    levelling_strength,
    shared_rank,
)
from mmgraph.functional.redundancy.spectrum import (
    effective_rank,
    energy_ratio,
    spectral_gap,
    suggest_rank,
)
from mmgraph.functional.rows import take_rows

__all__ = [
    "Adjacency",
    "ChanceOverlap",
    "CrossMoments",
    "NegativeSampler",
    "SharedRank",
    "bootstrap_loss",
    "bpr_loss",
    "chained_linear",
    "chance_cka",
    "chance_level",
    "chance_overlap",
    "club_bound",
    "club_bound_sampled",
    "co_occurrence",
    "cosine_refine",
    "covariance_cka",
    "cross_covariance",
    "edge_cosine",
    "effective_rank",
    "energy_ratio",
    "fixed_neighbors",
    "gaussian_log_likelihood",
    "gaussian_network_loss",
    "grace",
    "gumbel_softmax",
    "half_square_penalty",
    "half_square_sum_penalty",
    "info_nce",
    "inner_product_bpr",
    "levelling_strength",
    "linear_cka",
    "log_variance_head",
    "map_unseen_scores",
    "mean_head",
    "mean_norm",
    "mean_square_penalty",
    "merge_moments",
    "moment_alignment",
    "neighbour_overlap",
    "norm_penalty",
    "overlap_coefficient",
    "prune_edges",
    "random_angle_density",
    "random_angle_variance",
    "ranking_metrics",
    "refresh_measures",
    "relaxed_interactions",
    "root_norm",
    "root_norm_graphs",
    "row_sum_norm",
    "seen_items",
    "shared_bases",
    "shared_directions",
    "shared_rank",
    "sliced_wasserstein",
    "solosim",
    "spectral_gap",
    "stack_user_item",
    "standardized",
    "subspace_affinity",
    "suggest_rank",
    "suppress",
    "symmetric_norm",
    "take_rows",
    "top_unseen_items",
    "union_bases",
    "unseen_scores",
]
