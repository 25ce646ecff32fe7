"""Layers, losses and data in PyTorch Geometric's own machinery: docs/inside-pyg.md."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.jit.frontend import NotSupportedError
from torch_geometric import EdgeIndex
from torch_geometric.data import Batch
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.loader import DataLoader, LinkNeighborLoader
from torch_geometric.loader.utils import filter_hetero_data
from torch_geometric.nn import HeteroConv, Sequential, to_hetero
from torch_geometric.transforms import RandomLinkSplit, ToUndirected
from torch_geometric.typing import WITH_PYG_LIB, WITH_TORCH_SPARSE, SparseTensor

from mmgraph.data import from_interactions, load_dataset, original_ids
from mmgraph.functional import Adjacency
from mmgraph.models import Batch as Triples
from mmgraph.models import available_models, build_model, resolve_model
from mmgraph.nn import (
    BipartiteConv,
    CLUBLoss,
    InfoNCELoss,
    ItemGraphConv,
    LayerRefinedConv,
    LightGCNConv,
    LightGCNEncoder,
    MMGCNConv,
    ModalityDict,
    ModalityEncoder,
    MultimodalGCN,
    NegativeDistanceLoss,
    NullSpaceProjection,
    PerturbedEncoder,
    SeparateLearningLoss,
    SoloSimLoss,
    WeightedSumConv,
)
from mmgraph.schema import INTERACTS, ITEM, REV_INTERACTS, SIMILAR, USER
from mmgraph.train import evaluate

CONVS = [WeightedSumConv, LightGCNConv, BipartiteConv, ItemGraphConv]
USER_ITEM = torch.tensor([[0, 0, 1, 2], [0, 1, 1, 3]])  # 3 users, 4 items
EDGES = {INTERACTS: USER_ITEM, REV_INTERACTS: USER_ITEM.flip(0)}
SQUARE = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
LETTERS = ["a", "bb", "clip.v2"]


def features(dim=5):
    return {USER: torch.randn(3, dim), ITEM: torch.randn(4, dim)}


def stacked(x):
    """LightGCN's step on the stacked graph, as a dense product."""
    matrix = torch.zeros(7, 7)
    matrix[USER_ITEM[0], 3 + USER_ITEM[1]] = 1.0
    matrix = matrix + matrix.T
    scale = matrix.sum(dim=1).clamp(min=1).rsqrt()
    out = (scale[:, None] * matrix * scale) @ torch.cat([x[USER], x[ITEM]])
    return dict(zip((USER, ITEM), out.split([3, 4]), strict=True))


# HeteroConv and to_hetero -------------------------------------------------------


@pytest.mark.parametrize("conv", [LightGCNConv, BipartiteConv])
def test_hetero_conv_equals_the_stacked_graph(conv):
    x = features()
    out = HeteroConv({edge_type: conv() for edge_type in EDGES})(x, EDGES)
    for kind, expected in stacked(x).items():
        torch.testing.assert_close(out[kind], expected)


@pytest.mark.parametrize("conv", [WeightedSumConv, LightGCNConv, BipartiteConv])
def test_hetero_conv_takes_prepared_graphs(conv):
    x, to_user = features(), Adjacency.bipartite(USER_ITEM, 3, 4)
    graphs = {INTERACTS: to_user.t(), REV_INTERACTS: to_user}
    out = HeteroConv({edge_type: conv() for edge_type in graphs})(x, graphs)
    torch.testing.assert_close(out[USER][0], x[ITEM][0] + x[ITEM][1])
    torch.testing.assert_close(out[ITEM][1], x[USER][0] + x[USER][1])


def test_hetero_conv_sums_neighbours_without_weights():
    x = features()
    out = HeteroConv({edge_type: WeightedSumConv() for edge_type in EDGES})(x, EDGES)
    torch.testing.assert_close(out[USER][0], x[ITEM][0] + x[ITEM][1])
    torch.testing.assert_close(out[ITEM][1], x[USER][0] + x[USER][1])


