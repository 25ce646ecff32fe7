"""A system of your own: declared options, plug-ins, training and evaluation."""

from torch import nn

from mmgraph import Trainer, build_model, evaluate, load_dataset
from mmgraph.functional import inner_product_bpr
from mmgraph.models import Recommender, register_model
from mmgraph.options import PositiveInt


class Content(Recommender):
    multimodal = True

    def __init__(self, num_users, num_items, dims, *, embedding_dim: PositiveInt = 64):
        super().__init__(num_users, num_items, dims)
        self.add_id_embeddings(embedding_dim)
        self.reset_parameters()
        linear = {m: nn.Linear(dim, embedding_dim) for m, dim in self.dims.items()}
        self.encoders = nn.ModuleDict(linear)

    def _encode_modalities(self, data, items=None):  # the hook where plug-ins attach
        rows = slice(None) if items is None else items
        return {m: self.encoders[m](data["item"][f"x_{m}"][rows]) for m in self.dims}

    def encode(self, data):
        z = self.encode_modalities(data)  # as the plug-in leaves them
        return self.user.weight, self.item.weight + sum(z.values())

    def loss(self, data, batch):
        user, item = self.encode(data)
        pos, neg = item[batch.pos_item], item[batch.neg_item]
        return {"bpr": inner_product_bpr(user[batch.user], pos, neg)}


register_model("Content", Content)
train, val, test = load_dataset("synthetic")
for plugin in (None, "clear", "sea"):
    model = build_model("content", train, plugin=plugin, embedding_dim=32)
    Trainer(epochs=5, lr=1e-2).fit(model, train, val)
    print(f"{plugin}: recall@20 {evaluate(model, test)['recall@20']:.4f}")
