from __future__ import annotations

import importlib.util
import math
import os
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.memory import LargestTensor

from mmgraph.functional.block_sizes import BlockSize
from mmgraph.knn import knn_graph
from mmgraph.knn.search import symmetric_search

# MMGRAPH_EXAMPLES=1000 pytest tests/knn/test_graph.py makes the search longer.
EXAMPLES = int(os.environ.get("MMGRAPH_EXAMPLES", "60"))
BACKENDS = ["torch"]
if importlib.util.find_spec("faiss"):
    BACKENDS.append("faiss")
METRICS = ["cosine", "ip", "l2"]


def brute_force(x, k, metric, include_self, collapse=False):
    """Lists by a slow loop over exactly summed products."""
    rows = [[float(v) for v in row] for row in x]
    kept = [i for i, row in enumerate(rows) if any(row) and math.isfinite(sum(row))]
    if collapse:
        kept = [i for i in kept if rows.index(rows[i]) == i]
    norm = [math.sqrt(math.fsum(v * v for v in row)) for row in rows]
    edges, values = [], []
    for i in kept:
        ranked = []
        for j in kept:
            if i == j and not include_self:
                continue
            pair = list(zip(rows[i], rows[j], strict=True))
            if metric == "l2":
                value = -math.fsum((a - b) ** 2 for a, b in pair)
            else:
                value = math.fsum(a * b for a, b in pair)
            if metric == "cosine":
                value /= norm[i] * norm[j]
            ranked.append((-float(np.float32(value)), j))
        for value, j in sorted(ranked)[:k]:
            edges.append((j, i))
            values.append(-value)
    edge_index = torch.tensor(edges, dtype=torch.long).reshape(-1, 2).T
    return edge_index, torch.tensor(values, dtype=torch.float32)


def assert_same(got, want):
    assert torch.equal(got[0], want[0])
    assert torch.equal(got[1], want[1])


@st.composite
def tables(draw):
    """Small integers: exact ties, duplicates and zero rows are the rule, NaN occurs."""
    num_rows, dim = draw(st.integers(0, 24)), draw(st.integers(1, 4))
    largest = draw(st.sampled_from([1, 3]))
    value = st.integers(-largest, largest)
    if draw(st.booleans()):
        value |= st.just(math.nan)
    row = st.lists(value, min_size=dim, max_size=dim)
    rows = draw(st.lists(row, min_size=num_rows, max_size=num_rows))
    return torch.tensor(rows, dtype=torch.float32).reshape(num_rows, dim)