def test_hetero_conv_takes_layers_of_two_inputs_and_item_graphs():
    x, x_0 = features(), features()
    edges = {**EDGES, SIMILAR: SQUARE}
    out = HeteroConv({edge_type: LayerRefinedConv() for edge_type in EDGES})(
        x, x_0, EDGES
    )
    y = stacked(x)
    for kind in (USER, ITEM):
        cosine = torch.cosine_similarity(y[kind], x_0[kind])
        torch.testing.assert_close(out[kind], cosine[:, None] * y[kind])
    conv = MMGCNConv(5, 5)
    out = HeteroConv({REV_INTERACTS: conv})(x, x_0, EDGES)[USER]
    mean = torch.stack([x[ITEM][:2].mean(0), x[ITEM][1], x[ITEM][3]])
    torch.testing.assert_close(out, conv.update_nodes(x[USER], mean, x_0[USER]))
    out = HeteroConv({SIMILAR: ItemGraphConv(2)})(x, edges)[ITEM]
    torch.testing.assert_close(out, ItemGraphConv(2)(x[ITEM], SQUARE))


class TwoSteps(nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.first, self.lin, self.second = conv(), nn.Linear(5, 5), conv()

    def forward(self, x, edge_index):
        return self.second(self.lin(self.first(x, edge_index)), edge_index)


@pytest.mark.parametrize("conv", [WeightedSumConv, LightGCNConv, BipartiteConv])
def test_to_hetero_gives_each_edge_type_its_own_layer(conv):
    x = features()
    model = to_hetero(TwoSteps(conv), ([USER, ITEM], list(EDGES)))
    out = model(x, EDGES)
    by_hand = HeteroConv({edge_type: conv() for edge_type in EDGES})
    hidden = by_hand(x, EDGES)
    hidden = {kind: model.lin[kind](hidden[kind]) for kind in (USER, ITEM)}
    expected = by_hand(hidden, EDGES)
    for kind in (USER, ITEM):
        torch.testing.assert_close(out[kind], expected[kind])


class TwoInputs(nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x, x_0, edge_index):
        return self.conv(x, x_0, edge_index)


@pytest.mark.parametrize("conv", [LayerRefinedConv(), MMGCNConv(5, 5)], ids=repr)
def test_to_hetero_takes_layers_of_two_inputs(conv):
    x, x_0 = features(), features()
    model = to_hetero(TwoInputs(conv), ([USER, ITEM], list(EDGES)))
    layers = {t: getattr(model.conv, "__".join(t)) for t in EDGES}
    expected = HeteroConv(layers)(x, x_0, EDGES)
    out = model(x, x_0, EDGES)
    assert all(torch.equal(out[kind], expected[kind]) for kind in (USER, ITEM))


def test_to_hetero_takes_item_graphs_of_several_steps():
    x = torch.randn(3, 5)
    model = to_hetero(TwoSteps(lambda: ItemGraphConv(2)), ([ITEM], [SIMILAR]))
    out = model({ITEM: x}, {SIMILAR: SQUARE})[ITEM]
    hidden = model.lin[ITEM](ItemGraphConv(2)(x, SQUARE))
    torch.testing.assert_close(out, ItemGraphConv(2)(hidden, SQUARE))


def test_an_item_graph_of_two_sets_is_refused():
    x = features()
    with pytest.raises(ValueError, match="must be one set of items"):
        HeteroConv({INTERACTS: ItemGraphConv()})(x, EDGES)


def test_targets_without_features_need_a_size():
    x = features()
    with pytest.raises(ValueError, match="'size' is needed"):
        LightGCNConv()((x[USER], None), USER_ITEM)
    out = LightGCNConv()((x[USER], None), USER_ITEM, size=(3, 4))
    torch.testing.assert_close(out, BipartiteConv()(x[USER], USER_ITEM, num_dst=4))
    with pytest.raises(ValueError, match="targets have no features"):
        MMGCNConv(5, 5)((x[USER], None), x[ITEM], USER_ITEM)


# Forms of a graph -----------------------------------------------------------------


def graph_forms():
    transposed = torch.sparse_coo_tensor(SQUARE.flip(0), torch.ones(4), (3, 3))
    yield "coo", transposed.coalesce()
    yield "csr", transposed.to_sparse_csr()
    yield "EdgeIndex", EdgeIndex(SQUARE, sparse_size=(3, 3))
    yield "sorted EdgeIndex", EdgeIndex(SQUARE, sparse_size=(3, 3)).sort_by("col")[0]
    if WITH_TORCH_SPARSE:
        yield (
            "SparseTensor",
            SparseTensor(row=SQUARE[1], col=SQUARE[0], sparse_sizes=(3, 3)),
        )


@pytest.mark.parametrize(("name", "graph"), list(graph_forms()))
@pytest.mark.parametrize("conv", CONVS)
def test_every_form_of_a_graph_gives_the_same(conv, name, graph):
    x = torch.randn(3, 2)
    torch.testing.assert_close(conv()(x, graph), conv()(x, SQUARE))


@pytest.mark.parametrize(("name", "graph"), list(graph_forms()))
def test_mmgcn_and_encoders_take_every_form(name, graph):
    x, shared = torch.randn(3, 2), torch.randn(3, 2)
    conv = MMGCNConv(2, 2)
    torch.testing.assert_close(conv(x, shared, graph), conv(x, shared, SQUARE))
    refined = LayerRefinedConv()
    torch.testing.assert_close(refined(x, shared, graph), refined(x, shared, SQUARE))
    for encoder in (LightGCNEncoder(2), PerturbedEncoder(2).eval()):
        torch.testing.assert_close(encoder(x, graph), encoder(x, SQUARE))


def test_a_bipartite_sparse_graph_gives_what_its_edges_give():
    x = features()
    transposed = torch.sparse_coo_tensor(USER_ITEM.flip(0), torch.ones(4), (4, 3))
    for graph in (transposed, transposed.to_sparse_csr()):
        out = LightGCNConv()((x[USER], x[ITEM]), graph)
        torch.testing.assert_close(out, stacked(x)[ITEM])


@pytest.mark.parametrize("conv", CONVS)
def test_the_direction_of_flow_can_be_turned(conv):
    x = torch.randn(3, 2)
    turned = conv(flow="target_to_source")(x, SQUARE.flip(0))
    torch.testing.assert_close(turned, conv()(x, SQUARE))


def test_layers_stand_in_a_sequential():
    steps = [
        (LightGCNConv(), "x, edge_index -> x"),
        nn.Linear(2, 2),
        (ItemGraphConv(2), "x, edge_index -> x"),
    ]
    x = torch.randn(3, 2)
    out = Sequential("x, edge_index", steps)(x, SQUARE)
    expected = ItemGraphConv(2)(steps[1](LightGCNConv()(x, SQUARE)), SQUARE)
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("conv", [*CONVS, lambda: ItemGraphConv(2)])
def test_an_explainer_masks_the_messages(conv):
    WeightedSumConv()  # PyG compiles the base class first

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.lin = conv(), nn.Linear(2, 1)

        def forward(self, x, edge_index):
            return self.lin(self.conv(x, edge_index))

    model, x = Model(), torch.randn(3, 2)
    before = model(x, SQUARE)
    explainer = Explainer(
        model,
        GNNExplainer(epochs=2),
        explanation_type="model",
        edge_mask_type="object",
        model_config={
            "mode": "regression",
            "task_level": "node",
            "return_type": "raw",
        },
    )
    assert explainer(x, SQUARE).edge_mask.shape == (4,)
    assert torch.equal(model(x, SQUARE), before)


# torch.compile, torch.export, copies ------------------------------------------------


def modules():
    x, y = torch.randn(6, 4), torch.randn(6, 4)
    z = {m: torch.randn(6, 4) for m in LETTERS}
    graph = torch.tensor([[0, 2, 1, 3], [2, 0, 3, 1]])  # 2 users, 6 items
    yield from ((conv(), (x, SQUARE)) for conv in CONVS)
    yield LayerRefinedConv(), (x, y, SQUARE)
    yield MMGCNConv(4, 4), (x, y, SQUARE)
    yield LightGCNEncoder(2), (x, SQUARE)
    yield ModalityEncoder(4, 3), (x,)
    yield PerturbedEncoder(2).eval(), (x, SQUARE)
    yield MultimodalGCN(2, LETTERS, 4), (z, graph, SQUARE)
    yield InfoNCELoss(0.2), (x, y)
    yield SoloSimLoss(0.2), (x, y)
    yield NegativeDistanceLoss(), (x, y)
    yield CLUBLoss(4, 4), (x, y)
    yield SeparateLearningLoss(dict.fromkeys(LETTERS, 4)), (z,)
    projection = NullSpaceProjection(2, 0.9)
    projection.refresh(z)
    yield projection, (z,)


MODULES = [pytest.param(m, args, id=type(m).__name__) for m, args in modules()]


def flat(out):
    out = out if isinstance(out, (tuple, list)) else [out]
    return [t for o in out for t in (o.values() if isinstance(o, dict) else [o])]


def results(module, args):
    """Outputs, and the gradients of the inputs and parameters."""
    leaves = []

    def leaf(value):
        if isinstance(value, dict):
            return {key: leaf(part) for key, part in value.items()}
        if not value.is_floating_point():
            return value
        leaves.append(value.clone().requires_grad_())
        return leaves[-1]

    out = flat(module(*map(leaf, args)))
    total = sum(part.square().sum() for part in out)
    leaves += [p for p in module.parameters() if p.requires_grad]
    return out, torch.autograd.grad(total, leaves, allow_unused=True)


@pytest.mark.parametrize(("module", "args"), MODULES)
def test_compiles_as_one_graph_with_equal_values_and_gradients(module, args):
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(results(compiled, args), results(module, args))


def test_the_sampled_bound_compiles_with_the_same_draws():
    torch._dynamo.reset()
    club = CLUBLoss(4, 4, estimator="sample", clamp=False)
    compiled = torch.compile(club, fullgraph=True, backend="aot_eager")
    x, y = torch.randn(2, 6, 4)
    bounds = []
    for bound in (compiled, club):
        torch.manual_seed(3)
        bounds.append(bound(x, y))
    torch.testing.assert_close(*bounds)


@pytest.mark.parametrize("fullgraph", [True, False])
def test_a_prepared_graph_compiles(fullgraph):
    torch._dynamo.reset()
    adj = Adjacency.user_item(USER_ITEM, 3, 4)
    if fullgraph:
        adj.t()  # which the backward needs: sorting breaks a graph
    encoder, x = LightGCNEncoder(2), torch.randn(7, 2, requires_grad=True)
    compiled = torch.compile(encoder, fullgraph=fullgraph, backend="aot_eager")
    upstream = torch.randn(7, 2)
    (mine,) = torch.autograd.grad(compiled(x, adj), x, upstream)
    (other,) = torch.autograd.grad(encoder(x, adj), x, upstream)
    torch.testing.assert_close(compiled(x, adj), encoder(x, adj))
    torch.testing.assert_close(mine, other)


def test_the_real_compiler_gives_the_same():
    torch._dynamo.reset()
    module, x = LightGCNEncoder(2), torch.randn(3, 2)
    torch.testing.assert_close(torch.compile(module)(x, SQUARE), module(x, SQUARE))


@pytest.mark.parametrize(("module", "args"), MODULES)
def test_exports(module, args):
    exported = torch.export.export(module, args).module()
    torch.testing.assert_close(flat(exported(*args)), flat(module(*args)))


@pytest.mark.parametrize(("module", "args"), MODULES)
def test_copies_and_saved_states_give_the_same(module, args):
    module = copy.deepcopy(module).eval()  # the others have it in their mode
    twin = copy.deepcopy(module)
    for p in twin.parameters():
        nn.init.normal_(p)
    twin.load_state_dict(module.state_dict(), strict=True)
    expected = flat(module(*args))
    assert all(map(torch.equal, flat(twin(*args)), expected))
    assert repr(twin) == repr(module)


def test_a_prepared_graph_can_be_copied():
    adj = Adjacency.user_item(USER_ITEM, 3, 4)
    assert adj.t() is adj
    twin = copy.deepcopy(adj)
    assert twin.t() is twin
    x = torch.randn(7, 2)
    assert torch.equal(twin.matmul(x), adj.matmul(x))


# HeteroData -------------------------------------------------------------------------


@pytest.fixture
def shop():
    return from_interactions(
        ["ann", "bob", "bob", "eve"],
        ["tea", "rum", "tea", "ale"],
        features={"clip.v2": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]},
        feature_ids={"clip.v2": ["ale", "rum", "tea"]},
    )


