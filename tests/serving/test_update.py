from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
import torch
from catalogues_of_growth import DIMS, dense_graph, grown

from mmgraph.bench.config import run_config
from mmgraph.bench.run_directory import load_run
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.bench.training import evaluate_run, recommend_run, train_run
from mmgraph.data import write_dataset
from mmgraph.data.splits import split_per_user
from mmgraph.errors import UserError
from mmgraph.knn import knn_graph
from mmgraph.knn.update import insert
from mmgraph.models import build_model
from mmgraph.models.parts.growth import COLD_ITEMS, ITEMS, USERS, Growth
from mmgraph.models.registry import FLOORS, MODELS, model_options
from mmgraph.schema import INTERACTS, ITEM, feature_key
from mmgraph.serving.export import export_run
from mmgraph.serving.newcomers import check_takes, count_newcomers, places_of
from mmgraph.serving.server import load_service
from mmgraph.serving.similar import similar_items
from mmgraph.serving.update import take_over, update_run
from mmgraph.train import Trainer

SYSTEMS = [
    (name, fidelity)
    for name, system in (MODELS | FLOORS).items()
    for fidelity in system.fidelities
]
SMALL = {"embedding_dim": 8, "pretrain_epochs": 2, "k": 3, "rank": 2, "hidden_dim": 8}
SMALL |= {"num_neighbors": 3, "top_users": 5}


def options(name):
    return {key: v for key, v in SMALL.items() if key in model_options(name)}


def trained(name, fidelity, data):
    torch.manual_seed(3)
    model = build_model(name, data, fidelity=fidelity, **options(name))
    if model.trains:
        Trainer(epochs=2, lr=0.05, batch_size=32, device="cpu").fit(model, data, None)
    return model.eval()


def updated(old_model, catalogues, data=None):
    data = catalogues.new if data is None else data
    torch.manual_seed(4)
    name = {v: k for k, v in (MODELS | FLOORS).items()}[type(old_model)]
    model = build_model(name, data, fidelity=old_model.fidelity, **options(name))
    places = places_of(catalogues.old, data)
    take_over(old_model, model, data, places)
    return model


@torch.no_grad()
def scores(model, data):
    """All scores; by the parameters, not by what the last step of training left."""
    if getattr(model, "last_step", None) is not None:
        model.last_step.user.zero_()
    return model.score(*model.ranking_embeddings(model.add_graphs(data)))


def rows(data, kind, first):
    return torch.tensor([str(n).startswith(first) for n in data[kind].raw_id])


# What the mathematics says is equal ------------------------------------------------


@pytest.mark.parametrize(("name", "fidelity"), SYSTEMS)
def test_the_same_catalogue_gives_the_same_scores(name, fidelity):
    data = grown()
    model = trained(name, fidelity, data.old)
    again = updated(model, data, data.old)
    if name == "MMSSL":  # its lists are of the last epoch's start: draw them up anew
        with torch.no_grad():
            model.fold_in(data.old, torch.zeros(24) > 0, torch.zeros(30) > 0)
    torch.testing.assert_close(
        scores(again, data.old), scores(model, data.old), rtol=1e-6, atol=1e-6
    )


#: A softmax over all users and all items; draws by the number of a user; noise by it.
SEES_WHO_IS_ALONE = [
    ("MMSSL", "paper"),
    ("MMSSL", "released"),
    ("DualGNN", "paper"),
    ("DualGNN", "released"),
    ("LGMRec", "released"),
]


