"""Own data to recommendations: a table of purchases, features, ids of your own."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mmgraph import Trainer, build_model, evaluate, load_dataset
from mmgraph.data import ids_to_index
from mmgraph.train import recommend

# A shop of 40 teas and 40 coffees; every customer buys eight of one kind.
rng = np.random.default_rng(0)
items = np.array([f"{kind}-{n:02}" for kind in ("tea", "coffee") for n in range(40)])
purchases = [
    (f"customer-{user:03}", items[40 * (user % 2) + n])
    for user in range(100)
    for n in rng.choice(40, size=8, replace=False)
]
images = rng.normal(size=(80, 16)) + np.repeat([[0.0], [2.0]], 40, axis=0)

with tempfile.TemporaryDirectory() as folder:
    table = pd.DataFrame(purchases, columns=["user", "item"])
    table.to_csv(Path(folder) / "interactions.csv", index=False)
    np.savez(Path(folder) / "visual.npz", features=images, ids=items)
    train, val, test = load_dataset(folder, split="per_user")

torch.manual_seed(0)
model = build_model("VBPR", train)
Trainer(epochs=10, lr=1e-2).fit(model, train, val)
print(f"recall@10 {evaluate(model, test, ks=[10])['recall@10']:.3f}")

users = ["customer-000", "customer-001"]
best, scores = recommend(model, train, ids_to_index(train, "user", users), k=3)
for user, rows in zip(users, best, strict=True):
    print(user, *train["item"].raw_id[rows.numpy()])
