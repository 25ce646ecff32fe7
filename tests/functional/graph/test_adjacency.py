from __future__ import annotations

import pytest
import torch
from scipy.sparse import coo_matrix
from torch.autograd import gradcheck, gradgradcheck

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import stack_user_item, symmetric_norm


def random_graph(num_src=11, num_dst=7, num_edges=40, dtype=torch.float32):
    edge_index = torch.stack(
        [
            torch.randint(num_src, (num_edges,)),
            torch.randint(num_dst, (num_edges,)),
        ]
    )
    return edge_index, torch.randn(num_edges, dtype=dtype)


def to_scipy(edge_index, weight, num_src, num_dst):
    src, dst = edge_index.cpu().numpy()
    values = weight.cpu().double().numpy()
    return coo_matrix((values, (dst, src)), shape=(num_dst, num_src)).tocsr()


def test_product_and_gradient_equal_scipy(device):
    edge_index, weight = random_graph()
    x = torch.randn(11, 5, device=device, requires_grad=True)
    adj = Adjacency.from_edge_index(
        edge_index.to(device), weight.to(device), num_src=11, num_dst=7
    )
    y = adj.matmul(x)
    upstream = torch.randn_like(y)
    y.backward(upstream)
    matrix = to_scipy(edge_index, weight, 11, 7)
    expected = torch.from_numpy(matrix @ x.detach().cpu().double().numpy())
    expected_grad = torch.from_numpy(matrix.T @ upstream.cpu().double().numpy())
    torch.testing.assert_close(y.detach().cpu(), expected.float())
    torch.testing.assert_close(x.grad.cpu(), expected_grad.float())


@pytest.mark.parametrize("layout", ["coo", "csr", "csc", "SparseTensor"])
def test_a_sparse_tensor_becomes_the_same_matrix(layout):
    dense = torch.randn(7, 11) * (torch.rand(7, 11) < 0.3)
    if layout == "SparseTensor":
        SparseTensor = pytest.importorskip("torch_sparse").SparseTensor  # noqa: N806
        given = SparseTensor.from_dense(dense)
    else:
        given = dense.to_sparse(layout=getattr(torch, f"sparse_{layout}"))
    adj = Adjacency.from_sparse(given)
    x = torch.randn(11, 3)
    torch.testing.assert_close(adj.matmul(x), dense @ x)
    torch.testing.assert_close(adj.t().matmul(dense @ x), dense.T @ (dense @ x))


def test_a_dense_matrix_is_no_sparse_one():
    with pytest.raises(ValueError, match="must be sparse"):
        Adjacency.from_sparse(torch.eye(2))