@pytest.mark.parametrize(("name", "fidelity"), SYSTEMS)
def test_somebody_who_touches_nobody_changes_no_score(name, fidelity):
    data = grown(users=0, items=0, cold=0)
    lonely = grown(users=0, items=0, cold=1).new
    for m in DIMS:  # an item without features: in no item graph, and first of all
        lonely[ITEM][feature_key(m)] = lonely[ITEM][feature_key(m)].clone()
        lonely[ITEM][feature_key(m)][0] = 0.0
        lonely[ITEM][feature_key(m)][1:] = data.old[ITEM][feature_key(m)]
    lonely[INTERACTS].edge_index = data.old[INTERACTS].edge_index + torch.tensor(
        [[0], [1]]
    )
    model = trained(name, fidelity, data.old)
    after = scores(updated(model, data, lonely), lonely)[:, 1:]
    if (name, fidelity) not in SEES_WHO_IS_ALONE:
        before = scores(model, data.old)
        torch.testing.assert_close(after, before, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["MF-BPR", "VBPR", "PAMD"])
@pytest.mark.parametrize("fidelity", ["paper", "released"])
def test_without_a_graph_known_scores_stay_whoever_comes(name, fidelity):
    data = grown()
    model = trained(name, fidelity, data.old)
    after = scores(updated(model, data), data.new)
    known = after[rows(data.new, "user", "u")][:, rows(data.new, "item", "i")]
    before = scores(model, data.old)
    torch.testing.assert_close(known, before, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["VBPR", "PAMD"])
@pytest.mark.parametrize("train_features", [False, True])
def test_the_scale_of_the_features_is_that_of_the_training(name, train_features):
    data = grown()
    known_items = rows(data.new, "item", "i")
    for m in DIMS:  # the newcomers would move mean and deviation
        data.new[ITEM][feature_key(m)][~known_items] *= 9
    given = options(name) | {"feature_scale": "standardized"}
    given["train_features"] = train_features
    torch.manual_seed(3)
    model = build_model(name, data.old, **given)
    Trainer(epochs=2, lr=0.05, batch_size=32, device="cpu").fit(model, data.old, None)
    later = build_model(name, data.new, **given)
    take_over(model, later, data.new, places_of(data.old, data.new))
    after = scores(later.eval(), data.new)
    known = after[rows(data.new, "user", "u")][:, known_items]
    before = scores(model.eval(), data.old)
    torch.testing.assert_close(known, before, rtol=1e-6, atol=1e-6)
    for m in DIMS:  # of a newcomer, too
        x = data.old[ITEM][feature_key(m)].double().numpy()
        new = data.new[ITEM][feature_key(m)][~known_items].double().numpy()
        found = later.item_features(data.new, m)[~known_items].detach().numpy()
        expected = (new - x.mean(axis=0)) / x.std(axis=0)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_vbpr_encodes_a_new_item_as_any_other():
    data = grown()
    model = trained("VBPR", "paper", data.old)
    after = updated(model, data)
    cold = rows(data.new, "item", "b")
    z = after.encode_items(data.new)[cold].double().detach()
    x = {m: data.new[ITEM][feature_key(m)][cold].double() for m in DIMS}
    state = {key: value.double() for key, value in model.state_dict().items()}
    content = sum(x[m] @ state[f"project.{m}.weight"].T for m in DIMS)
    bias = sum(x[m] @ state[f"feature_bias.{m}.weight"].T for m in DIMS)
    expected = torch.cat([torch.zeros_like(content), content, bias], dim=1)
    torch.testing.assert_close(z, expected, rtol=1e-6, atol=1e-6)


def dense_rows(model, data):
    """LightGCN's table after the update, by dense matrices in double precision."""
    places = places_of(data.old, data.new)
    table = torch.zeros(len(places.users) + len(places.items), 8, dtype=torch.float64)
    known = places.nodes >= 0
    trained_rows = torch.cat([model.user.weight, model.item.weight]).double().detach()
    table[known] = trained_rows[places.nodes[known]]
    graph = dense_graph(data.new)
    brought = graph @ table
    is_user = torch.arange(len(table)) < len(places.users)
    for side in (is_user, ~is_user):
        own, near = table[side & known], brought[side & known]
        ridge = 0.1 * near.square().sum() / 8 * torch.eye(8)
        table[side & ~known] = (
            brought[side & ~known] @ (near.T @ near + ridge).inverse() @ near.T @ own
        )
    return graph, table