def without_labels(data):
    """``edge_label_index`` of as many columns as edges is taken for an attribute."""
    data = copy.copy(data)
    del data[INTERACTS].edge_label_index
    return data


def test_random_link_split_gives_what_evaluation_reads():
    data = without_labels(load_dataset("synthetic")[0])
    split = RandomLinkSplit(
        num_val=0.1,
        num_test=0.1,
        neg_sampling_ratio=0.0,
        edge_types=[INTERACTS],
        rev_edge_types=[REV_INTERACTS],
    )
    train, val, test = split(data)
    sizes = [part[INTERACTS].edge_label_index.size(1) for part in (val, test)]
    assert sizes == [int(0.1 * data[INTERACTS].num_edges)] * 2
    assert train["item"].raw_id.tolist() == data["item"].raw_id.tolist()
    metrics = evaluate(build_model("MF-BPR", train, embedding_dim=4), val, ks=[10])
    assert 0 <= metrics["recall@10"] <= 1


def test_random_link_split_fails_on_labels_as_the_docs_say():
    split = RandomLinkSplit(edge_types=[INTERACTS], rev_edge_types=[REV_INTERACTS])
    with pytest.raises(IndexError):
        split(load_dataset("synthetic")[0])


def test_to_undirected_adds_a_third_direction_as_the_docs_say():
    train = load_dataset("synthetic")[0]
    undirected = ToUndirected()(copy.copy(train))
    added = set(undirected.edge_types) - set(train.edge_types)
    assert added == {(USER, "rev_rev_interacts", ITEM)}