@settings(max_examples=EXAMPLES)
@given(
    x=tables(),
    k=st.integers(1, 30),
    metric=st.sampled_from(METRICS),
    include_self=st.booleans(),
    backend=st.sampled_from(BACKENDS),
    block_size=st.sampled_from([None, 1, 5]),
    width=st.sampled_from([4, 2048]),
    duplicates=st.sampled_from(["keep", "collapse"]),
)
def test_equals_an_exact_brute_force(
    x, k, metric, include_self, backend, block_size, width, duplicates
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(symmetric_search, "TILE_WIDTH", BlockSize(width, width))
        got = knn_graph(
            x,
            k,
            metric=metric,
            backend=backend,
            include_self=include_self,
            block_size=block_size,
            nan="isolate",
            duplicates=duplicates,
        )
    assert got[0].dtype == torch.int64
    assert got[1].dtype == torch.float32
    collapse = duplicates == "collapse"
    assert_same(got, brute_force(x, k, metric, include_self, collapse))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_real_valued_rows_equal_a_float64_brute_force(metric, backend):
    x = torch.randn(300, 24) + 2  # off the origin: l2 must not lose digits
    wide = x.double()
    score = wide @ wide.T
    if metric == "cosine":
        score /= wide.norm(dim=1)[:, None] * wide.norm(dim=1)
    if metric == "l2":
        score = -torch.cdist(wide, wide, compute_mode="donot_use_mm_for_euclid_dist")
        score = -score.square()
    score.fill_diagonal_(-math.inf)
    value, neighbour = score.topk(7)
    edge_index, similarity = knn_graph(x, 7, metric=metric, backend=backend)
    assert torch.equal(edge_index[0].view(300, 7), neighbour)
    assert torch.equal(edge_index[1], torch.arange(300).repeat_interleave(7))
    torch.testing.assert_close(
        similarity.double(), value.flatten(), rtol=1e-6, atol=1e-6
    )


def hard_table():
    """Duplicates beyond any margin, multiples, near-ties and zero rows at once."""
    base = torch.randn(40, 6)
    copies = base[:3].repeat_interleave(25, 0)
    multiples = base[3] * torch.arange(1, 31)[:, None]
    near = base[4] + 1e-7 * torch.randn(30, 6)
    x = torch.cat([base, copies, multiples, near, torch.zeros(4, 6)])
    return x[torch.randperm(len(x))]


@pytest.mark.parametrize("include_self", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_ties_do_not_depend_on_backend_block_or_threads(metric, include_self):
    x = hard_table()
    want = brute_force(x, 9, metric, include_self)
    threads = torch.get_num_threads()
    try:
        for backend in BACKENDS:
            for block_size in (7, 64, 5000):
                torch.set_num_threads(1 + block_size % 2)
                got = knn_graph(
                    x,
                    9,
                    metric=metric,
                    backend=backend,
                    block_size=block_size,
                    include_self=include_self,
                )
                assert_same(got, want)
    finally:
        torch.set_num_threads(threads)


def test_user_wide_low_precision_is_not_used_and_comes_back():
    x = torch.randn(200, 64)
    want = knn_graph(x, 5, backend="torch")
    torch.set_float32_matmul_precision("medium")
    try:
        assert_same(knn_graph(x, 5, backend="torch"), want)
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_zero_row_changes_no_other_list(backend):
    x = torch.randn(200, 8)
    with_zero = torch.cat([x[:50], torch.zeros(1, 8), x[50:]])
    edge_index, similarity = knn_graph(x, 5, backend=backend)
    moved = edge_index + (edge_index >= 50)
    assert_same(knn_graph(with_zero, 5, backend=backend), (moved, similarity))


def test_identical_rows_list_the_lowest_other_ids():
    edge_index, similarity = knn_graph(torch.ones(15, 3), 3)
    lists = edge_index[0].view(15, 3).tolist()
    assert lists[0] == [1, 2, 3]
    assert lists[1] == [0, 2, 3]
    assert lists[14] == [0, 1, 2]
    assert (similarity == 1).all()


def test_include_self_makes_a_row_a_candidate_not_a_certainty():
    edge_index, _ = knn_graph(torch.ones(5, 2), 2, include_self=True)
    assert edge_index[0].view(5, 2).tolist() == [[0, 1]] * 5
    edge_index, _ = knn_graph(torch.eye(3), 1, include_self=True)
    assert edge_index.tolist() == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize(
    ("x", "edges"),
    [
        (torch.zeros(0, 4), 0),
        (torch.zeros(6, 4), 0),
        (torch.ones(1, 4), 0),
        (torch.ones(3, 4), 6),
    ],
)
def test_small_and_empty_tables(x, edges):
    edge_index, similarity = knn_graph(x, 10)
    assert edge_index.shape == (2, edges)
    assert similarity.shape == (edges,)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_whole_numbers_are_features(dtype):
    x = torch.randint(0, 2, (30, 5)).to(dtype)
    assert_same(knn_graph(x, 4), knn_graph(x.double(), 4))


def test_a_memory_mapped_matrix_is_read_without_a_warning(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = knn_graph(np.load(tmp_path / "x.npy", mmap_mode="r"), 2)
    assert_same(got, knn_graph(x, 2))


def test_few_centres_at_a_time_need_little_memory():
    x = torch.randn(400, 4)
    sizes = []
    for block_size in (10, None):
        with LargestTensor() as largest:
            knn_graph(x, 3, backend="torch", block_size=block_size)
        sizes.append(largest.size)
    assert sizes[0] < 400 * 400 / 10
    assert sizes[1] == 400 * 400


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes_give_the_lists_of_their_float64_values(dtype):
    x = torch.randn(60, 5, dtype=torch.float64).to(dtype)
    want = brute_force(x.double(), 4, "cosine", False)
    assert_same(knn_graph(x, 4), want)
    assert_same(knn_graph(x.double().numpy(), 4), want)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("metric", METRICS)
def test_features_are_left_as_they_were(metric, dtype):
    x = torch.randn(20, 3, dtype=dtype)
    before = x.clone()
    knn_graph(x, 2, metric=metric)
    assert torch.equal(x, before)


def test_float64_rows_that_float32_cannot_tell_apart():
    x = 1 + 1e-9 * torch.randn(40, 3, dtype=torch.float64)
    assert_same(knn_graph(x, 4, metric="l2"), brute_force(x, 4, "l2", False))


def test_scale_of_the_features_does_not_matter_to_cosine():
    x = torch.randn(50, 4)
    for scale in (1e-30, 1e30):
        assert torch.equal(knn_graph(x * scale, 3)[0], knn_graph(x, 3)[0])


def test_planted_clusters_are_recovered():
    generator = torch.Generator().manual_seed(1)
    centre = torch.randn(12, 32, generator=generator)
    label = torch.arange(12).repeat_interleave(20)
    x = centre[label] + 0.1 * torch.randn(240, 32, generator=generator)
    for metric in ("cosine", "l2"):
        (neighbour, row), _ = knn_graph(x, 19, metric=metric)
        assert torch.equal(label[neighbour], label[row])


def test_device_of_the_features_is_kept(device):
    x = hard_table()
    got = knn_graph(x.to(device), 9)
    assert got[0].device.type == device.type
    assert torch.equal(got[0].cpu(), knn_graph(x, 9, backend="torch")[0])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_row_that_is_not_finite_is_named(bad):
    x = torch.ones(5, 2)
    x[3, 1] = bad
    with pytest.raises(ValueError, match=r"finite: row 3 holds NaN or infinity"):
        knn_graph(x, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, r"'k' must be at least 1 \(got 0\)"),
        ({"k": 2.5}, r"'k' must be an integer at least 1 \(got 2.5\)"),
        ({"k": 1, "metric": "dot"}, r"'metric' must be one of .* \(got 'dot'\)"),
        ({"k": 1, "backend": "annoy"}, r"'backend' must be one of .* \(got 'annoy'\)"),
        (
            {"k": 1, "block_size": 0},
            r"'block_size' must be at least 1 or null \(got 0\)",
        ),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        knn_graph(torch.ones(3, 2), **options)


def test_a_frame_is_the_table_of_its_values():
    x = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    frame = pd.DataFrame(x.numpy(), index=[f"i{n}" for n in range(30)])
    for got, want in zip(knn_graph(frame, 5), knn_graph(x, 5), strict=True):
        assert torch.equal(got, want)
    with pytest.raises(ValueError, match=r"must be real numbers \(got object\)"):
        knn_graph(frame.reset_index(), 5)


def test_bad_tables_are_named():
    with pytest.raises(ValueError, match=r"a matrix \[N, D\], D > 0 \(got \[3\]\)"):
        knn_graph(torch.ones(3), 1)
    with pytest.raises(ValueError, match=r"\[N, D\], D > 0 \(got \[3, 0\]\)"):
        knn_graph(torch.ones(3, 0), 1)
    with pytest.raises(ValueError, match=r"real numbers \(got torch.complex64\)"):
        knn_graph(torch.ones(3, 1, dtype=torch.complex64), 1)
    with pytest.raises(ValueError, match=r"rescale the features \(got 1\.41e\+20\)"):
        knn_graph(torch.full((3, 2), 1e20), 1, metric="ip")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("metric", METRICS)
def test_the_default_dtype_of_torch_changes_nothing(metric, backend):
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(0)).float()
    want = knn_graph(x, 4, metric=metric, backend=backend)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        found = knn_graph(x, 4, metric=metric, backend=backend)
    finally:
        torch.set_default_dtype(before)
    assert torch.equal(found[0], want[0])
    assert found[1].dtype == torch.float32
    assert torch.equal(found[1], want[1])


@pytest.mark.parametrize("change", [lambda x: x.astype(">f8"), lambda x: x[::-1][::-1]])
def test_arrays_of_any_byte_order_and_stride_are_read(change):
    x = np.random.default_rng(0).standard_normal((20, 4))
    expected = knn_graph(x, k=3)
    given = change(x)
    for one, other in zip(knn_graph(given, k=3), expected, strict=True):
        assert torch.equal(one, other)
    backwards = knn_graph(x[::-1], k=3)
    for one, other in zip(backwards, knn_graph(x[::-1].copy(), k=3), strict=True):
        assert torch.equal(one, other)