def test_lightgcn_is_that_of_dense_matrices():
    data = grown()
    model = trained("LightGCN", "paper", data.old)
    graph, layer = dense_rows(model, data)
    total = layer.clone()
    for _ in range(3):
        layer = graph @ layer
        total += layer
    user, item = (total / 4).split([27, 35])
    torch.testing.assert_close(
        scores(updated(model, data), data.new).double(),
        user @ item.T,
        rtol=1e-6,
        atol=1e-6,
    )


def test_the_item_graph_is_the_old_one_with_the_new_items_inserted():
    data = grown()
    for m in DIMS:
        # Known items first, as insertion wants them.
        known = rows(data.new, "item", "i")
        x = data.new[ITEM][feature_key(m)]
        x = torch.cat([x[known], x[~known]])
        count = int(known.sum())
        inserted = insert(*knn_graph(x[:count], 3), x, 3, num_new=len(x) - count)
        built = knn_graph(x, 3)
        assert all(map(torch.equal, inserted, built))


def test_freedom_gives_a_cold_item_what_its_neighbours_have():
    data = grown()
    model = trained("FREEDOM", "paper", data.old)
    after = updated(model, data)
    _, z = after.ranking_embeddings(after.add_graphs(data.new))
    cold = rows(data.new, "item", "b").nonzero().flatten()
    e = after.item.weight.detach()
    expected = torch.zeros(len(cold), 8)
    for m, weight in (("visual", 0.1), ("textual", 0.9)):
        x = torch.nn.functional.normalize(data.new[ITEM][feature_key(m)])
        nearest = (x @ x.T).topk(3, dim=1).indices
        expected += weight * e[nearest[cold]].mean(dim=1)
    torch.testing.assert_close(z[cold].detach(), expected, rtol=1e-6, atol=1e-6)


# What is declared is true ----------------------------------------------------------


@pytest.mark.parametrize(("name", "fidelity"), SYSTEMS)
def test_who_is_said_to_be_taken_is(name, fidelity):
    """New users by their history; cold items by their features, or by nothing."""
    data = grown()
    model = trained(name, fidelity, data.old)
    after = updated(model, data)
    before = scores(after, data.new)
    assert bool(before.isfinite().all())
    takes = model.growth.takes
    assert USERS in takes
    assert ITEMS in takes
    new_users, cold = rows(data.new, "user", "a"), rows(data.new, "item", "b")
    with_history = before[new_users]
    assert float(with_history.std(dim=1).min()) > 0
    assert float((with_history[0] - with_history[1]).abs().max()) > 1e-6

    other = data.new.clone()
    for m in DIMS:
        x = other[ITEM][feature_key(m)].clone()
        x[cold] = x[cold].flip(0) * 3 - 1
        other[ITEM][feature_key(m)] = x
    changed = scores(updated(model, data, other), other)
    known = rows(data.new, "user", "u")
    moved = (changed - before)[known][:, cold].abs().max()
    assert (float(moved) > 1e-6) == (COLD_ITEMS in takes)


@pytest.mark.parametrize("name", ["LightGCN", "CLEAR", "VBPR"])
def test_a_training_starts_where_an_update_ends(name):
    data = grown()
    model = trained(name, "paper", data.old)
    torch.manual_seed(4)
    start = build_model(name, data.new, **options(name))
    fresh = {key: value.clone() for key, value in start.state_dict().items()}
    take_over(model, start, data.new, places_of(data.old, data.new), trains=True)
    there = updated(model, data).state_dict()
    for key, value in start.state_dict().items():
        expected = there[key].clone()
        if model.growth.kind(key) in ("users", "items"):
            blank = expected.flatten(1).eq(0).all(dim=1)
            expected[blank] = fresh[key][blank]
        torch.testing.assert_close(value, expected)