def test_gradcheck_in_float64():
    edge_index, weight = random_graph(dtype=torch.float64)
    adj = Adjacency.from_edge_index(edge_index, weight, num_src=11, num_dst=7)
    x = torch.randn(11, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(adj.matmul, (x,))


def test_a_symmetric_graph_is_its_own_transpose():
    edges = torch.stack([torch.randint(5, (12,)), torch.randint(6, (12,))])
    stacked = stack_user_item(torch.unique(edges, dim=1), 5)
    weight = symmetric_norm(stacked, 11)
    adj = Adjacency.from_edge_index(stacked, weight, num_src=11)
    assert adj.t() is adj


def test_an_asymmetric_graph_keeps_its_transpose():
    edge_index, weight = random_graph()
    adj = Adjacency.from_edge_index(edge_index, weight, num_src=11, num_dst=7)
    assert adj.t() is not adj
    assert adj.t().t() is adj
    assert torch.equal(adj.t().csr().to_dense(), adj.csr().to_dense().T)


def test_equal_structure_with_other_weights_is_not_symmetric():
    edge_index = torch.tensor([[0, 1], [1, 0]])
    adj = Adjacency.from_edge_index(edge_index, torch.tensor([1.0, 2.0]), num_src=2)
    assert adj.t() is not adj


def test_nodes_without_edges_get_zero():
    adj = Adjacency.from_edge_index(torch.tensor([[0], [2]]), num_src=3)
    assert torch.equal(adj.matmul(torch.ones(3, 2))[:2], torch.zeros(2, 2))


def test_no_edges_at_all():
    adj = Adjacency.from_edge_index(torch.empty(2, 0).long(), num_src=3, num_dst=2)
    x = torch.ones(3, 2, requires_grad=True)
    y = adj.matmul(x)
    y.sum().backward()
    assert torch.equal(y, torch.zeros(2, 2))
    assert torch.equal(x.grad, torch.zeros(3, 2))


def test_edges_come_back_sorted_by_target_then_source():
    edge_index, _ = random_graph()
    adj = Adjacency.from_edge_index(edge_index, num_src=11, num_dst=7)
    back = adj.edge_index()
    key = back[1] * 11 + back[0]
    assert torch.equal(key, (edge_index[1] * 11 + edge_index[0]).sort().values)


def test_edge_order_does_not_matter():
    edges = torch.unique(random_graph()[0], dim=1)
    weight = torch.randn(edges.size(1))
    order = torch.randperm(edges.size(1))
    x = torch.randn(11, 4)
    a = Adjacency.from_edge_index(edges, weight, num_src=11, num_dst=7)
    b = Adjacency.from_edge_index(edges[:, order], weight[order], num_src=11, num_dst=7)
    assert torch.equal(a.matmul(x), b.matmul(x))


@pytest.mark.parametrize(
    ("edge_index", "message"),
    [
        ([[3], [0]], r"source ids must lie in \[0, 3\) \(got 3\)"),
        ([[0], [-1]], r"target ids must lie in \[0, 2\) \(got -1\)"),
    ],
)
def test_ids_out_of_range_are_named(edge_index, message):
    with pytest.raises(ValueError, match=message):
        Adjacency.from_edge_index(torch.tensor(edge_index), num_src=3, num_dst=2)


def test_wrong_number_of_rows_is_refused():
    adj = Adjacency.from_edge_index(torch.tensor([[0], [1]]), num_src=3)
    with pytest.raises(ValueError, match=r"must have shape \[3, d\] \(got \[2, 4\]\)"):
        adj.matmul(torch.ones(2, 4))


def test_repr():
    adj = Adjacency.from_edge_index(torch.tensor([[0], [1]]), num_src=3)
    assert repr(adj) == "Adjacency(3 x 3, 1 edges)"


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("num_layers", [0, 1, 2, 3])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_power_sum_and_its_gradient_equal_a_dense_loop(symmetric, num_layers, scale):
    edge_index, weight = random_graph(8, 8, dtype=torch.float64)
    if symmetric:
        edge_index = torch.cat([edge_index, edge_index.flip(0)], dim=1)
        weight = torch.cat([weight, weight])
        dense = torch.zeros(8, 8, dtype=torch.float64)
        dense.index_put_((edge_index[1], edge_index[0]), weight, accumulate=True)
        # Entries once each, so that both triangles hold the very same numbers.
        edge_index = dense.nonzero().T.flip(0)
        weight = (dense + dense.T)[edge_index[1], edge_index[0]] / 2
    matrix = torch.zeros(8, 8, dtype=torch.float64)
    matrix.index_put_((edge_index[1], edge_index[0]), weight, accumulate=True)
    adj = Adjacency.from_edge_index(edge_index, weight, num_src=8)
    assert (adj.t() is adj) == symmetric
    x = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    expected, layer = x, x
    for _ in range(num_layers):
        layer = matrix @ layer
        expected = expected + layer
    expected = scale * expected
    y = adj.power_sum(x, num_layers, scale)
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-12)
    upstream = torch.randn_like(y)
    mine, other = (torch.autograd.grad(out, x, upstream)[0] for out in (y, expected))
    torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def test_power_sum_leaves_its_input_alone():
    adj = Adjacency.from_edge_index(torch.tensor([[0, 1], [1, 0]]), num_src=2)
    x = torch.randn(2, 3)
    before = x.clone()
    for num_layers in (0, 2):
        adj.power_sum(x, num_layers).add_(1)
        assert torch.equal(x, before)