@pytest.mark.parametrize("conv", [*CONVS, lambda: ItemGraphConv(2)])
def test_layers_do_not_script_as_the_docs_say(conv):
    with pytest.raises((RuntimeError, NotSupportedError)):
        torch.jit.script(conv())


def test_a_subgraph_keeps_ids_and_features_aligned(shop):
    part = without_labels(shop).subgraph({ITEM: torch.tensor([0, 2])})
    assert part[ITEM].raw_id.tolist() == ["ale", "tea"]
    assert part[ITEM]["x_clip.v2"].tolist() == [[1.0, 2.0], [5.0, 6.0]]
    assert part[INTERACTS].edge_index.tolist() == [[0, 1, 2], [1, 1, 0]]


def test_a_sampled_batch_keeps_ids_and_features_aligned(shop):
    """What NeighborLoader and LinkNeighborLoader do once they have sampled."""
    nodes = {USER: torch.tensor([1, 2]), ITEM: torch.tensor([2, 0])}
    none = dict.fromkeys(shop.edge_types)
    edges = {edge_type: torch.tensor([0]) for edge_type in shop.edge_types}
    batch = filter_hetero_data(shop, nodes, edges, edges, edges, none)
    assert original_ids(batch[USER].raw_id).tolist() == ["bob", "eve"]
    assert original_ids(batch[ITEM].raw_id).tolist() == ["tea", "ale"]
    assert batch[ITEM]["x_clip.v2"].tolist() == [[5.0, 6.0], [1.0, 2.0]]