# Run directories -------------------------------------------------------------------


def digest(folder):
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Data of today and of tomorrow."""
    root, data = tmp_path_factory.mktemp("shop"), grown(cold=0)
    for name in ("old", "new"):
        write_dataset(*split_per_user(getattr(data, name)), root / name)
    return root


def run_on(folders, tmp_path, system, name="run", **settings):
    settings = {"embedding_dim": 8, "epochs": 2} | settings
    run = run_config(parse_spec(system), settings)
    source = DataSource(str(folders / "old"))
    train_run(run, source, tmp_path / name, device="cpu")
    return tmp_path / name


def test_an_updated_run_is_a_run_like_any_other(folders, tmp_path):
    run = run_on(folders, tmp_path, "FREEDOM+CLEAR:rank=2")
    inputs = digest(folders) | digest(run)
    out = tmp_path / "next"
    info = update_run(run, str(folders / "new"), out, device="cpu")
    assert digest(folders) | digest(run) == inputs
    assert sorted(p.name for p in out.iterdir()) == [
        "history.jsonl",
        "model.safetensors",
        "run.json",
    ]
    about = info["updated_from"]
    counts = ("new_users", "new_items", "new_cold_items", "gone_users", "gone_items")
    assert [about[name] for name in counts[3:]] == [0, 0]
    assert about["new_users"] == 3
    assert about["new_items"] + about["new_cold_items"] == 3
    assert (info["epochs"], info["best_epoch"]) == (0, 0)
    assert (info["spec"], info["seed"]) == ("FREEDOM+CLEAR:rank=2", 999)

    metrics = evaluate_run(out, device="cpu")
    assert metrics == pytest.approx(info["metrics"]["test"], abs=1e-12)
    table = recommend_run(out, tmp_path / "top.csv", users="a00,u03", k=4)
    assert sorted(set(table["user_id"])) == ["a00", "u03"]
    about = export_run(out, tmp_path / "vectors", k=3, device="cpu")
    assert (about["users"], about["formats"]["parquet"]["found"]) == (27, 1.0)
    assert set(similar_items(out, "a01", k=3)["item_id"]) == {"a01"}
    service = load_service(out)
    assert len(service.recommend("a02", 5)) == 5

    again = tmp_path / "day after"
    update_run(out, str(folders / "old"), again, device="cpu")
    back, first = load_run(again), load_run(run)
    for key, value in first.model.state_dict().items():
        torch.testing.assert_close(back.model.state_dict()[key], value)


def test_a_newcomer_of_whom_nothing_is_known_is_like_none(tmp_path):
    data = grown()
    for name in ("old", "new"):
        write_dataset(*split_per_user(getattr(data, name)), tmp_path / name)
    run = run_on(tmp_path, tmp_path, "LightGCN", "run")
    out = tmp_path / "next"
    update_run(run, str(tmp_path / "new"), out, device="cpu")
    table = similar_items(out, ",".join(load_service(out).vectors.item_ids), k=99)
    about = export_run(out, tmp_path / "vectors", k=3, device="cpu")
    blank = about["zero_vectors"]["items"]
    assert blank >= 2  # those without an interaction
    known = about["items"] - blank
    assert len(table) == known * (known - 1)


def test_training_goes_on_from_the_known_rows(folders, tmp_path):
    run = run_on(folders, tmp_path, "PAMD:pretrain_epochs=3", lr=1e-9)
    out = tmp_path / "next"
    info = update_run(run, str(folders / "new"), out, epochs=3, device="cpu")
    assert (info["epochs"], info["trainer"]["epochs"]) == (3, 3)
    old, new = load_run(run), load_run(out)
    places = places_of(old.splits[0], new.splits[0])
    before, after = old.model.state_dict(), new.model.state_dict()
    known = places.users >= 0
    torch.testing.assert_close(
        after["user.weight"][known], before["user.weight"][places.users[known]]
    )
    assert float(after["user.weight"][~known].abs().min()) > 0  # initialised
    for key, value in before.items():  # no pretraining once more
        if not key.endswith(("user.weight", "item.weight")):
            torch.testing.assert_close(after[key], value)


def test_what_cannot_be_taken_over_is_one_line_and_leaves_nothing(
    folders, tmp_path, monkeypatch
):
    run, new = run_on(folders, tmp_path, "VBPR"), str(folders / "new")
    out = tmp_path / "next"

    def refused(what, data=new, folder=run, target=out, **more):
        with pytest.raises(UserError) as error:
            update_run(folder, data, target, device="cpu", **more)
        assert what in str(error.value)
        assert not out.exists()

    refused("run: there is a run already - choose another --out", target=run)
    refused("unknown split", split="by luck")
    refused("not a run directory", folder=tmp_path / "nowhere")
    refused("the data differ from those of the run", old_data=new)
    data = grown(cold=0).new
    data[ITEM].x_visual = data[ITEM].x_visual[:, :4]
    write_dataset(*split_per_user(data), tmp_path / "narrow")
    refused(
        "the new data have 4 numbers for 'visual', VBPR was trained on 6 numbers per "
        "item - encode the new items as the old ones were",
        data=str(tmp_path / "narrow"),
    )
    del data[ITEM].x_visual
    write_dataset(*split_per_user(data), tmp_path / "less")
    refused("the new data have nothing for 'visual'", data=str(tmp_path / "less"))
    monkeypatch.setattr(MODELS["VBPR"], "growth", Growth())
    refused(
        "VBPR does not take new users without training (3 came) - give --epochs to "
        "train on, or train it again"
    )


def test_a_modality_more_is_refused(folders, tmp_path):
    data = grown(cold=0).new
    data[ITEM].x_acoustic = torch.ones(data[ITEM].num_nodes, 3)
    write_dataset(*split_per_user(data), tmp_path / "more")
    run = run_on(folders, tmp_path, "VBPR")
    with pytest.raises(UserError, match="have 'acoustic', on which VBPR was not"):
        update_run(run, str(tmp_path / "more"), tmp_path / "next", device="cpu")


def test_an_interruption_leaves_nothing(folders, tmp_path, monkeypatch):
    run = run_on(folders, tmp_path, "MF-BPR")

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmgraph.serving.update.measured", stop)
    with pytest.raises(KeyboardInterrupt):
        update_run(run, str(folders / "new"), tmp_path / "next", device="cpu")
    assert not (tmp_path / "next").exists()


def test_pairs_that_were_trained_on_are_counted(folders, tmp_path, caplog):
    run = run_on(folders, tmp_path, "MF-BPR")
    update_run(run, str(folders / "new"), tmp_path / "next", device="cpu")
    # Counted from the files themselves.
    sets = {}
    for name in ("old", "new"):
        table = pd.read_parquet(folders / name / "interactions.parquet")
        label = table["split"].astype(str)
        pairs = list(zip(table["user"], table["item"], strict=True))
        sets[name] = [
            {p for p, s in zip(pairs, label, strict=True) if (s == "train") == wanted}
            for wanted in (True, False)
        ]
    count = len(sets["old"][0] & sets["new"][1])
    assert count > 0
    assert f"{count} of the {len(sets['new'][1])} held-out pairs" in caplog.text


def test_cold_items_that_a_system_cannot_rank_are_said(tmp_path, caplog):
    data = grown()
    counts = count_newcomers(data.old, data.new, places_of(data.old, data.new))
    assert counts == {
        "new_users": 3,
        "new_items": 3,
        "new_cold_items": 2,
        "gone_users": 0,
        "gone_items": 0,
    }
    check_takes(build_model("FREEDOM", data.new), counts)
    assert caplog.text == ""
    check_takes(build_model("LightGCN", data.new), counts)
    assert "2 new items have no interaction yet, and LightGCN has no" in caplog.text