def test_power_sum_needs_a_square_matrix_and_a_row_per_node():
    wide = Adjacency.from_edge_index(torch.tensor([[2], [0]]), num_src=3, num_dst=2)
    message = r"Adjacency\(2 x 3, 1 edges\) cannot be applied repeatedly to \[3, 4\]"
    with pytest.raises(ValueError, match=message):
        wide.power_sum(torch.ones(3, 4), 2)
    square = Adjacency.from_edge_index(torch.tensor([[0], [1]]), num_src=3)
    with pytest.raises(ValueError, match=r"cannot be applied repeatedly to \[2, 4\]"):
        square.power_sum(torch.ones(2, 4), 2)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(
    "product",
    [
        lambda adj, x: adj.matmul(x),
        lambda adj, x: adj.t().matmul(x),
        lambda adj, x: adj.power_sum(x, 2, 0.5),
    ],
    ids=["matmul", "transpose", "power_sum"],
)
def test_learned_weights_get_the_gradient_of_a_dense_matrix(product, symmetric):
    edge_index, weight = random_graph(8, 8, dtype=torch.float64)
    if symmetric:
        edge_index = torch.cat([edge_index, edge_index.flip(0)], dim=1)
        edge_index = torch.unique(edge_index, dim=1)
        weight = torch.ones(edge_index.size(1), dtype=torch.float64)
    source, target = edge_index
    x = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(8, 3, dtype=torch.float64)
    weight.requires_grad_()
    y = product(Adjacency.from_edge_index(edge_index, weight, num_src=8), x)
    mine = torch.autograd.grad(y, (x, weight), upstream)

    class Dense:
        matrix = torch.zeros(8, 8, dtype=torch.float64).index_put(
            (target, source), weight, accumulate=True
        )

        def t(self):
            turned = Dense()
            turned.matrix = self.matrix.T
            return turned

        def matmul(self, x):
            return self.matrix @ x

        def power_sum(self, x, num_layers, scale):
            powers = [torch.linalg.matrix_power(self.matrix, n) for n in range(3)]
            return scale * sum(powers) @ x

    expected = product(Dense(), x)
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-12)
    other = torch.autograd.grad(expected, (x, weight), upstream)
    torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def test_learned_weights_pass_gradcheck_after_a_backward_has_made_the_transpose():
    edge_index, weight = random_graph(dtype=torch.float64)
    x = torch.randn(11, 3, dtype=torch.float64, requires_grad=True)

    def there_and_back(weight, x):
        adj = Adjacency.from_edge_index(edge_index, weight, num_src=11, num_dst=7)
        torch.autograd.grad(adj.matmul(x).sum(), x, retain_graph=True)
        return adj.t().matmul(adj.matmul(x))

    assert gradcheck(there_and_back, (weight.requires_grad_(), x))


def test_detached_weights_are_constant():
    edge_index, weight = random_graph(8, 8)
    adj = Adjacency.from_edge_index(edge_index, weight.requires_grad_(), num_src=8)
    x = torch.randn(8, 3, requires_grad=True)
    y = adj.detach().matmul(x)
    torch.testing.assert_close(y, adj.matmul(x), rtol=0, atol=0)
    y.sum().backward()
    assert weight.grad is None
    assert x.grad is not None


def test_the_user_item_graph_equals_a_dense_normalisation():
    edge_index = torch.unique(
        torch.stack([torch.randint(4, (12,)), torch.randint(5, (12,))]), dim=1
    )
    matrix = torch.zeros(9, 9)
    for user, item in edge_index.T.tolist():
        matrix[user, 4 + item] = matrix[4 + item, user] = 1.0
    scale = matrix.sum(dim=1).clamp(min=1).rsqrt()
    adj = Adjacency.user_item(edge_index, num_users=4, num_items=5)
    torch.testing.assert_close(adj.csr().to_dense(), scale[:, None] * matrix * scale)
    assert adj.t() is adj


