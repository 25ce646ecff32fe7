"""PAMD."""

from __future__ import annotations

import logging
import math
from itertools import combinations, permutations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.functional.losses.bpr import bpr_loss
from mmgraph.functional.rows import take_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_CONTENT, fold_in_rows
from mmgraph.models.parts.item_features import encode_features
from mmgraph.nn.modality_dict import ModalityDict, linear_maps
from mmgraph.options import (
    Dimension,
    Dims,
    Fidelity,
    NodeCount,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

logger = logging.getLogger(__name__)


class PAMD(Recommender):
    r"""`"Modality Matches Modality: Pretraining Modality-Disentangled Item
    Representations for Recommendation" <https://doi.org/10.1145/3485447.3512079>`_
    (Han et al., WWW 2022).

    Each modality is split into what it has in common with the others and what is
    specific to it:

    .. math::
        \mathbf{f}_m = \mathbf{A}_m \mathbf{x}_m + \mathbf{b}_m, \qquad
        \mathbf{c}_m = \mathbf{W}_m \mathbf{f}_m, \qquad
        \mathbf{s}_m = \mathbf{f}_m - \mathbf{c}_m

    First on items alone (:meth:`pretrain`). Decoders :math:`G_{mn}` rebuild the raw
    features of modality :math:`n`, and the common part is to do so better than the
    whole, the whole better than the specific part. Over the pairs and the directions,
    with :math:`p_\cdot = \exp(\cos(\mathbf{x}_n, G_{mn}(\cdot_m)) / t)`,

    .. math::
        L_{pre} = \sum_{m<n} \Big( \mathrm{mse}(\mathbf{c}_m, \mathbf{c}_n)
        + \overline{\langle \mathbf{s}_m, \mathbf{s}_n \rangle^2} \Big)
        - \sum_{m \ne n} \Big( \overline{\log \frac{p_c}{p_c + p_f + p_s}}
        + \overline{\log \frac{p_f}{p_f + p_s}} \Big)

    Then with users, each of whom attends to the parts
    :math:`\mathbf{r}_k \in \{\mathbf{c}_m, \mathbf{s}_m\}` of an item:

    .. math::
        \hat{y}_{ui} = \Big\langle \mathbf{u}, \mathbf{e}_i + \sum_k
        \mathrm{softmax}_k(a_{ui}) \mathbf{r}_{ik} \Big\rangle
        = \langle \mathbf{u}, \mathbf{e}_i \rangle
        + \sum_k \mathrm{softmax}_k(a_{ui})\, a_{uik}, \qquad
        a_{uik} = \langle \mathbf{u}, \mathbf{r}_{ik} \rangle

    so that no vector per pair is ever made. The score is no inner product: an item's
    row of :meth:`encode` holds :math:`[\mathbf{e}_i \Vert \mathbf{r}_{i1} \Vert
    \mathbf{r}_{i2} \Vert \dots]`, which :meth:`score` takes apart.

    The raw features stay frozen. A plug-in sees :math:`\mathbf{f}_m` once there are
    users, not while pretraining. As by the authors, the pretrained maps are fine-tuned
    in smaller steps than the embeddings are trained.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features; two modalities or more.
        embedding_dim: Dimension of the embeddings.
        pretrain_epochs: Epochs over the items before the users come in.
        pretrain_batch_size: Items per step of the pretraining.
        pretrain_lr: Learning rate of the pretraining.
        contrast_temperature: Temperature :math:`t` of the contrast.
        map_lr_share: Learning rate of the pretrained maps, as a ratio of the other's; 0
            freezes them. At 1, the parts of an item grow until
            its ID embedding no longer counts.
        normalize_features: Scale each row of :math:`\mathbf{X}_m` to length 1, for
            features so long that the parts drown the ID embeddings from the start.
        fidelity: ``"paper"``: as above, with BPR; ID embeddings start Xavier-uniform.
            ``"released"``: in :math:`p_s` the cosine is summed over the whole batch, so
            that it saturates (in log space here: it cannot overflow); the loss is
            point-wise, :math:`-\sum \log(\sigma(\hat{y}_p) + \epsilon) +
            \log(1 - \sigma(\hat{y}_n) + \epsilon)`, a sum over the batch with
            :math:`\epsilon = 10^{-24}`; ID embeddings start from a unit Gaussian.

    Raises:
        UserError: If there is a single modality.

    Example:
        >>> PAMD(3, 5, {"visual": 16, "textual": 8}, embedding_dim=4)
        PAMD(3, 5, {'visual': 16, 'textual': 8}, embedding_dim=4)
    """

    weight_decay = 1e-5
    min_modalities = 2
    multimodal = True
    fidelities = ("paper", "released")
    growth = BY_CONTENT

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims,
        *,
        embedding_dim: Dimension = 64,
        pretrain_epochs: NonNegativeInt = 220,
        pretrain_batch_size: PositiveInt = 100,
        pretrain_lr: PositiveFloat = 1e-3,
        contrast_temperature: PositiveFloat = 0.5,
        map_lr_share: NonNegativeFloat = 0.1,
        normalize_features: bool = False,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, dims, fidelity=fidelity)
        self.pretrain_epochs, self.pretrain_lr = pretrain_epochs, pretrain_lr
        self.pretrain_batch_size = pretrain_batch_size
        self.contrast_temperature = contrast_temperature
        self.map_lr_share, self.normalize_features = map_lr_share, normalize_features
        self.add_id_embeddings(embedding_dim)
        self.encoders = linear_maps(self.dims, embedding_dim)
        self.common = ModalityDict(
            {m: nn.Linear(embedding_dim, embedding_dim, bias=False) for m in self.dims}
        )
        self.decoders = ModalityDict(  # from one modality to each of the others
            {
                m: ModalityDict(
                    {
                        n: nn.Linear(embedding_dim, self.dims[n])
                        for n in self.dims
                        if n != m
                    }
                )
                for m in self.dims
            }
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming-uniform :math:`W_m`; see the fidelity for the embeddings."""
        start = nn.init.normal_ if self.released else nn.init.xavier_uniform_
        start(self.user.weight)
        start(self.item.weight)
        for m in self.dims:
            self.encoders[m].reset_parameters()
            nn.init.kaiming_uniform_(self.common[m].weight)
            for decoder in self.decoders[m].values():
                decoder.reset_parameters()

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        if not self.normalize_features:
            return encode_features(self.encoders, data, items)
        return {
            m: encoder(F.normalize(take_rows(self.item_features(data, m), items)))
            for m, encoder in self.encoders.items()
        }

    def disentangle(
        self, f: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Common and specific part of each modality."""
        common = {m: self.common[m](f[m]) for m in f}
        return common, {m: f[m] - common[m] for m in f}

    # Items alone ----------------------------------------------------------------

    def pretrain(self, data: HeteroData, generator: torch.Generator) -> None:
        parts = (self.encoders, self.common, self.decoders)
        optimizer = torch.optim.Adam(
            [p for part in parts for p in part.parameters()],
            lr=self.pretrain_lr,
            weight_decay=self.weight_decay,
            fused=True,
        )
        device, num_items = self.item.weight.device, self.num_items
        for epoch in range(1, self.pretrain_epochs + 1):
            order = torch.randperm(num_items, generator=generator, device=device)
            total = torch.zeros((), device=device)
            batches = order.split(self.pretrain_batch_size)
            for items in batches:
                terms = self.pretrain_loss(data, items)
                loss = torch.stack(list(terms.values())).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach()
            mean = total.item() / len(batches)
            if not math.isfinite(mean):
                raise UserError(
                    f"pretraining, epoch {epoch}: the loss is {mean}",
                    "use a smaller pretrain_lr",
                )
            logger.debug("pretraining, epoch %d: loss %.4f", epoch, mean)
        optimizer.zero_grad()

    def pretrain_loss(self, data: HeteroData, items: Tensor) -> dict[str, Tensor]:
        """Named terms of a batch of items, without users."""
        f = self._encode_features(data, items)  # no plug-in without users
        common, specific = self.disentangle(f)
        similar, orthogonal, contrast = [], [], []
        for m, n in combinations(f, 2):
            similar.append(F.mse_loss(common[m], common[n]))
            orthogonal.append((specific[m] * specific[n]).sum(-1).square().mean())
        for m, n in permutations(f, 2):
            y = F.normalize(take_rows(self.item_features(data, n), items), eps=1e-12)
            decoded = self.decoders[m][n](torch.stack([f[m], common[m], specific[m]]))
            cosine = (y * F.normalize(decoded, dim=-1, eps=1e-12)).sum(-1)
            full, shared, own = cosine / self.contrast_temperature
            if self.released:
                own = own.sum().expand_as(own)
            contrast.append(first_of(shared, full, own) + first_of(full, own))
        return {
            "similar": torch.stack(similar).sum(),
            "orthogonal": torch.stack(orthogonal).sum(),
            "contrast": torch.stack(contrast).sum(),
        }

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        # The decoders have done their work when the main optimiser begins.
        return list(self.decoders.parameters())

    def parameter_groups(self) -> list[dict[str, Any]]:
        maps = [*self.encoders.parameters(), *self.common.parameters()]
        pretrained = {id(p) for p in maps}
        rest = [p for p in self.main_parameters() if id(p) not in pretrained]
        return [{"params": rest}, {"params": maps, "lr_ratio": self.map_lr_share}]

    # Users and items ------------------------------------------------------------

    def encode_items(self, data: HeteroData, items: Tensor | None = None) -> Tensor:
        """ID embeddings and parts, side by side, of all items or the given rows."""
        common, specific = self.disentangle(self.encode_modalities(data, items))
        e = take_rows(self.item.weight, items)
        return torch.cat([e, *common.values(), *specific.values()], dim=1)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        return self.user.weight, self.encode_items(data)

    def fold_in(self, data: HeteroData, users: Tensor, items: Tensor) -> None:
        """As by default, but users from items with all their parts alike."""
        super().fold_in(data, users, items)
        e, *parts = self.encode_items(data).split(self.embedding_dim, dim=1)
        whole = torch.cat([self.user.weight, e + torch.stack(parts).mean(dim=0)])
        brought = self.user_item_graph(data).matmul(whole)
        self.user.weight[users] = 0.0
        fold_in_rows(self.user.weight, self.split(brought)[0], users)

    def score(self, z_user: Tensor, z_item: Tensor) -> Tensor:
        e, *parts = z_item.split(z_user.size(1), dim=1)
        a = torch.stack([z_user @ part.t() for part in parts])
        score: Tensor = z_user @ e.t() + (a.softmax(dim=0) * a).sum(dim=0)
        return score

    def summed_terms(self) -> tuple[str, ...]:
        return ("bpr",) if self.released else ()

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        items, pos_place, neg_place = batch.distinct_items()
        user, z_item = (
            take_rows(self.user.weight, batch.user),
            self.encode_items(data, items),
        )
        pos = self.score_pairs(user, take_rows(z_item, pos_place))
        neg = self.score_pairs(user, take_rows(z_item, neg_place))
        if self.released:
            return {"bpr": pointwise_loss(pos, neg)}  # BPR is what its authors call it
        return {"bpr": bpr_loss(pos, neg)}

    def score_pairs(self, user: Tensor, z_item: Tensor) -> Tensor:
        """Score of row ``b`` of the users for row ``b`` of the items."""
        whole = z_item.view(len(user), -1, user.size(1))
        e, a = (whole @ user.unsqueeze(-1)).squeeze(-1).tensor_split([1], dim=1)
        return e.squeeze(1) + (a.softmax(dim=1) * a).sum(dim=1)


def first_of(first: Tensor, *others: Tensor) -> Tensor:
    r"""Mean of :math:`-\log(e^{x_1} / \sum_k e^{x_k})`: the first is to be the largest.

    Example:
        >>> first_of(torch.zeros(3), torch.zeros(3))
        tensor(0.6931)
    """
    return (torch.stack([first, *others]).logsumexp(dim=0) - first).mean()


def pointwise_loss(pos: Tensor, neg: Tensor, eps: float = 1e-24) -> Tensor:
    r""":math:`-\sum \log(\sigma(\hat{y}_p) + \epsilon) + \log(1 - \sigma(\hat{y}_n) +
    \epsilon)`, a sum over the batch, exact for any score.

    Example:
        >>> pointwise_loss(torch.zeros(2), torch.zeros(2))
        tensor(2.7726)
    """
    log_eps = pos.new_full((), math.log(eps))  # made on the device
    good = torch.logaddexp(F.logsigmoid(pos), log_eps)
    bad = torch.logaddexp(F.logsigmoid(-neg), log_eps)
    return -(good + bad).sum()
