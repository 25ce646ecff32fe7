from __future__ import annotations

import copy

import pytest
import torch

from mmgraph.data import synthetic
from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.schema import INTERACTS
from mmgraph.train import Trainer, evaluate
from mmgraph.train.checkpoint import (
    FILE_NAME,
    PREVIOUS,
    load_checkpoint,
    save_checkpoint,
)

MODELS = ["MF-BPR", "FREEDOM", "CLEAR", "SEA", "VBPR+CLEAR", "VBPR+SEA"]


@pytest.fixture(scope="module")
def splits():
    return synthetic(num_users=250, num_items=150)[:3]


def build(name, train, seed=0):
    torch.manual_seed(seed)
    name, _, plugin = name.partition("+")
    options = {"club_inner_steps": 2} if name == "SEA" else {}
    return build_model(name, train, plugin=plugin or None, **options)


def without_times(history):
    return [
        {key: value for key, value in row.items() if not key.startswith("seconds")}
        for row in history.rows
    ]


@pytest.mark.parametrize("name", MODELS)
def test_same_seed_same_run(splits, name):
    train, val, _ = splits
    runs = []
    for _ in range(2):
        model = build(name, train)
        history = Trainer(epochs=2, device="cpu", seed=1).fit(model, train, val)
        runs.append((without_times(history), model.state_dict()))
    assert runs[0][0] == runs[1][0]
    for key, value in runs[0][1].items():
        assert torch.equal(value, runs[1][1][key]), key


@pytest.mark.parametrize("name", MODELS)
def test_a_resumed_run_equals_an_uninterrupted_one(splits, tmp_path, name):
    train, val, _ = splits
    whole = build(name, train)
    expected = Trainer(epochs=4, device="cpu").fit(whole, train, val)

    class KilledError(Exception):
        pass

    def kill(row):
        if row["epoch"] == 3:
            raise KilledError

    trainer = Trainer(epochs=4, device="cpu", checkpoint_seconds=0)
    with pytest.raises(KilledError):
        trainer.fit(
            build(name, train), train, val, on_epoch=kill, checkpoint_dir=tmp_path
        )
    resumed = build(name, train, seed=5)  # what it starts from must not matter
    history = trainer.fit(resumed, train, val, checkpoint_dir=tmp_path, resume=True)
    assert without_times(history) == without_times(expected)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


@pytest.mark.parametrize("name", ["CLEAR", "VBPR+CLEAR"])
def test_every_refresh_of_the_projection_is_in_the_history(splits, name):
    train, val, _ = splits
    model, seen = build(name, train), []
    project = model.project if name == "CLEAR" else model.plugin.projection

    def look(row):
        u = project.basis_textual.double()
        seen.append((u, project.sigma_textual.clone()))

    history = Trainer(epochs=3, device="cpu").fit(model, train, val, on_epoch=look)
    for n, (row, (u, sigma)) in enumerate(zip(history.rows, seen, strict=True)):
        assert row["measure/textual/rank"] == u.size(1) == 8
        assert row["measure/textual/sigma_1"] == sigma[0].item()
        assert ("measure/textual/affinity" in row) == (n > 0)
        if n:
            cosines = torch.linalg.svdvals(seen[n - 1][0].T @ u)
            expected = cosines.square().mean().item()
            found = row["measure/textual/affinity"]
            assert found == pytest.approx(expected, rel=1e-10)


def test_measures_change_nothing_that_is_trained(splits, monkeypatch):
    train, val, _ = splits
    weights = []
    for measured in (True, False):
        if not measured:
            monkeypatch.setattr("mmgraph.nn.projection.refresh_measures", lambda *_: {})
        model = build("CLEAR", train)
        Trainer(epochs=2, device="cpu").fit(model, train, val)
        weights.append(model.state_dict())
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.parametrize("name", ["SEA", "VBPR+SEA"])
def test_the_bounds_of_sea_are_in_the_history_and_change_nothing(splits, name):
    """Losses are the same bits, however often a fit is measured between them."""
    train, val, _ = splits
    histories = []
    for every in (1, 3):  # measured at each evaluation
        torch.manual_seed(0)
        model = build(name, train)
        history = Trainer(epochs=3, eval_every=every, device="cpu").fit(
            model, train, val
        )
        histories.append(history)
    often, rarely = (history.rows for history in histories)
    for n, (row, other) in enumerate(zip(often, rarely, strict=True)):
        assert ("measure/visual/bound_refitted" in other) == (n == 2)
        assert row["measure/visual/bound_refitted"] > 0
        for key, value in other.items():
            if key.startswith(("loss/", "measure/")):
                assert row[key] == value, key
        clamped = row["measure/visual/clamped"]
        assert 0 <= clamped <= 1


