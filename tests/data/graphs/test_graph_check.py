"""Fields of a graph file, each with values that cannot be; and files that can.

MMGRAPH_EXAMPLES=5000 pytest tests/data/graphs makes the search longer.
"""

from __future__ import annotations

import copy
import io
import json
import os

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mmgraph.data.formats.budget import ALWAYS_ALLOWED
from mmgraph.data.graphs.graph_check import check_graphs
from mmgraph.data.graphs.graph_file import (
    GraphFile,
    ModalityGraph,
    read_graph,
    write_graph,
)
from mmgraph.errors import UserError
from mmgraph.knn import build_blocks, edge_weights, knn_graph, merge_shards, symmetrise
from mmgraph.knn.digest import graph_digest

EXAMPLES = int(os.environ.get("MMGRAPH_EXAMPLES", "40"))
examples = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
EDGES = ("item", "similar_visual", "item")
WORDS = st.text(max_size=8)


def build(
    num_items=12, k=3, metric="cosine", how="none", weights="similarity", seed=0, ids=()
):
    x = torch.randn(num_items, 4, generator=torch.Generator().manual_seed(seed))
    x[num_items // 2] = 0
    edges, similarity = symmetrise(*knn_graph(x, k, metric=metric), num_items, how)
    facts = {
        "k": k,
        "metric": metric,
        "nan": "refuse",
        "duplicates": "keep",
        "symmetrise": how,
        "weights": weights,
        "exact": True,
        "features": ["visual.npy"],
        "dim": 4,
        "input_sha256": 64 * "0",
        "graph_sha256": graph_digest(edges, similarity),
    }
    weight = edge_weights(edges, similarity, num_items, weights)
    graph = ModalityGraph(edges, similarity, weight, facts)
    return GraphFile(num_items, list(ids) or None, {"visual": graph})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(scope="module")
def stores(folder):
    write_graph(folder / "good.pt", build(ids=[f"i{n}" for n in range(12)]))
    return torch.load(folder / "good.pt", weights_only=True)


@pytest.fixture(scope="module")
def arrays(folder):
    write_graph(folder / "good.npz", build(ids=range(12)))
    with np.load(folder / "good.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def joined(folder):
    x = torch.randn(12, 4)
    merge_shards([build_blocks(x, 3, folder / "work").path], folder / "joined")
    return folder / "joined"


def refused(path, named=None):
    """The file is refused in one line that names it, whatever is in it."""
    with pytest.raises(UserError) as error:
        read_graph(path)
    message = str(error.value)
    assert message.startswith(str(named or path))
    assert "\n" not in message
    assert len(message) < 1000
    return message


def reads(path):
    try:
        read_graph(path)
    except UserError:
        return False
    return True


def write_pt(path, stores):
    buffer = io.BytesIO()
    torch.save(stores, buffer)
    path.write_bytes(buffer.getvalue())
    return path


def nested(depth):
    value = "x"
    for _ in range(depth):
        value = [value] * 10  # 10^depth words for who walks it
    return value


#: Of every type that a record can have on disk; none of them is a fact.
WRONG = st.one_of(
    st.sampled_from([-1, 0, -(10**30), 10**30, 10**5000, 2.5]),
    st.sampled_from([float("nan"), float("inf"), b"x", ("x",), {}, {1: 2}, 1j]),
    st.sampled_from([None, [], [[]], [1], ["x", 3], {"a": nested(30)}, nested(30)]),
    st.builds(torch.tensor, st.sampled_from([3, 0.5, [1, 2], True])),
    WORDS,
)
#: The same as JSON has them.
WRONG_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(WORDS, each, max_size=3),
    max_leaves=5,
)
GOOD = build().graphs["visual"].facts
FACTS = sorted(GOOD)
RIGHT = {
    "k": lambda v: v == 3 and type(v) is int,
    "dim": lambda v: type(v) is int and 0 < v < 2**63,
    "exact": lambda v: type(v) is bool,
    "features": lambda v: type(v) is list and all(type(each) is str for each in v),
    "include_self": lambda v: type(v) is bool,
    "metric": lambda v: v in ("cosine", "ip"),
    "nan": lambda v: v in ("refuse", "isolate"),
    "duplicates": lambda v: v in ("keep", "collapse"),
}


def is_right(name, value):
    """True where a value may stand in the record of another graph of these edges."""
    plain = isinstance(value, bool | int | str | list)
    known = RIGHT.get(name, lambda v: name in GOOD and v == GOOD[name])
    return plain and known(value)


@examples
@given(st.sampled_from(FACTS), WRONG)
def test_a_wrong_fact_is_refused(folder, stores, name, value):
    assume(not is_right(name, value))
    changed = copy.deepcopy(stores)
    changed[EDGES]["knn"][name] = value
    message = refused(write_pt(folder / "fact.pt", changed))
    assert name in message or "not a graph file" in message or name == "symmetrise"


@examples
@given(st.sampled_from(FACTS), WRONG_JSON)
def test_a_wrong_fact_of_csr_is_refused(folder, arrays, name, value):
    assume(not is_right(name, value))
    facts = json.loads(str(arrays["facts"])) | {name: value}
    path = folder / "fact.npz"
    np.savez(path, **arrays | {"facts": np.array(json.dumps(facts))})
    refused(path)


@examples
@given(
    st.sampled_from(["num_nodes", "num_edges", "k", "metric", "nan", "duplicates"])
    | st.sampled_from(["include_self", "graph_sha256", "input_sha256", "files"]),
    WRONG_JSON,
)
def test_a_wrong_fact_of_a_folder_is_refused(joined, name, value):
    path = joined / "graph.json"
    good = path.read_text()
    record = json.loads(good)
    del record["checksum"]
    assume(not is_right(name, value) and record[name] != value)
    assume(name != "files" or value)  # older folders have none
    # Items behind the others have no neighbours.
    assume(name != "num_nodes" or not 12 <= _count(value) <= ALWAYS_ALLOWED // 8)
    try:
        path.write_text(json.dumps(record | {name: value}))
        refused(joined, named=joined)
    finally:
        path.write_text(good)


def _count(value):
    return value if type(value) is int else -1


@examples
@given(WORDS, WRONG)
def test_an_unknown_fact_is_plain_or_refused(folder, stores, name, value):
    assume(name not in FACTS and name not in ("dtype", "include_self"))
    changed = copy.deepcopy(stores)
    changed[EDGES]["knn"][name] = value
    path = write_pt(folder / "extra.pt", changed)
    plain = type(value) in (int, float, str, type(None))
    if plain and value == value and value not in (float("inf"),) and _small(value):
        assert read_graph(path).graphs["visual"].facts[name] == value
    else:
        refused(path)


def _small(value):
    return type(value) is not int or abs(value) < 2**63


def tensors(good):
    """Tensors that are not the good one, of all kinds that torch can write."""
    floats = good.is_floating_point()
    values = [
        good[..., :-1],
        good.repeat(2, *[1] * (good.dim() - 1)),
        good.unsqueeze(0),
        good[..., :1].expand(good.shape),
        good.flip(-1),
        good.to(torch.complex64),
        good.to(torch.float64) if floats else good.to(torch.int32),
        good.half() if floats else good.float(),
        good.bool(),
        good.to("meta"),
        good.to_sparse(),
        torch.nn.Parameter(good, requires_grad=False),
        torch.nested.nested_tensor([good.flatten().float()]),
        torch.quantize_per_tensor(good.float(), 0.1, 0, torch.qint8),
        torch.tensor(3),
        torch.zeros(0),
        torch.zeros(1, dtype=good.dtype).expand(2**40),
    ]
    for bad in (-1, 13, 2**62) if not floats else (torch.nan, torch.inf, 2.0, -1.5):
        changed = good.clone()
        changed.view(-1)[3] = bad
        values.append(changed)
    if floats:
        values.append(good.clone().requires_grad_())
    return values


@pytest.fixture(scope="module")
def wrong_tensors(stores):
    fields = ("edge_index", "edge_sim", "edge_weight")
    return [(f, each) for f in fields for each in tensors(stores[EDGES][f])]


@examples
@given(st.data())
def test_a_wrong_tensor_is_refused(folder, stores, wrong_tensors, data):
    name, value = wrong_tensors[data.draw(st.integers(0, len(wrong_tensors) - 1))]
    changed = dict(stores)
    changed[EDGES] = stores[EDGES] | {name: value}
    refused(write_pt(folder / "tensor.pt", changed))


@examples
@given(st.sampled_from(["edge_index", "edge_sim", "edge_weight", "knn"]), WRONG)
def test_what_is_no_tensor_is_refused(folder, stores, name, value):
    changed = dict(stores)
    changed[EDGES] = stores[EDGES] | {name: value}
    refused(write_pt(folder / "type.pt", changed))


@examples
@given(st.sampled_from(["num_nodes", "raw_id"]), WRONG)
def test_wrong_items_are_refused(folder, stores, name, value):
    assume(name != "raw_id" or value is not None)
    changed = dict(stores)
    changed["item"] = stores["item"] | {name: value}
    refused(write_pt(folder / "items.pt", changed))


@examples
@given(st.integers(0, 11), st.sampled_from(["i0", 5, None, 1.5, b"x", ["i"], True]))
def test_ids_of_two_kinds_or_twice_are_refused(folder, stores, place, value):
    assume(place > 0 or value != "i0")
    changed = copy.deepcopy(stores)
    changed["item"]["raw_id"][place] = value
    refused(write_pt(folder / "ids.pt", changed))


@examples
@given(
    st.sampled_from(["indptr", "indices", "data", "similarity", "shape", "facts"]),
    st.sampled_from(
        ["cut", "twice", "matrix", "words", "floats", "huge", "gone", "-1"]
    ),
)
def test_a_wrong_array_of_csr_is_refused(folder, arrays, name, how):
    good = np.atleast_1d(arrays[name])
    assume(not (name == "facts" and how in ("matrix", "words", "-1", "twice", "huge")))
    changed = {
        "cut": good[:-1],
        "twice": np.concatenate([good, good]),
        "matrix": np.stack([good, good]),
        "words": good.astype(str),
        "floats": good.astype(str).astype("S4") if name == "facts" else good + 0.5,
        "huge": None if name == "facts" else good * 10**12,
        "-1": None if name == "facts" else -1 - good,
        "gone": None,
    }[how]
    others = {key: value for key, value in arrays.items() if key != name}
    path = folder / "array.npz"
    np.savez(path, **others if how == "gone" else others | {name: changed})
    refused(path)


@examples
@given(st.sampled_from(["edge_index", "edge_sim"]), st.integers(0, 32), st.data())
def test_any_other_value_is_refused(folder, stores, name, place, data):
    changed = copy.deepcopy(stores)
    values = changed[EDGES][name].view(-1)
    places = st.integers(0, 11) if name == "edge_index" else st.floats(-1, 1, width=32)
    value = data.draw(places)
    assume(values[place] != value)
    values[place] = value
    changed[EDGES]["edge_weight"] = changed[EDGES]["edge_sim"].clone()
    refused(write_pt(folder / "value.pt", changed))


@examples
@given(st.sampled_from(["good.pt", "good.npz"]), st.floats(0, 1, exclude_max=True))
def test_a_torn_file_is_refused(folder, stores, arrays, name, part):
    content = (folder / name).read_bytes()
    torn = folder / f"torn-{name}"
    torn.write_bytes(content[: int(part * len(content))])
    # The checksum stands at the end: without a part of it the rest may be whole.
    if part > 0.9 and reads(torn):
        assert read_graph(torn).graphs["visual"].facts == build().graphs["visual"].facts
    else:
        refused(torn)


@examples
@given(WRONG)
def test_another_object_is_refused(folder, value):
    refused(write_pt(folder / "other.pt", value))
    refused(write_pt(folder / "other.pt", {"item": value, EDGES: value}))


@settings(examples, max_examples=max(10, EXAMPLES // 4))
@given(
    st.integers(2, 30),
    st.integers(1, 40),
    st.sampled_from(["cosine", "ip", "l2"]),
    st.sampled_from(["none", "union", "mutual"]),
    st.sampled_from(["similarity", "binary", "symmetric"]),
    st.sampled_from(["none", "numbers", "words"]),
    st.sampled_from(["pt", "npz"]),
    st.integers(0, 2**32 - 1),
)
def test_a_graph_comes_back_bit_for_bit(
    folder, num_items, k, metric, how, weights, ids, suffix, seed
):
    named = {"none": [], "numbers": range(num_items)}
    named["words"] = [f"i{n}" for n in range(num_items)]
    file = build(num_items, k, metric, how, weights, seed, named[ids])
    path = folder / f"whole.{suffix}"
    write_graph(path, file)
    got = read_graph(path)
    assert (got.num_items, got.ids) == (file.num_items, file.ids)
    want, graph = file.graphs["visual"], got.graphs["visual"]
    assert graph.facts == want.facts
    for name in ("edge_index", "similarity", "weight"):
        assert torch.equal(getattr(graph, name), getattr(want, name))


def test_more_items_than_a_file_can_be_of_take_no_memory(tmp_path):
    file = build()
    for count in (10**13, 2**26, 2**62):
        file.num_items = count
        with pytest.raises(UserError, match=r"g\.pt: .* items are more than it can be"):
            check_graphs(file, tmp_path / "g.pt", "again", size=5000)


def test_a_row_is_its_own_neighbour_where_its_record_says_so():
    x = torch.randn(9, 4)
    file, edges = build(), knn_graph(x, 3, include_self=True)
    graph = file.graphs["visual"]
    graph.edge_index, graph.similarity = edges
    graph.weight = graph.similarity
    graph.facts["graph_sha256"] = graph_digest(*edges)
    with pytest.raises(UserError, match="a row is its own neighbour - again"):
        check_graphs(file, "g.pt", "again", size=5000)
    graph.facts["include_self"] = True
    check_graphs(file, "g.pt", "again", size=5000)


def test_no_row_has_more_neighbours_than_k():
    for how, message in (("none", "has not its k = 2"), ("mutual", "has more than 2")):
        file = build(how=how)
        file.graphs["visual"].facts["k"] = 2
        with pytest.raises(UserError, match=f"a row {message} neighbours - again"):
            check_graphs(file, "g.pt", "again", size=5000)