@pytest.mark.skipif(
    not (WITH_PYG_LIB or WITH_TORCH_SPARSE), reason="needs pyg-lib or torch-sparse"
)
def test_link_neighbor_loader_keeps_ids_aligned(shop):
    loader = LinkNeighborLoader(
        shop,
        num_neighbors=[2],
        edge_label_index=(INTERACTS, shop[INTERACTS].edge_index),
        batch_size=2,
    )
    for batch in loader:
        ids = original_ids(batch[ITEM].raw_id).tolist()
        assert ids == [shop[ITEM].raw_id[i] for i in batch[ITEM].n_id]


def test_batches_of_catalogues_come_apart_again(shop):
    for batch in (
        Batch.from_data_list([shop, shop]),
        next(iter(DataLoader([shop, shop], batch_size=2))),
    ):
        assert batch[ITEM].num_nodes == 6
        assert batch[INTERACTS].edge_index.max(dim=1).values.tolist() == [5, 5]
        for part in batch.to_data_list():
            assert part[ITEM].raw_id.tolist() == ["ale", "rum", "tea"]


def test_data_can_be_moved_and_copied(shop):
    for twin in (copy.copy(shop), copy.deepcopy(shop), shop.clone(), shop.to("cpu")):
        assert twin[ITEM].raw_id.tolist() == ["ale", "rum", "tea"]
        assert twin[USER].raw_id[1] == "bob"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_data_can_be_pinned(shop):
    pinned = shop.pin_memory()
    assert pinned[ITEM]["x_clip.v2"].is_pinned()
    assert pinned[ITEM].raw_id.tolist() == ["ale", "rum", "tea"]


@pytest.mark.parametrize("names", [["a.b", "keys"], ["type", ""], ["100%", "training"]])
def test_modalities_of_any_name_have_modules(names):
    maps = ModalityDict({m: nn.Linear(2, 2) for m in names})
    assert list(maps) == list(maps.keys()) == names
    assert [m for m, _ in maps.items()] == names
    assert all(one is not two for one, two in pairwise(maps.values()))