def test_another_runs_checkpoint_is_refused(splits, tmp_path):
    train, val, _ = splits
    options = {"epochs": 1, "device": "cpu", "checkpoint_seconds": 0}
    Trainer(**options).fit(build("MF-BPR", train), train, val, checkpoint_dir=tmp_path)
    with pytest.raises(UserError, match="the checkpoint has seed 999, this run 1"):
        Trainer(seed=1, **options).fit(
            build("MF-BPR", train), train, val, checkpoint_dir=tmp_path, resume=True
        )


def resumed_weights(splits, folder, model, **options):
    train, val, _ = splits
    options = {"epochs": 4, "device": "cpu", "checkpoint_seconds": 0} | options
    Trainer(**options).fit(model, train, val, checkpoint_dir=folder, resume=True)
    return model.state_dict()


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_from_the_checkpoint_before_a_damaged_one_it_ends_bit_equal(
    splits, tmp_path, damage, caplog
):
    train, val, _ = splits
    whole = build("VBPR+CLEAR", train)
    options = {"device": "cpu", "checkpoint_seconds": 0}
    Trainer(epochs=4, **options).fit(whole, train, val)
    part = build("VBPR+CLEAR", train)
    Trainer(epochs=3, **options).fit(part, train, val, checkpoint_dir=tmp_path)
    last = tmp_path / FILE_NAME
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content if damage == "flip" else content[:500])
    if damage == "gone":
        last.unlink()
    caplog.clear()
    weights = resumed_weights(splits, tmp_path, build("VBPR+CLEAR", train, seed=5))
    assert ("is damaged" in caplog.text) == (damage != "gone")
    for key, value in whole.state_dict().items():
        assert torch.equal(value, weights[key]), key
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {FILE_NAME, PREVIOUS, "history.jsonl"}


@pytest.mark.parametrize("seconds", [0, 1e9])
def test_an_interruption_leaves_the_last_finished_epoch(splits, tmp_path, seconds):
    train, val, _ = splits
    whole, size = build("VBPR", train), {"batch_size": 400}
    Trainer(epochs=4, device="cpu", **size).fit(whole, train, val)
    part, calls = build("VBPR", train), []
    loss = part.loss

    def interrupted(data, batch):
        calls.append(1)
        if len(calls) == 25:  # of 11 batches an epoch
            raise KeyboardInterrupt
        return loss(data, batch)

    part.loss = interrupted
    options = {"device": "cpu", "checkpoint_seconds": seconds, **size}
    with pytest.raises(KeyboardInterrupt):
        Trainer(epochs=4, **options).fit(part, train, val, checkpoint_dir=tmp_path)
    assert load_checkpoint(tmp_path)[1]["history"]["epochs"] == 2
    weights = resumed_weights(splits, tmp_path, build("VBPR", train, seed=5), **size)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, weights[key]), key


def test_a_checkpoint_of_other_data_options_or_model_is_refused(splits, tmp_path):
    train, val, test = splits
    options = {"epochs": 1, "device": "cpu"}
    model = build("VBPR+CLEAR", train)
    Trainer(**options).fit(model, train, val, checkpoint_dir=tmp_path)

    def refused(model, train=train, val=val, **others):
        with pytest.raises(UserError) as error:
            Trainer(**options, **others).fit(
                model, train, val, checkpoint_dir=tmp_path, resume=True
            )
        assert "use the same options, or start in another folder" in str(error.value)
        return error.value.what

    others = [copy.copy(split) for split in (train, val)]
    for split in others:
        split["item"].x_visual = train["item"].x_visual + 1
    assert refused(build("VBPR+CLEAR", train), *others).startswith(
        "the checkpoint has data"
    )
    assert refused(build("VBPR+CLEAR", train), val=test).startswith(
        "the checkpoint has da"
    )
    assert (
        refused(build("VBPR", train))
        == "the checkpoint has plug-in 'CLEARPlugin', this run None"
    )
    model = build_model("VBPR", train, plugin="CLEAR", rank=2)
    assert refused(model) == "the checkpoint has plug-in option 'rank' 8, this run 2"
    model = build_model("VBPR", train, plugin="CLEAR", reg_weight=0.5)
    assert "model option 'reg_weight' 0.0001, this run 0.5" in refused(model)
    assert "has lr 0.001, this run 0.5" in refused(build("VBPR+CLEAR", train), lr=0.5)


