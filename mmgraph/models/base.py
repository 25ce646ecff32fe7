"""The interface that every system shares."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Self, final

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.functional.recommend.neighbor_sampling import SampledGraph
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import Growth, fold_in_rows
from mmgraph.models.parts.item_features import (
    FeatureMoments,
    FeatureOptions,
    Scale,
    TrainedFeatures,
    as_given,
    given_features,
    scale_features,
    with_features,
)
from mmgraph.models.parts.model_graphs import ModelGraphs
from mmgraph.models.plugins.base import Plugin, check_host, check_plugin
from mmgraph.options import (
    CheckedOptions,
    Dims,
    NodeCount,
    Option,
    declared_options,
    unknown_option,
)
from mmgraph.schema import (
    ITEM,
    USER,
    feature_key,
    in_order,
    mask_key,
    modalities,
)


class Recommender(ModelGraphs, CheckedOptions, nn.Module):
    """A system that embeds users and items of a ``HeteroData``.

    A subclass is built from numbers and writes the hooks below: :meth:`encode` and
    :meth:`loss`, and with modality encoders :meth:`_encode_modalities`. No hook needs
    ``super()``. What calls the hooks, and the plug-in beside them, is final.

    Graphs arrive with ``data`` at every call; what is computed from them is kept for as
    long as the very same edges come in.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features, of multimodal systems. Their order
            does not count: models see ``visual``, ``textual``, then the others by name.
        fidelity: ``"paper"``, or ``"released"`` where the class has it.
    """

    sizes = ("num_users", "num_items", "dims")
    #: Adam's learning rate, unless the trainer is given another.
    lr: ClassVar[float] = 1e-3
    #: Adam's weight decay, unless the trainer is given another.
    weight_decay: ClassVar[float] = 0.0
    #: True if it shrinks the parameters themselves (AdamW) and not the gradients.
    decoupled_weight_decay: ClassVar[bool] = False
    #: Factor of the learning rate per 50 epochs, unless the trainer is given another.
    lr_decay: ClassVar[float] = 1.0
    #: False for floors, which have nothing to train.
    trains: ClassVar[bool] = True
    #: False for systems that learn from positives alone.
    needs_negatives: ClassVar[bool] = True
    #: True if the constructor takes the dimensions of the item features.
    multimodal: ClassVar[bool] = False
    #: False if the class itself reads no item features, so that none need be loaded. A
    #: subclass that does not say so again may read them.
    reads_features: ClassVar[bool] = True
    #: Name of the plug-in that would do once more what the system does by itself.
    built_in: ClassVar[str | None] = None
    #: Fewest modalities that it can work with, of multimodal systems.
    min_modalities: ClassVar[int] = 1
    #: Name of the loss's main term.
    main_term: ClassVar[str] = "bpr"
    #: True if the loss draws random numbers, of which each device has its own.
    random_loss: ClassVar[bool] = False
    #: False if the modality encoders reach the scores by training alone.
    scores_read_encoders: ClassVar[bool] = True
    #: Patterns of parameters that change no difference of two scores, as a bias that
    #: all items share.
    inert_parameters: ClassVar[tuple[str, ...]] = ()
    #: ``"released"`` too, for systems whose public code behaves otherwise.
    fidelities: ClassVar[tuple[str, ...]] = ("paper",)
    #: Options whose values mean something else in the other fidelity.
    rescaled: ClassVar[tuple[str, ...]] = ()
    #: Prefixes of parameters in older files, and what they are called now.
    former_names: ClassVar[tuple[tuple[str, str], ...]] = ()
    #: Whose rows the state has, and who can come after training; nobody unless said.
    growth: ClassVar[Growth] = Growth()
    #: Attributes that ``repr`` shows after the sizes.
    shown: ClassVar[tuple[str, ...]] = ("embedding_dim",)

    embedding_dim: int

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims | None = None,
        *,
        fidelity: str = "paper",
    ) -> None:
        nn.Module.__init__(self)
        ModelGraphs.__init__(self)
        if fidelity not in self.fidelities:
            raise UserError(
                f"{type(self).__name__} has no fidelity {fidelity!r}",
                f"choose from {', '.join(self.fidelities)}",
            )
        self.num_users, self.num_items = num_users, num_items
        self.dims = in_order(dims or {})
        if self.multimodal and len(self.dims) < self.min_modalities:
            raise too_few_modalities(type(self), list(self.dims))
        self.fidelity = fidelity
        self.plugin: Plugin | None = None
        self._plugin_was_applied = False
        self.own_features = TrainedFeatures(num_items, {})
        self.feature_settings = FeatureOptions()
        self.feature_scale: Scale = "raw"
        self.feature_moments = FeatureMoments()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, hook in _HOOK_OF.items():  # also what a mixin would put in its place
            if getattr(cls, name) is not getattr(Recommender, name):
                raise TypeError(f"{cls.__name__} may not override {name}: write {hook}")

    # Hooks: what a subclass writes ----------------------------------------------

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        """Final embeddings of all users ``[U, d]`` and all items ``[I, d]``."""
        raise NotImplementedError

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        """Named scalar terms of one batch; their sum is minimised."""
        raise NotImplementedError

    def score(self, z_user: Tensor, z_item: Tensor) -> Tensor:
        """Scores ``[B, I]`` of the given users for the given items."""
        return z_user @ z_item.t()

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Item embeddings per modality, of all items or of the given rows.

        Only :meth:`encode_modalities` calls it; that is what :meth:`encode` and
        :meth:`loss` read. The features of ``data`` are those of :meth:`item_features`.
        """
        raise UserError(
            f"{type(self).__name__} has no modality encoders",
            "choose a multimodal model for this plug-in",
        )

    def modality_dims(self) -> dict[str, int]:
        """Dimension of each modality in what :meth:`encode_modalities` returns."""
        return dict.fromkeys(self.dims, self.embedding_dim)

    def encoders_reach_scores(self) -> bool:
        """True if the modality encoders can change a score, now or by training."""
        return True

    def encoders_learn(self) -> bool:
        """True if the modality encoders have something to train."""
        return True

    def pretrain(self, data: HeteroData, generator: torch.Generator) -> None:
        """Called once, before the first epoch of a run."""

    def on_epoch_start(
        self, data: HeteroData, epoch: int, generator: torch.Generator
    ) -> None:
        """Called before the first batch of each epoch, counted from 1."""

    def epoch_measures(self, epoch: int) -> dict[str, float]:
        """Numbers about this epoch for the history, by name; called after its batches.

        Empty for most systems, and in epochs in which nothing was measured.
        """
        return {}

    def evaluation_measures(self, data: HeteroData) -> dict[str, float]:
        """Numbers about the present parameters for the history, at each evaluation."""
        return {}

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """Parameters that the main optimiser leaves alone."""
        return []

    def auxiliary_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimisers that parts of the model step by themselves, by name."""
        return {}

    def summed_terms(self) -> tuple[str, ...]:
        """Names of the terms of :meth:`loss` that are sums over the batch.

        All others are means over it, or over all nodes. Several processes that share a
        batch add their terms up by this; what a term reads of the other rows of the
        batch, and random numbers for its rows, come from :attr:`Batch.whole`.
        """
        return ()

    def sampled_layers(self) -> int | None:
        """Layers that :meth:`sampled_loss` propagates over; None if there is none."""
        return None

    def sampled_loss(self, batch: Batch, graph: SampledGraph) -> dict[str, Tensor]:
        """:meth:`loss`, from what the batch's nodes need of the user-item graph.

        Args:
            batch: The batch.
            graph: Sampled for :meth:`Batch.nodes`, a hop per layer.
        """
        raise NotImplementedError

    def row_tables(self, *, sampled: bool) -> list[nn.Embedding]:
        """Tables of which the loss reads the rows of its batch alone.

        Args:
            sampled: It is :meth:`sampled_loss`.
        """
        return []

    def column_tables(self) -> list[nn.Embedding]:
        """Tables whose columns meet in rows of a batch and in scores alone.

        Several processes can share such columns: :meth:`encode` then embeds by those
        of one process, and what :meth:`Batch.rows` and :meth:`Batch.joined` give has
        all of them.
        """
        return []

    def fold_in(self, data: HeteroData, users: Tensor, items: Tensor) -> None:
        """Fill the rows of users and items who came after training.

        By default ID embeddings are predicted from what a layer of LightGCN's
        propagation brings, see :func:`~mmgraph.models.parts.growth.fold_in_rows`; all
        other rows stay as :attr:`growth` has them.

        Args:
            data: The training split that they are in, with the model's graphs.
            users: Mask ``[U]`` of the new users, whose rows are zeros.
            items: The same of the items.
        """
        if hasattr(self, "user") and hasattr(self, "item"):
            # Not a graph of the system's own, which may have loops: through one a known
            # row would be explained by itself, and a new one has none yet.
            graph = ModelGraphs.user_item_graph(self, data)
            user, item = self.split(graph.matmul(self.id_embeddings()))
            fold_in_rows(self.user.weight, user, users)
            fold_in_rows(self.item.weight, item, items)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """:meth:`main_parameters` as Adam takes them.

        A group's ``lr_ratio`` multiplies the trainer's learning rate (default: 1).
        """
        return [{"params": self.main_parameters()}]

    # Final: hooks and plug-in together ------------------------------------------

    @final
    def attach(self, plugin_class: type[Plugin], **options: Any) -> Self:
        """Attach a plug-in to this model.

        Args:
            plugin_class: Its class.
            options: Its options.

        Raises:
            TypeError: If it is no class of plug-ins.
            UserError: If it could change nothing here, or an option is unknown or may
                not have its value.
        """
        if not (isinstance(plugin_class, type) and issubclass(plugin_class, Plugin)):
            raise TypeError(
                f"a plug-in's class must be a subclass of Plugin (got {plugin_class!r})"
            )
        where = options.get("where", plugin_class.where)
        check_host(self, plugin_class, where)  # before its options: they may depend
        self.plugin = plugin_class(self.plugin_dims(where), **options)
        return self

    @final
    def plugin_dims(self, where: str) -> dict[str, int]:
        """Dimension of each modality in what a plug-in acts on.

        Args:
            where: ``"encoder"`` for its embeddings, ``"graph"`` for its raw features.
        """
        return self.dims if where == "graph" else self.modality_dims()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "plugin" and value is not None:
            check_plugin(self, value)
        super().__setattr__(name, value)

    def add_module(self, name: str, module: nn.Module | None) -> None:
        if name == "plugin":
            self.plugin = module  # type: ignore[assignment]  # checked there
        else:
            super().add_module(name, module)

    @final
    def encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Item embeddings per modality ``{m: [N, d]}``, as the plug-in leaves them.

        Args:
            data: The data.
            items: Rows to encode; all items without it.
        """
        z = self._encode_features(data, items)
        if self.plugin is None:
            return z
        self._plugin_was_applied = True
        changed: dict[str, Tensor] = self.plugin(z)
        return changed

    @final
    def start_epoch(
        self, data: HeteroData, epoch: int, generator: torch.Generator
    ) -> None:
        """Begin an epoch: the plug-in, then :meth:`on_epoch_start`."""
        if self.plugin is not None:
            encode = partial(self._encode_without_gradient, data)
            self.plugin.on_epoch_start(encode, data, epoch)
        self.on_epoch_start(data, epoch, generator)
        # What is read from here on is read for the loss of the epoch's first batch.
        self._plugin_was_applied = False

    @final
    def training_loss(
        self, data: HeteroData, batch: Batch, graph: SampledGraph | None = None
    ) -> dict[str, Tensor]:
        """:meth:`loss` and the terms of the plug-in.

        Args:
            data: The training split with the model's graphs.
            batch: The batch.
            graph: Sampled neighbours, for :meth:`sampled_loss` in the place of
                :meth:`loss`.

        Raises:
            TypeError: If :meth:`loss` passes a plug-in by that is to change embeddings,
                or both have a term of one name.
        """
        terms = (
            self.loss(data, batch) if graph is None else self.sampled_loss(batch, graph)
        )
        if self.plugin is None:
            return terms
        if self.plugin.where == "encoder":
            self._check_plugin_was_applied()
        encode = partial(self._encode_features, data)
        own = self.plugin.losses(encode, data, batch)
        for name in own.keys() & terms.keys():
            both = f"{type(self).__name__} and {type(self.plugin).__name__}"
            raise TypeError(f"{both} have a term {name!r} each: give one another name")
        return terms | own

    @final
    def ranking_embeddings(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        """:meth:`encode` for a ranking, with an eye on the plug-in.

        Raises:
            TypeError: If :meth:`encode` passes a plug-in by that is to change
                embeddings, and the class does not say that scores do without them.
        """
        self._plugin_was_applied = False
        z = self.encode(data)
        stale = getattr(self, "last_step", None) is not None
        acts = self.plugin is not None and self.plugin.where == "encoder"
        if acts and self.scores_read_encoders and not stale:
            self._check_plugin_was_applied()
        return z

    def _check_plugin_was_applied(self) -> None:
        if not self._plugin_was_applied:
            raise TypeError(
                f"{type(self).__name__} does not read encode_modalities(), so that "
                f"{type(self.plugin).__name__} changes nothing"
            )

    @final
    def all_epoch_measures(self, epoch: int) -> dict[str, float]:
        """:meth:`epoch_measures` of the plug-in and of the model."""
        of_plugin = {} if self.plugin is None else self.plugin.epoch_measures(epoch)
        return of_plugin | self.epoch_measures(epoch)

    @final
    def all_evaluation_measures(self, data: HeteroData) -> dict[str, float]:
        """:meth:`evaluation_measures` of the plug-in and of the model."""
        of_plugin: dict[str, float] = {}
        if self.plugin is not None:
            encode = partial(self._encode_without_gradient, data)
            of_plugin = self.plugin.evaluation_measures(encode, data)
        return of_plugin | self.evaluation_measures(data)

    @final
    def all_auxiliary_parameters(self) -> list[nn.Parameter]:
        """:meth:`auxiliary_parameters` of the model and of the plug-in."""
        of_plugin = [] if self.plugin is None else self.plugin.auxiliary_parameters()
        return self.auxiliary_parameters() + of_plugin

    @final
    def all_auxiliary_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """:meth:`auxiliary_optimizers` of the model and of the plug-in."""
        of_plugin = {} if self.plugin is None else self.plugin.auxiliary_optimizers()
        return self.auxiliary_optimizers() | of_plugin

    @final
    def main_parameters(self) -> list[nn.Parameter]:
        """Parameters of the main optimiser: all but those with one of their own."""
        own = {id(parameter) for parameter in self.all_auxiliary_parameters()}
        return [p for p in self.parameters() if id(p) not in own and p.requires_grad]

    @final
    def has_encoders(self) -> bool:
        """True if there are modality encoders for a plug-in to attach to."""
        return type(self)._encode_modalities is not Recommender._encode_modalities

    def _encode_without_gradient(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The encoders in evaluation mode, before any plug-in."""
        was_training = self.training
        self.eval()
        with torch.no_grad():
            z = self._encode_features(data, items)
        self.train(was_training)
        return z

    def _encode_features(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The encoders before any plug-in, on features as they are to read them."""
        return self._encode_modalities(self.feature_view(data), items)

    # What every system shares ---------------------------------------------------

    @classmethod
    def from_data(cls, data: HeteroData, **options: Any) -> Self:
        """Build the model for the users, items and modalities of ``data``.

        Args:
            data: The data.
            options: Options of the constructor, and of a multimodal system those of
                :class:`~mmgraph.models.parts.item_features.FeatureOptions`.

        Raises:
            UserError: If a multimodal model gets no item features, or an option may not
                have its value.
        """
        sizes: dict[str, Any] = {
            "num_users": data[USER].num_nodes,
            "num_items": data[ITEM].num_nodes,
        }
        if cls.multimodal:
            names = modalities(data)
            if not names:
                raise too_few_modalities(cls, names)
            sizes["dims"] = {m: data[ITEM][feature_key(m)].size(1) for m in names}
        known = cls.feature_options()
        for name in options if known else ():
            if name not in known and name not in declared_options(cls):
                raise unknown_option(name, cls, FeatureOptions)
        of_features = {name: options.pop(name) for name in known if name in options}
        model = cls(**sizes, **options)
        model._start_features(FeatureOptions(**of_features), data)
        return model

    @classmethod
    def feature_options(cls) -> dict[str, Option]:
        """Options about the item features, of multimodal systems that are trained."""
        if not (cls.multimodal and cls.trains):
            return {}
        own = declared_options(cls)  # a class of the user's may have such a name
        declared = declared_options(FeatureOptions)
        return {name: option for name, option in declared.items() if name not in own}

    def _start_features(self, given: FeatureOptions, data: HeteroData) -> None:
        """Take the features of ``data`` as options say: scaled, copied for training."""
        self.feature_settings, self.feature_scale = given, given.feature_scale
        if given.feature_scale == "standardized":
            self.feature_moments.take(data, self.dims)
        if given.train_features and not any(map(len, self._trained_features())):
            self.own_features = TrainedFeatures(self.num_items, self.dims)
        self._copy_features(data)

    def keep_feature_scale(self, trained: Recommender, data: HeteroData) -> None:
        """Read features on the scale of a model of an earlier catalogue.

        Args:
            trained: That model, of the same options.
            data: The later catalogue, of which features that are trained start anew.
        """
        state = trained.feature_moments.state_dict()
        self.feature_moments.load_state_dict(state)
        self._copy_features(data)

    def _copy_features(self, data: HeteroData) -> None:
        scaled = {m: self._scaled_features(data, m) for m in self.dims}
        for part in self._trained_features():
            part.copy_from(with_features(data, scaled))

    def _trained_features(self) -> list[TrainedFeatures]:
        return [part for part in self.modules() if isinstance(part, TrainedFeatures)]

    def feature_view(self, data: HeteroData) -> HeteroData:
        """``data`` with the features scaled, or with those that are trained."""
        if self.feature_scale == "raw" and not len(self.own_features):
            return as_given(data)
        return with_features(data, {m: self.item_features(data, m) for m in self.dims})

    def item_features(self, data: HeteroData, modality: str) -> Tensor:
        """Features ``[I, D_m]`` as encoders are to read them: scaled, or trained.

        What is read beside :meth:`_encode_modalities`, which finds them in its data, is
        read here.

        Args:
            data: The data, with or without the model's graphs.
            modality: Name of the modality.
        """
        if modality in self.own_features:
            own: Tensor = self.own_features[modality]
            return own
        return self._scaled_features(data, modality)

    def _scaled_features(self, data: HeteroData, modality: str) -> Tensor:
        x, mask = given_features(data, modality), data[ITEM].get(mask_key(modality))
        if self.feature_scale == "raw":
            return x
        is_standardized = self.feature_scale == "standardized"
        moments = self.feature_moments[modality] if is_standardized else None
        return self.cached(
            ("scaled", modality),
            (x, *(() if mask is None else (mask,)), *(moments or ())),
            lambda: scale_features(x, self.feature_scale, mask, moments),
        )

    @property
    def released(self) -> bool:
        """True in the fidelity ``"released"``."""
        return self.fidelity == "released"

    def add_id_embeddings(
        self, embedding_dim: int, user_dim: int | None = None
    ) -> None:
        """Add an embedding per user (``user``) and per item (``item``).

        Args:
            embedding_dim: Their dimension.
            user_dim: That of the users, where it is another one.
        """
        self.embedding_dim = embedding_dim
        self.user = nn.Embedding(self.num_users, user_dim or embedding_dim)
        self.item = nn.Embedding(self.num_items, embedding_dim)

    def id_embeddings(self) -> Tensor:
        """The ID embeddings of users and then items, ``[U + I, d]``."""
        return torch.cat([self.user.weight, self.item.weight])

    def reset_parameters(self) -> None:
        """Xavier-uniform ID embeddings, each matrix by itself."""
        nn.init.xavier_uniform_(self.user.weight)
        nn.init.xavier_uniform_(self.item.weight)

    def split(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Users and items of stacked rows."""
        user, item = nodes.split([self.num_users, self.num_items])
        return user, item

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any
    ) -> None:
        for former, present in self.former_names:
            start = prefix + former
            for name in [name for name in state_dict if name.startswith(start)]:
                state_dict[prefix + present + name.removeprefix(start)] = (
                    state_dict.pop(name)
                )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def __repr__(self) -> str:
        sizes = [f"{self.num_users}", f"{self.num_items}"]
        sizes += [f"{self.dims}"] if self.multimodal else []
        options = [f"{name}={getattr(self, name)!r}" for name in self.shown]
        return f"{type(self).__name__}({', '.join(sizes + options)})"


def too_few_modalities(system: type[Recommender], names: list[str]) -> UserError:
    """The error about data with fewer modalities than a system needs.

    Args:
        system: The class.
        names: The modalities there are.

    Example:
        >>> class Pairs(Recommender):
        ...     min_modalities = 2
        >>> print(too_few_modalities(Pairs, ["visual"]))
        Pairs needs 2 modalities or more (got visual) - add features, or choose a \
system that does with one, VBPR for example
    """
    name = system.__name__
    if not names:
        return UserError(
            f"{name} needs item features and the data have none",
            "add features, or choose MF-BPR or LightGCN",
        )
    return UserError(
        f"{name} needs {system.min_modalities} modalities or more (got "
        f"{', '.join(names)})",
        "add features, or choose a system that does with one, VBPR for example",
    )


#: What a subclass may not override, and the hook it means.
_HOOK_OF: dict[str, str] = {
    "attach": "modality_dims",
    "plugin_dims": "modality_dims",
    "encode_modalities": "_encode_modalities",
    "start_epoch": "on_epoch_start",
    "ranking_embeddings": "encode",
    "training_loss": "loss",
    "all_epoch_measures": "epoch_measures",
    "all_evaluation_measures": "evaluation_measures",
    "all_auxiliary_parameters": "auxiliary_parameters",
    "all_auxiliary_optimizers": "auxiliary_optimizers",
    "main_parameters": "auxiliary_parameters",
    "has_encoders": "_encode_modalities",
    "has_item_graph": "item_graph_transform",
    "add_graphs": "item_graph_transform",
}