def test_the_bipartite_graph_is_the_user_item_matrix():
    edge_index, weight = random_graph(num_src=4, num_dst=6, num_edges=9)
    matrix = torch.zeros(4, 6)
    matrix.index_put_(tuple(edge_index), weight, accumulate=True)
    adj = Adjacency.bipartite(edge_index, 4, 6, weight)
    x_item, x_user = torch.randn(6, 3), torch.randn(4, 3)
    torch.testing.assert_close(adj.matmul(x_item), matrix @ x_item)
    torch.testing.assert_close(adj.t().matmul(x_user), matrix.T @ x_user)
    ones = Adjacency.bipartite(edge_index, 4, 6).weight
    assert torch.equal(ones, torch.ones(9))


@pytest.mark.parametrize("make", [Adjacency.user_item, Adjacency.bipartite])
def test_users_and_items_out_of_range_are_refused(make):
    # Stacked, user 3 of 3 would be taken for item 0.
    with pytest.raises(ValueError, match=r"ids must lie in \[0, 3\) \(got 3\)"):
        make(torch.tensor([[0, 3], [0, 1]]), 3, 4)
    with pytest.raises(ValueError, match=r"ids must lie in \[0, 4\) \(got -1\)"):
        make(torch.tensor([[0, 1], [0, -1]]), 3, 4)


def test_rows_are_those_of_the_dense_matrix():
    edge_index, weight = random_graph()
    adj = Adjacency.from_edge_index(edge_index, weight, num_src=11, num_dst=7)
    index = torch.tensor([6, 0, 6, 3])
    assert torch.equal(adj.rows(index).csr().to_dense(), adj.csr().to_dense()[index])
    assert repr(adj.rows(index[:0])) == "Adjacency(0 x 11, 0 edges)"


@pytest.mark.parametrize("symmetric", [True, False])
def test_products_can_be_differentiated_twice(symmetric):
    edge_index, weight = random_graph(5, 5, 12, dtype=torch.float64)
    if symmetric:
        edge_index = torch.cat([edge_index, edge_index.flip(0)], dim=1)
        weight = weight.repeat(2)
    adj = Adjacency.from_edge_index(edge_index, weight, num_src=5)
    x = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    # A linear map has no second derivative, but its square does.
    assert gradgradcheck(lambda x: adj.matmul(x).square(), (x,))
    assert gradgradcheck(lambda x: adj.power_sum(x, 2, 0.5).square(), (x,))


def test_learned_weights_can_be_differentiated_twice():
    edge_index, weight = random_graph(4, 3, 8, dtype=torch.float64)
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)

    def product(x, weight):
        adj = Adjacency.from_edge_index(edge_index, weight, num_src=4, num_dst=3)
        return adj.matmul(x)

    assert gradgradcheck(product, (x, weight.requires_grad_()))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_features_of_another_dtype_than_the_weights_keep_theirs(device, dtype):
    if device.type == "cpu" and dtype == torch.float16:
        pytest.skip("no such product on a CPU")
    edge_index, weight = random_graph()
    adj = Adjacency.from_edge_index(
        edge_index.to(device), weight.to(device), num_src=11, num_dst=7
    )
    x = torch.randn(11, 5, device=device).to(dtype).requires_grad_()
    out = adj.matmul(x)
    out.sum().backward()
    assert out.dtype == x.grad.dtype == dtype
    expected = to_scipy(edge_index, weight, 11, 7) @ x.detach().cpu().double().numpy()
    tolerance = 1e-6 if dtype == torch.float64 else 0.05
    torch.testing.assert_close(
        out.detach().cpu().double(),
        torch.from_numpy(expected),
        atol=tolerance * 5,
        rtol=tolerance,
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_sparse_tensor_comes_in_the_dtype_of_its_partner(dtype):
    """What the CUDA kernel multiplies with, which takes no two dtypes."""
    edge_index, weight = random_graph()
    adj = Adjacency.from_edge_index(edge_index, weight, num_src=11, num_dst=7)
    assert adj.csr().dtype == torch.float32
    assert adj.csr(dtype).dtype == dtype
    assert adj.csr(dtype) is adj.csr(dtype)
    dense = adj.csr(dtype).to_dense()
    torch.testing.assert_close(dense, adj.csr().to_dense().to(dtype))