def test_a_checkpoint_that_is_none_of_a_training_is_refused(splits, tmp_path):
    train = splits[0]
    for state in ({}, {"identity": {}}, {"identity": 3}, []):
        save_checkpoint(tmp_path, {"model/w": torch.ones(2)}, state)
        with pytest.raises(UserError, match=r"not one of this run \(.*delete .* and"):
            resumed_weights(splits, tmp_path, build("MF-BPR", train))


def test_another_version_or_device_of_a_checkpoint_is_said(splits, tmp_path, caplog):
    train, val, _ = splits
    model = build("MF-BPR", train)
    Trainer(epochs=1, device="cpu").fit(model, train, val, checkpoint_dir=tmp_path)
    tensors, state = load_checkpoint(tmp_path)
    state["surroundings"] |= {"torch": "1.0"}
    save_checkpoint(tmp_path, tensors, state)
    caplog.clear()
    resumed_weights(splits, tmp_path, build("MF-BPR", train))
    (record,) = caplog.records
    assert record.getMessage().startswith("the checkpoint is of torch 1.0, this is ")
    assert "without a break" in record.getMessage()


def changed(data, edges=None, positives=None):
    data = copy.copy(data)
    store = data["user", "interacts", "item"]
    if edges is not None:
        store.edge_index = edges
        data["item", "rev_interacts", "user"].edge_index = edges.flip(0)
    if positives is not None:
        store.edge_label_index = positives
    return data


def test_splits_that_leak_or_are_of_two_catalogues_are_refused(splits):
    train, val, _ = splits
    edges = {
        s: d["user", "interacts", "item"] for s, d in zip("tve", splits, strict=True)
    }
    with_test = torch.cat([edges["t"].edge_index, edges["e"].edge_label_index], dim=1)
    shared = torch.cat([edges["v"].edge_label_index, edges["t"].edge_index[:, :1]], 1)
    smaller, _, _, _ = synthetic(num_users=30, num_items=40)
    renamed = copy.copy(val)
    renamed["user"].raw_id = val["user"].raw_id[::-1].copy()
    other_features = copy.copy(val)
    other_features["item"].x_visual = val["item"].x_visual.flip(0)
    for one, other, message in (
        (changed(train, with_test), val, "edge_index of valid is not that of train"),
        (train, other_features, "x_visual of valid is not that of train"),
        (
            changed(train, with_test),
            changed(val, with_test),
            "of train is not its edge_l",
        ),
        (train, changed(val, positives=shared), "are in train and in valid - keep the"),
        (train, changed(val, positives=shared[:, :0]), "the valid split is empty"),
        (smaller, val, "valid has 250 user nodes, train has 30"),
        (train, renamed, "valid has other user ids than train"),
    ):
        with pytest.raises(UserError, match=message):
            Trainer(epochs=1, device="cpu").fit(build("MF-BPR", train), one, other)
    with pytest.raises(UserError, match="the model has 30 users, the data have 250"):
        Trainer(epochs=1, device="cpu").fit(build("MF-BPR", smaller), train, val)


def test_parameters_that_end_as_nan_are_said(splits):
    train, val, _ = splits
    model = build("MF-BPR", train)
    model.unused = torch.nn.Parameter(torch.ones(2))
    loss = model.loss
    # Of a finite value with a gradient that is not.
    model.loss = lambda *args: loss(*args) | {"x": (model.unused * 0).sqrt().sum()}
    trainer = Trainer(epochs=1, batch_size=10**6, device="cpu")
    with pytest.raises(UserError, match="training ended with a unused that is not fin"):
        trainer.fit(model, train, val)