# autocast and several processes -------------------------------------------------

AUTOCAST = [
    *("MF-BPR", "LightGCN", "LayerGCN", "VBPR", "MMGCN", "DualGNN", "SLMRec", "PAMD"),
    *("BM3", "FREEDOM", "LGMRec", "MENTOR", "CLEAR"),
]
PARALLEL = ["VBPR", "LightGCN", "FREEDOM"]


class Loss(nn.Module):
    """As in the docs."""

    def __init__(self, name, data):
        super().__init__()
        torch.manual_seed(0)
        self.model = build_model(name, data, embedding_dim=16)
        self.data = self.model.add_graphs(data)
        self.model.start_epoch(self.data, 1, torch.Generator().manual_seed(0))

    def forward(self, user, pos, neg):
        terms = self.model.training_loss(self.data, Triples(user, pos, neg))
        return sum(terms.values())

    def gradients(self):
        named = self.model.named_parameters()
        return {name: p.grad.clone() for name, p in named if p.grad is not None}


def triples(data, count=256):
    user, pos = data[INTERACTS].edge_index[:, :count]
    negatives = torch.Generator().manual_seed(1)
    items = data[ITEM].num_nodes
    return user, pos, torch.randint(items, (len(user),), generator=negatives)


@pytest.fixture(scope="module")
def planted():
    return load_dataset("synthetic")[0]


@pytest.mark.parametrize("name", AUTOCAST)
def test_autocast_gives_nearly_the_same_loss_and_direction(name, planted):
    found = []
    for enabled in (False, True):
        loss = Loss(name, planted)
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            value = loss(*triples(planted))
        value.backward()
        flat = torch.cat([g.flatten() for g in loss.gradients().values()])
        found.append((value.item(), flat))
    (exact, direction), (rough, nearly) = found
    assert rough == pytest.approx(exact, rel=0.01)
    assert torch.cosine_similarity(direction, nearly, dim=0) > 0.97


@pytest.mark.parametrize("name", PARALLEL)
def test_gradients_of_half_batches_have_those_of_the_batch_as_their_mean(name, planted):
    whole, halves = Loss(name, planted), Loss(name, planted)
    batch = triples(planted)
    whole(*batch).backward()
    for start in (0, 1):
        (halves(*(part[start::2] for part in batch)) / 2).backward()
    expected, found = whole.gradients(), halves.gradients()
    assert expected.keys() == found.keys()
    for key, gradient in expected.items():
        torch.testing.assert_close(found[key], gradient, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("name", PARALLEL)
def test_distributed_data_parallel_wraps_a_loss(name, planted, tmp_path):
    alone, wrapped = Loss(name, planted), Loss(name, planted)
    alone(*triples(planted)).backward()
    dist.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1
    )
    try:
        parallel = nn.parallel.DistributedDataParallel(
            wrapped, find_unused_parameters=True
        )
        parallel(*triples(planted)).backward()
    finally:
        dist.destroy_process_group()
    expected, found = alone.gradients(), wrapped.gradients()
    assert expected.keys() == found.keys()
    for key, gradient in expected.items():
        torch.testing.assert_close(found[key], gradient)


FORMS = [
    (name, None, fidelity)
    for name in available_models()
    for fidelity in resolve_model(name)[1].fidelities
]


@pytest.mark.parametrize(
    ("name", "plugin", "fidelity"),
    [*FORMS, ("VBPR", "CLEAR", "paper"), ("VBPR", "SEA", "paper")],
)
def test_autocast_of_every_system(name, plugin, fidelity):
    """A step of which all, the backward pass too, is under autocast."""
    train = load_dataset("synthetic")[0]
    rows = torch.arange(64)
    losses, gradients = [], []
    for enabled in (False, True):
        torch.manual_seed(0)
        plugged = {} if plugin is None else {"plugin": plugin}
        model = build_model(name, train, fidelity=fidelity, **plugged)
        graphs = model.add_graphs(copy.copy(train))
        model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            torch.manual_seed(1)
            model.start_epoch(graphs, 1, torch.Generator().manual_seed(0))
            torch.manual_seed(2)
            terms = model.training_loss(graphs, Triples(rows, rows, rows + 64))
            loss = torch.stack([term.float() for term in terms.values()]).sum()
            loss.backward()
        losses.append(loss.detach())
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        gradients.append(torch.cat([g.flatten() for g in grads]))
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-2, atol=0)
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99
