"""Two systems trained with several seeds and compared with 95 % intervals."""

import tempfile
from pathlib import Path

from mmgraph.analysis import compare_systems, load_per_user
from mmgraph.bench import DataSource, parse_spec, run_config, train_run

source = DataSource("synthetic")  # or the path of a data folder
settings = {"epochs": 5, "lr": 1e-2, "embedding_dim": 32}

with tempfile.TemporaryDirectory() as folder:
    runs = []
    for name in ("MF-BPR", "VBPR"):
        run = run_config(parse_spec(name), settings)
        for seed in (1, 2):
            runs.append(Path(folder) / f"{name}-{seed}")
            train_run(run, source, runs[-1], seed=seed)
    systems = compare_systems(load_per_user(runs), "recall@20")

for system in systems:
    low, high = system.over_users.low, system.over_users.high
    print(f"{system.label}: recall@20 {system.mean:.4f} [{low:.4f}, {high:.4f}]")
difference = systems[1].difference
over = difference.over_users
print(
    f"difference {difference.mean:+.4f} [{over.low:+.4f}, {over.high:+.4f}], "
    f"p {difference.wilcoxon_p_value:.3g}"
)