@pytest.mark.parametrize("name", ["MF-BPR", "FREEDOM"])
def test_without_validation_the_last_epoch_is_kept(splits, name, tmp_path, caplog):
    caplog.set_level("INFO")
    train, val, _ = splits
    options = {"epochs": 3, "device": "cpu", "checkpoint_seconds": 0}
    last = {}

    def remember(row):
        last.update({k: p.detach().clone() for k, p in validated.state_dict().items()})

    validated, model = build(name, train), build(name, train)
    Trainer(**options).fit(validated, train, val, on_epoch=remember)
    history = Trainer(**options).fit(model, train, None)
    assert history.epochs == history.best_epoch == 3
    said = "no validation: all epochs are trained, the last is kept"
    assert caplog.messages.count(said) == 1
    assert not any(key.startswith("valid/") for row in history.rows for key in row)
    for key, value in model.state_dict().items():
        assert torch.equal(value, last[key]), key
    # And so does one that was interrupted.
    resumed = build(name, train)
    Trainer(**options | {"epochs": 2}).fit(
        resumed, train, None, checkpoint_dir=tmp_path
    )
    resumed = build(name, train, seed=5)
    Trainer(**options).fit(resumed, train, None, checkpoint_dir=tmp_path, resume=True)
    for key, value in resumed.state_dict().items():
        assert torch.equal(value, last[key]), key


