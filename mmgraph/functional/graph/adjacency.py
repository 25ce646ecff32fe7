"""A weighted graph held ready for multiplication, and its autograd products."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmgraph.functional.graph.kernels import multiply
from mmgraph.functional.graph.normalize import stack_user_item, symmetric_norm
from mmgraph.functional.rows import row_dots


class Adjacency:
    r"""Sparse matrix in CSR form: row = target, columns = its sources.

    Sorting and normalising happen once, here; :meth:`matmul` then does one fused
    product forward and one backward. The transpose that the backward needs is the
    matrix itself when the graph is symmetric (which is checked, not promised),
    and is otherwise built once. Weights that require a gradient get theirs, again
    without a row per edge in memory; none may be changed in place.

    Args:
        rowptr: Start of each target's entries, last entry = number of edges.
        col: Source of each entry.
        weight: Weight of each entry, constant or learned.
        num_src: Number of sources (columns).

    Shapes:
        - **rowptr:** :math:`(N_{dst} + 1)` int32 or int64
        - **col:** :math:`(E)`, the dtype of ``rowptr``
        - **weight:** :math:`(E)` float

    Example:
        >>> edge_index = torch.tensor([[0, 1, 1], [0, 0, 2]])
        >>> adj = Adjacency.from_edge_index(edge_index, num_src=2, num_dst=3)
        >>> adj
        Adjacency(3 x 2, 3 edges)
        >>> adj.matmul(torch.tensor([[1.0], [10.0]])).flatten()
        tensor([11.,  0., 10.])
    """

    def __init__(
        self, rowptr: Tensor, col: Tensor, weight: Tensor, num_src: int
    ) -> None:
        self.rowptr, self.col, self.weight = rowptr, col, weight
        self.num_src, self.num_dst = num_src, rowptr.numel() - 1
        self._transpose: Adjacency | None = None
        self._csr: dict[torch.dtype, Tensor] = {}
        self._sparse_tensor: dict[torch.dtype, Any] = {}

    @classmethod
    def from_edge_index(
        cls,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        *,
        num_src: int,
        num_dst: int | None = None,
    ) -> Adjacency:
        """Sort edges by target and source; repeated edges add up.

        Args:
            edge_index: Source (row 0) and target (row 1) of each edge.
            edge_weight: Weights (default: ones).
            num_src: Number of source nodes.
            num_dst: Number of target nodes (default: the same set).

        Raises:
            ValueError: If an index is negative or beyond its number of nodes.
        """
        num_dst = num_src if num_dst is None else num_dst
        src, dst = edge_index
        _check_ids("source", src, num_src)
        _check_ids("target", dst, num_dst)
        order = torch.argsort(dst * num_src + src, stable=True)
        counts = torch.bincount(dst, minlength=num_dst)
        # 32-bit indices halve the traffic; they hold any graph below 2^31 edges.
        small = src.numel() < 2**31 and max(num_src, num_dst) < 2**31
        index_type = torch.int32 if small else torch.int64
        rowptr = torch.zeros(num_dst + 1, dtype=index_type, device=src.device)
        rowptr[1:] = counts.cumsum(0)
        if edge_weight is None:
            weight = torch.ones(src.numel(), device=src.device)
        else:
            weight = edge_weight[order]
        return cls(rowptr, src[order].to(index_type), weight, num_src)

    @classmethod
    def from_sparse(cls, adj_t: Any) -> Adjacency:
        """The matrix of a sparse tensor: row = target, columns = its sources.

        Args:
            adj_t: A sparse tensor of torch in any layout, or a
                ``torch_sparse.SparseTensor``; its values are the weights (default:
                ones), and repeated entries add up.

        Raises:
            ValueError: If it is dense.

        Example:
            >>> Adjacency.from_sparse(torch.eye(2).to_sparse())
            Adjacency(2 x 2, 2 edges)
        """
        if not isinstance(adj_t, Tensor):
            row, col, weight = adj_t.coo()
            num_dst, num_src = adj_t.sizes()
        elif adj_t.layout == torch.strided:
            raise ValueError("'adj_t' must be sparse (got a dense tensor)")
        else:
            coo = adj_t.to_sparse_coo().coalesce()
            (row, col), weight = coo.indices(), coo.values()
            num_dst, num_src = adj_t.shape
        return cls.from_edge_index(
            torch.stack([col, row]), weight, num_src=num_src, num_dst=num_dst
        )

    @classmethod
    def user_item(cls, edge_index: Tensor, num_users: int, num_items: int) -> Adjacency:
        r"""LightGCN's graph: users and items stacked, symmetrically normalised.

        .. math::
            \mathbf{D}^{-1/2} \begin{bmatrix} 0 & \mathbf{R} \\
            \mathbf{R}^\top & 0 \end{bmatrix} \mathbf{D}^{-1/2}

        without self-loops. Users are the nodes :math:`0..U-1`, items the rest.

        Args:
            edge_index: User (row 0) and item (row 1) of each interaction.
            num_users: Number of users :math:`U`.
            num_items: Number of items :math:`I`.

        Raises:
            ValueError: If an index is negative or beyond its number of nodes.

        Example:
            >>> Adjacency.user_item(torch.tensor([[0, 1], [0, 0]]), 2, 1)
            Adjacency(3 x 3, 4 edges)
        """
        _check_ids("user", edge_index[0], num_users)
        _check_ids("item", edge_index[1], num_items)
        stacked = stack_user_item(edge_index, num_users)
        num_nodes = num_users + num_items
        weight = symmetric_norm(stacked, num_nodes)
        return cls.from_edge_index(stacked, weight, num_src=num_nodes)

    @classmethod
    def bipartite(
        cls,
        edge_index: Tensor,
        num_users: int,
        num_items: int,
        edge_weight: Tensor | None = None,
    ) -> Adjacency:
        r"""The user-item matrix :math:`\mathbf{R}`: row = user, columns = her items.

        Its product brings items to users, that of its transpose :meth:`t` users to
        items; :meth:`rows` gives the histories of some users.

        Args:
            edge_index: User (row 0) and item (row 1) of each interaction.
            num_users: Number of users.
            num_items: Number of items.
            edge_weight: Weights (default: ones).

        Raises:
            ValueError: If an index is negative or beyond its number of nodes.

        Example:
            >>> adj = Adjacency.bipartite(torch.tensor([[0, 1], [0, 0]]), 2, 1)
            >>> adj, adj.t().matmul(torch.ones(2, 1))
            (Adjacency(2 x 1, 2 edges), tensor([[2.]]))
        """
        return cls.from_edge_index(
            edge_index.flip(0), edge_weight, num_src=num_items, num_dst=num_users
        )

    def rows(self, index: Tensor) -> Adjacency:
        """The given rows, in their order.

        Args:
            index: Row numbers, int64 ``[B]``; a row may occur more than once.

        Example:
            >>> edge_index = torch.tensor([[0, 1, 1], [2, 0, 1]])
            >>> history = Adjacency.bipartite(edge_index, num_users=2, num_items=3)
            >>> history.rows(torch.tensor([1, 1])).col
            tensor([0, 1, 0, 1], dtype=torch.int32)
        """
        start, counts = self.rowptr[index], self.rowptr.diff()[index]
        rowptr = F.pad(counts.cumsum(0), (1, 0)).to(self.rowptr.dtype)
        row = torch.repeat_interleave(counts)
        entry = torch.arange(row.numel(), device=row.device)
        entry = entry + (start - rowptr[:-1])[row]
        return Adjacency(rowptr, self.col[entry], self.weight[entry], self.num_src)

    def t(self) -> Adjacency:
        """The transpose: this very object when the matrix is symmetric."""
        if self._transpose is None:
            row = self.row().long()
            edge_index = torch.stack([row, self.col.long()])
            with torch.enable_grad():  # a backward asks for it first, and keeps it
                other = Adjacency.from_edge_index(
                    edge_index, self.weight, num_src=self.num_dst, num_dst=self.num_src
                )
            same = (
                not self.weight.requires_grad  # each entry has a gradient of its own
                and self.num_src == self.num_dst
                and torch.equal(other.rowptr, self.rowptr)
                and torch.equal(other.col, self.col)
                and torch.equal(other.weight, self.weight)
            )
            self._transpose = self if same else other
            other._transpose = self
        return self._transpose

    def detach(self) -> Adjacency:
        """The same matrix with constant weights."""
        return Adjacency(self.rowptr, self.col, self.weight.detach(), self.num_src)

    def row(self) -> Tensor:
        """Target of each entry, ascending."""
        ids = torch.arange(self.num_dst, device=self.col.device, dtype=self.col.dtype)
        size = self.col.numel()  # given, so that no device is waited for
        return ids.repeat_interleave(self.rowptr.diff().long(), output_size=size)

    def edge_index(self) -> Tensor:
        """Source (row 0) and target (row 1) of each entry, int64."""
        return torch.stack([self.col.long(), self.row().long()])

    def matmul(self, x: Tensor) -> Tensor:
        r"""Weighted sum of the sources: :math:`\mathbf{A} \mathbf{x}`.

        Args:
            x: Source features.

        Shapes:
            - **input:** :math:`(N_{src}, d)`
            - **output:** :math:`(N_{dst}, d)`

        Raises:
            ValueError: If ``x`` does not have one row per source.
        """
        if x.dim() != 2 or x.size(0) != self.num_src:
            raise ValueError(
                f"'x' must have shape [{self.num_src}, d] (got {list(x.shape)})"
            )
        result: Tensor = _SpMM.apply(x, self.weight, self)
        return result

    def power_sum(self, x: Tensor, num_layers: int, scale: float = 1.0) -> Tensor:
        r"""Sum of all layers of a propagation.

        .. math::
            s \sum_{l=0}^{L} \mathbf{A}^l \mathbf{x}
            = s (\mathbf{x} + \mathbf{A}(\mathbf{x} + \mathbf{A}(\dots)))

        The right-hand side keeps no layer in memory; the backward is the same sum of
        the transpose.

        Args:
            x: Node features.
            num_layers: :math:`L`.
            scale: Factor :math:`s`; :math:`1/(L+1)` gives the mean.

        Shapes:
            - **input:** :math:`(N, d)`
            - **output:** :math:`(N, d)`

        Raises:
            ValueError: If the matrix is not square or ``x`` not of its size.

        Example:
            >>> adj = Adjacency.from_edge_index(torch.tensor([[0], [1]]), num_src=2)
            >>> adj.power_sum(torch.tensor([[1.0], [5.0]]), num_layers=2)
            tensor([[1.],
                    [6.]])
        """
        if self.num_src != self.num_dst or x.size(0) != self.num_src:
            raise ValueError(f"{self} cannot be applied repeatedly to {list(x.shape)}")
        if self.weight.requires_grad:
            y = x
            for _ in range(num_layers):
                y = self.matmul(y) + x
            return y * scale
        result: Tensor = _PowerSum.apply(x, self, num_layers, scale)
        return result

    def csr(self, dtype: torch.dtype | None = None) -> Tensor:
        """The same matrix as a ``torch.sparse_csr`` tensor.

        Args:
            dtype: Its dtype (default: that of the weights).
        """
        dtype = dtype or self.weight.dtype
        if dtype not in self._csr:
            size = (self.num_dst, self.num_src)
            weight = self.weight.detach().to(dtype)
            self._csr[dtype] = torch.sparse_csr_tensor(
                self.rowptr, self.col, weight, size=size
            )
        return self._csr[dtype]

    def sparse_tensor(self, dtype: torch.dtype | None = None) -> Any:
        """The same matrix as a ``torch_sparse.SparseTensor``, which must be installed.

        Args:
            dtype: Its dtype (default: that of the weights).
        """
        from torch_sparse import SparseTensor

        dtype = dtype or self.weight.dtype
        if dtype not in self._sparse_tensor:
            self._sparse_tensor[dtype] = SparseTensor(
                rowptr=self.rowptr.long(),
                col=self.col.long(),
                value=self.weight.detach().to(dtype),
                sparse_sizes=(self.num_dst, self.num_src),
                is_sorted=True,
            )
        return self._sparse_tensor[dtype]

    def __repr__(self) -> str:
        size = f"{self.num_dst} x {self.num_src}"
        return f"{self.__class__.__name__}({size}, {self.col.numel()} edges)"


def _check_ids(kind: str, index: Tensor, size: int) -> None:
    if index.numel():
        # One pass, and a device is waited for once.
        low, high = torch.stack(index.aminmax()).tolist()
        if low < 0 or high >= size:
            bad = low if low < 0 else high
            raise ValueError(f"{kind} ids must lie in [0, {size}) (got {bad})")


class _SpMM(torch.autograd.Function):
    """``A x``: the gradient of ``x`` is ``A^T g``, of ``a_ij`` it is ``<g_i, x_j>``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, adj: Adjacency) -> Tensor:
        ctx.adj = adj
        if ctx.needs_input_grad[1]:
            ctx.save_for_backward(x)
        return multiply(adj, x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        adj: Adjacency = ctx.adj
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = adj.t().matmul(grad)
        if ctx.needs_input_grad[1]:
            (x,) = ctx.saved_tensors
            of_weight = _EntryDots.apply(grad, x, adj).to(adj.weight.dtype)
        return of_x, of_weight, None


class _EntryDots(torch.autograd.Function):
    """``<y_i, x_j>`` of each entry: with the gradient ``g`` of these products as
    weights of the graph, ``dy = G x`` and ``dx = G^T y``.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, adj: Adjacency) -> Tensor:
        ctx.save_for_backward(y, x)
        ctx.adj = adj
        return row_dots(y, adj.row(), x, adj.col)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        y, x = ctx.saved_tensors
        adj: Adjacency = ctx.adj
        weighted = Adjacency(adj.rowptr, adj.col, grad, adj.num_src)
        return weighted.matmul(x), weighted.t().matmul(y), None


def _horner(adj: Adjacency, x: Tensor, num_layers: int, scale: float) -> Tensor:
    y = x
    for _ in range(num_layers):
        y = multiply(adj, y).add_(x)
    return y * scale if y is x else y.mul_(scale)


class _PowerSum(torch.autograd.Function):
    """``s sum_l A^l x`` with constant ``A``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, adj: Adjacency, num_layers: int, scale: float
    ) -> Tensor:
        ctx.adj, ctx.num_layers, ctx.scale = adj, num_layers, scale
        return _horner(adj, x, num_layers, scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        of_x = ctx.adj.t().power_sum(grad, ctx.num_layers, ctx.scale)
        return of_x, None, None, None
