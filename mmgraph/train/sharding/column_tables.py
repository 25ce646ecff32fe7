"""The embedding tables of a model, shared by the processes of its training."""

from __future__ import annotations

from torch import Tensor, nn

from mmgraph.distributed.columns import whole_matrix
from mmgraph.distributed.world import world
from mmgraph.errors import UserError
from mmgraph.models.base import Recommender


class ColumnTable(nn.Embedding):
    """This process's columns of an embedding table.

    Args:
        whole: The table.
    """

    def __init__(self, whole: nn.Embedding) -> None:
        own = whole.weight.detach()[:, world().share(whole.embedding_dim)].clone()
        super().__init__(own.size(0), own.size(1), _weight=own)
        #: Columns of all processes together.
        self.whole_dim = whole.embedding_dim


def split_tables(model: Recommender) -> None:
    """Leave a model its columns of this process alone; with one process, all.

    The model then trains and ranks together with those of the other processes.

    Args:
        model: A model, the same in all processes.

    Raises:
        UserError: If the columns of its embeddings meet elsewhere, too, or there are
            more processes than columns.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> model = MFBPR(2, 3)
        >>> split_tables(model)
        >>> column_tables(model)
        {}
    """
    tables = model.column_tables()
    if not tables:
        raise UserError(
            f"{type(model).__name__} cannot share its embeddings: it reads them whole",
            "leave shard_embeddings out, or choose MF-BPR or LightGCN",
        )
    count, least = world().size, min(table.embedding_dim for table in tables)
    if count > least:
        raise UserError(
            f"{count} processes cannot share embeddings of {least} columns",
            "use fewer processes, or a larger embedding_dim",
        )
    if count == 1:
        return
    chosen = {id(table) for table in tables}
    for name, module in list(model.named_children()):
        if isinstance(module, nn.Embedding) and id(module) in chosen:
            setattr(model, name, ColumnTable(module))


def join_tables(model: Recommender) -> None:
    """Give a model whole tables again, in the memory of each machine.

    Args:
        model: As :func:`split_tables` left it; it is moved to the CPU, as its tables
            may be larger than a device.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> join_tables(MFBPR(2, 3))
    """
    tables = column_tables(model)
    # Sent from the device on which they are: a group may have no engine for others.
    for name, table in tables.items():
        whole = whole_matrix(table.weight, table.whole_dim)
        setattr(model, name, nn.Embedding.from_pretrained(whole, freeze=False))
    if tables:
        model.cpu()


def column_tables(model: Recommender) -> dict[str, ColumnTable]:
    """The tables that a model shares with other processes, by name; most have none."""
    children = dict(model.named_children())
    return {n: each for n, each in children.items() if isinstance(each, ColumnTable)}


def shared_dim(model: Recommender) -> int | None:
    """Columns of the shared tables of all processes; None if none are shared.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> shared_dim(MFBPR(2, 3)) is None
        True
    """
    for table in column_tables(model).values():
        return table.whole_dim
    return None


def shared_weights(model: Recommender) -> set[Tensor]:
    """Parameters of which each process has its own columns.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> shared_weights(MFBPR(2, 3))
        set()
    """
    return {table.weight for table in column_tables(model).values()}