def test_the_best_epoch_is_restored(splits):
    train, val, _ = splits
    model = build("MF-BPR", train)
    trainer = Trainer(epochs=60, patience=3, lr=0.05, device="cpu")
    history = trainer.fit(model, train, val)
    assert history.best_epoch < history.epochs  # it did overfit
    assert evaluate(model, val) == pytest.approx(history.best_valid, abs=1e-12)
    best = max(row["valid/recall@20"] for row in history.rows)
    assert history.best_valid["recall@20"] == best
    assert history.epochs == history.best_epoch + 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, r"Trainer: 'epochs' must be at least 1 \(got 0\) - corr"),
        ({"lr": 0.0}, r"'lr' must be above 0 or null \(got 0.0\)"),
        ({"lr": "x"}, r"'lr' must be a number above 0 or null \(got 'x'\)"),
        ({"epochs": True}, r"'epochs' must be an integer at least 1 \(got True\)"),
        ({"seed": 2**32}, r"'seed' must be in \[0, 4294967295\] \(got 4294967296\)"),
        ({"lr_decay": 0}, r"'lr_decay' must be in \(0, 1\] or null \(got 0\)"),
        ({"lr_decay": 2}, r"'lr_decay' must be in \(0, 1\] or null \(got 2\)"),
        ({"weight_decay": -0.1}, "'weight_decay' must be at least 0 or null"),
        ({"patience": -1}, "'patience' must be at least 0"),
        ({"ks": (0, 20)}, r"Trainer: 'ks' must be a list, each an integer at least 1"),
        ({"ks": ()}, r"Trainer: 'ks' must be one or more, all different \(got \(\)\)"),
        ({"ks": (20, 20)}, r"'ks' must be one or more, all different \(got \(20, 20"),
        ({"ks": 20}, "'ks' must be a list"),
        ({"ks": "20"}, "'ks' must be a list"),
        ({"device": "gpu"}, "unknown device 'gpu' - choose auto, cpu, cuda or cuda:n"),
        ({"device": 3}, r"Trainer: 'device' must be text or device \(got 3\)"),
        ({"epohcs": 3}, "unknown option 'epohcs' of Trainer - did you mean 'epochs'"),
        ({"monitor": "recall@7"}, "unknown metric of validation 'recall@7' - .*choose"),
        ({"monitor": "recal@20"}, "did you mean 'recall@20'.*choose from recall@10"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Trainer(**options)


def test_every_metric_of_an_evaluation_can_decide(splits):
    train, val, _ = splits
    for monitor in evaluate(build("MF-BPR", train), val, ks=[5, 20]):
        assert Trainer(monitor=monitor, ks=(5, 20)).monitor == monitor


def test_the_models_own_options_hold_unless_given():
    class Model:
        lr, weight_decay, lr_decay = 0.5, 0.25, 0.125

    own = Trainer(batch_size=7).options_for(Model())
    assert (own.lr, own.weight_decay, own.lr_decay) == (0.5, 0.25, 0.125)
    assert own.batch_size == 7
    given = Trainer(lr=1.0, weight_decay=0.0).options_for(Model())
    assert (given.lr, given.weight_decay, given.lr_decay) == (1.0, 0.0, 0.125)


def test_the_batch_is_never_changed(splits):
    train, _, _ = splits
    from mmgraph.models.batch import Batch

    for name in MODELS:
        model = build(name, train)
        data = model.add_graphs(train)
        model.start_epoch(data, 1, torch.Generator().manual_seed(0))
        batch = Batch(*(torch.tensor([1, 2, 3]) for _ in range(3)))
        model.training_loss(data, batch)
        assert all(torch.equal(part, torch.tensor([1, 2, 3])) for part in batch)


def test_the_log_says_which_batch_the_rule_made(splits, caplog, monkeypatch):
    train, val, _ = splits
    rules = "mmgraph.train.batches.batch_size"
    monkeypatch.setattr(f"{rules}.USUAL_BATCH_SIZE", 8)
    monkeypatch.setattr(f"{rules}.MOST_STEPS", 4)
    size = -(-train[INTERACTS].edge_index.size(1) // 4)
    options = {"epochs": 1, "device": "cpu", "lr": 1e-3}
    one, other = (build("MF-BPR", train) for _ in range(2))
    with caplog.at_level("INFO", "mmgraph"):
        Trainer(batch_size="auto", **options).fit(one, train, val)
    assert f"batch_size auto: {size} interactions, learning rate" in caplog.text
    lr = 1e-3 * (size / 8) ** 0.5
    Trainer(batch_size=size, **options | {"lr": lr}).fit(other, train, val)
    assert torch.equal(one.user.weight, other.user.weight)


def test_the_log_says_that_an_epoch_has_many_steps(splits, caplog):
    train, val, _ = splits
    with caplog.at_level("INFO", "mmgraph"):
        Trainer(batch_size=1, epochs=1, device="cpu").fit(
            build("MF-BPR", train), train, val
        )
    steps = train[INTERACTS].edge_index.size(1)
    text = f"{steps} steps per epoch; batch_size=auto would make 64 of them"
    assert text in caplog.text
    with pytest.raises(UserError, match=r"must be .* or 'auto' \(got 0\)"):
        Trainer(batch_size=0)


def test_a_run_that_ended_off_schedule_does_not_go_on(splits, tmp_path):
    """Its last evaluation would count, and a run without a break has none there."""
    train, valid, _ = splits

    def fit(epochs, folder, **options):
        torch.manual_seed(0)
        model = build_model("MF-BPR", train, embedding_dim=4)
        trainer = Trainer(epochs=epochs, eval_every=4, device="cpu")
        return trainer.fit(model, train, valid, checkpoint_dir=folder, **options)

    fit(5, tmp_path / "off")
    message = "ended with an evaluation after epoch 5, which a longer one with eval_ev"
    with pytest.raises(UserError, match=message):
        fit(8, tmp_path / "off", resume=True)
    fit(5, tmp_path / "off", resume=True)
    fit(4, tmp_path / "on")
    on, direct = fit(6, tmp_path / "on", resume=True), fit(6, tmp_path / "direct")
    metrics = [[row.get("valid/recall@20") for row in h.rows] for h in (on, direct)]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize("name", ["MMSSL", "SEA"])
def test_a_second_training_of_an_object_is_that_of_a_fresh_one(name, splits):
    """Optimisers of critics and estimators begin anew, too."""
    model = build_model(name, splits[0], embedding_dim=8)
    state = copy.deepcopy(model.state_dict())
    losses = []
    for _ in range(2):
        model.load_state_dict(state)
        history = Trainer(epochs=1, device="cpu").fit(model, splits[0], None)
        row = history.rows[0]
        losses.append({k: v for k, v in row.items() if k.startswith("loss/")})
    assert losses[0] == losses[1]
