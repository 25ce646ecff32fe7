from __future__ import annotations

import pytest
import torch

from mmgraph.data import synthetic
from mmgraph.errors import UserError
from mmgraph.models.parts.growth import (
    BY_PREFERENCES,
    Growth,
    Places,
    carried_state,
    fold_in_rows,
)
from mmgraph.models.registry import FLOORS, MODELS, PLUGINS, build_model

DIMS = {"visual": 12, "textual": 14}
#: Names that no other number of the tests has.
USERS, ITEMS = 101, 211
SYSTEMS = [
    (name, fidelity)
    for name, system in (MODELS | FLOORS).items()
    for fidelity in system.fidelities
]


def shapes(name, fidelity, users, items, plugin=None):
    """Shapes of a system's state; built without memory."""
    system = (MODELS | FLOORS)[name]
    options = {"fidelity": fidelity} if len(system.fidelities) > 1 else {}
    sizes = (users, items, DIMS) if system.multimodal else (users, items)
    with torch.device("meta"):
        model = system(*sizes, **options)
        if plugin is not None:
            model.attach(PLUGINS[plugin])
    return {key: value.shape for key, value in model.state_dict().items()}


def found_by_trying(name, fidelity, plugin=None):
    """Which tensors grow by a row with a user, with an item: seen by their shapes."""
    before = shapes(name, fidelity, USERS, ITEMS, plugin)
    by_user = shapes(name, fidelity, USERS + 1, ITEMS, plugin)
    by_item = shapes(name, fidelity, USERS, ITEMS + 40, plugin)
    kinds = {}
    for key, shape in before.items():
        with_user, with_item = by_user[key] != shape, by_item[key] != shape
        if with_user and with_item:
            kinds[key] = "nodes"
        elif with_user or with_item:
            kinds[key] = "users" if with_user else "items"
    return kinds


@pytest.mark.parametrize(("name", "fidelity"), SYSTEMS)
def test_what_a_system_declares_is_what_its_shapes_say(name, fidelity):
    growth = (MODELS | FLOORS)[name].growth
    same = {"averaged": "users", "content": "items"}
    trained = found_by_trying(name, fidelity)
    for key in shapes(name, fidelity, USERS, ITEMS):
        kind = growth.kind(key)
        if kind != "anew":
            assert same.get(kind, kind) == trained.get(key), key


@pytest.mark.parametrize(
    ("name", "fidelity"),
    [case for case in SYSTEMS if MODELS.get(case[0]) and MODELS[case[0]].multimodal],
)
def test_trained_features_move_with_their_items(name, fidelity):
    """Every tensor with a row per item, among them features that are trained."""
    train = synthetic(num_users=USERS, num_items=ITEMS)[0]
    model = build_model(name, train, fidelity=fidelity, train_features=True)
    sizes = {USERS, ITEMS, USERS + ITEMS}
    state = model.state_dict()
    nobody = [k for k, v in state.items() if model.growth.kind(k) is None]
    assert not [k for k in nobody if sizes & set(state[k].shape)]


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugins_have_no_row_of_anybody(plugin):
    of_plugin = [k for k in found_by_trying("VBPR", "paper", plugin) if "plugin" in k]
    assert of_plugin == []


def test_rows_move_with_their_users_and_items():
    generator = torch.Generator().manual_seed(0)

    def state(users, items):
        sizes = {
            "a.preference.m": (users, 2),
            "item.weight": (items, 3),
            "gcn.fuse_users.weight": (users, 2, 1),
            "map": (2, 2),
        }
        return {k: torch.rand(v, generator=generator) for k, v in sizes.items()}

    trained, fresh = state(3, 2), state(4, 3)
    places = Places(torch.tensor([2, -1, 0, -1]), torch.tensor([-1, 1, 0]), 3)
    moved = carried_state(BY_PREFERENCES, trained, fresh, places, blank=True)
    before = trained["a.preference.m"]
    zero = torch.zeros(2)
    assert torch.equal(
        moved["a.preference.m"], torch.stack([before[2], zero, before[0], zero])
    )
    before = trained["item.weight"]
    assert torch.equal(
        moved["item.weight"], torch.stack([torch.zeros(3), before[1], before[0]])
    )
    weight = trained["gcn.fuse_users.weight"]
    mean = (weight[0] + weight[1] + weight[2]) / 3
    torch.testing.assert_close(
        moved["gcn.fuse_users.weight"], torch.stack([weight[2], mean, weight[0], mean])
    )
    assert torch.equal(moved["map"], trained["map"])
    warm = carried_state(BY_PREFERENCES, trained, fresh, places, blank=False)
    for key in ("a.preference.m", "gcn.fuse_users.weight"):
        assert torch.equal(warm[key][[1, 3]], fresh[key][[1, 3]])
        assert torch.equal(warm[key][[0, 2]], trained[key][[2, 0]])


def test_stacked_rows_and_features():
    growth = Growth(nodes=("shared",))
    trained = {
        "shared": torch.arange(5.0).unsqueeze(1),
        "features.m": torch.tensor([[7.0]] * 3),
        "last_step.user": torch.ones(2, 1),
    }
    fresh = {
        "shared": torch.full((6, 1), 9.0),
        "features.m": torch.tensor([[1.0], [2.0], [3.0]]),
        "last_step.user": torch.zeros(3, 1),
    }
    places = Places(torch.tensor([-1, 1, 0]), torch.tensor([2, 0, -1]), 2)
    moved = carried_state(growth, trained, fresh, places, blank=True)
    assert moved["shared"].flatten().tolist() == [0, 1, 0, 4, 2, 0]
    assert moved["features.m"].flatten().tolist() == [7, 7, 3]
    assert moved["last_step.user"].flatten().tolist() == [0, 0, 0]


def test_a_tensor_that_nobody_declares_is_named():
    places = Places(torch.tensor([0, -1]), torch.tensor([0]), 1)
    for growth, key in ((Growth(), "bias"), (Growth(users=("bias",)), "bias")):
        trained, fresh = {key: torch.ones(1, 2)}, {key: torch.ones(2, 3)}
        with pytest.raises(UserError, match=r"^'bias' has the shape .* - train on the"):
            carried_state(growth, trained, fresh, places, blank=True)


def test_new_rows_are_the_ridge_regression_of_known_ones():
    generator = torch.Generator().manual_seed(1)
    own, brought = (torch.rand(9, 4, generator=generator).double() for _ in range(2))
    new = torch.arange(9) % 3 == 0
    before = own.clone()
    # As least squares with rows that pull the map to 0.
    a, y = brought[~new], own[~new]
    pull = (0.1 * a.square().sum() / 4).sqrt() * torch.eye(4).double()
    rows = torch.cat([a, pull]), torch.cat([y, torch.zeros(4, 4).double()])
    expected = brought[new] @ torch.linalg.lstsq(*rows).solution
    fold_in_rows(own, brought, new)
    torch.testing.assert_close(own[new], expected)
    assert torch.equal(own[~new], before[~new])


def test_nothing_known_brings_nothing():
    own = torch.zeros(2, 1)
    fold_in_rows(own, torch.zeros(2, 1), torch.tensor([False, True]))
    assert own.flatten().tolist() == [0, 0]
