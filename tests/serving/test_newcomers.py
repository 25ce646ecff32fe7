from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from catalogues_of_growth import grown

from mmgraph.data import from_interactions
from mmgraph.errors import UserError
from mmgraph.models.mf_bpr import MFBPR
from mmgraph.models.parts.growth import COLD_ITEMS, Growth
from mmgraph.models.registry import FLOORS, MODELS
from mmgraph.serving.newcomers import (
    check_features,
    check_takes,
    count_newcomers,
    places_of,
    warn_of_seen_pairs,
)


def test_ids_of_two_kinds_meet_by_their_spelling():
    old = from_interactions([7, 12], [3, 40])
    new = from_interactions(["7", "100", "12"], ["40", "x", "3"])
    places = places_of(old, new)
    place = {12: 1, 7: 0}
    expected = [place.get(int(name), -1) for name in new["user"].raw_id]
    assert places.users.tolist() == expected
    assert [int(n) >= 0 for n in places.items] == [n != "x" for n in new["item"].raw_id]


def test_who_came_and_who_went():
    old = from_interactions(["ann", "bob"], ["tea", "rum"])
    features = {"visual": [[1.0], [2.0], [3.0]]}
    new = from_interactions(
        ["bob", "cat", "dan"],
        ["tea", "gin", "tea"],
        features=features,
        feature_ids={"visual": ["tea", "gin", "ale"]},
    )
    assert count_newcomers(old, new, places_of(old, new)) == {
        "new_users": 2,
        "new_items": 1,
        "new_cold_items": 1,
        "gone_users": 1,
        "gone_items": 1,
    }


@pytest.mark.parametrize("kind", ["users", "items"])
def test_whom_nobody_takes_is_named(kind, monkeypatch):
    other = {"users": "items", "items": "users"}[kind]
    monkeypatch.setattr(MFBPR, "growth", Growth(takes=(other,)))
    counts = {"new_users": 2, "new_items": 2, "new_cold_items": 0}
    message = rf"^MFBPR does not take new {kind} without training \(2 came\) - give"
    with pytest.raises(UserError, match=message):
        check_takes(MFBPR(2, 3), counts)
    check_takes(MFBPR(2, 3), counts | {f"new_{kind}": 0})


def test_features_must_be_of_the_same_kind():
    data = grown(cold=0)
    check_features(data.old, data.new, "VBPR")
    less = data.new.clone()
    del less["item"].x_visual
    with pytest.raises(UserError, match="nothing for 'visual', VBPR was trained on 6"):
        check_features(data.old, less, "VBPR")
    with pytest.raises(UserError, match="have 'visual', on which VBPR was not trained"):
        check_features(less, data.new, "VBPR")


def test_only_pairs_of_both_catalogues_count(caplog):
    old = from_interactions([0, 1], [10, 11])
    new = from_interactions([0, 1, 2], [10, 11, 12])
    edges = torch.tensor([[0, 0, 2], [0, 1, 2]])
    for split, count in ((edges, 1), (edges[:, 1:], 0)):
        caplog.clear()
        held_out = new.clone()
        held_out["user", "interacts", "item"].edge_label_index = split
        empty = new.clone()
        empty["user", "interacts", "item"].edge_label_index = split[:, :0]
        warn_of_seen_pairs(old, (new, empty, held_out), places_of(old, new))
        said = f"{count} of the {split.size(1)} held-out pairs" in caplog.text
        assert said == (count > 0)


def test_the_page_names_who_cannot_rank_cold_items():
    page = Path(__file__).parents[2] / "docs" / "updating.md"
    listed = re.search(r"say so: ([\w\s,-]+)\.", page.read_text("utf-8"))[1]
    cannot = [
        name
        for name, system in (MODELS | FLOORS).items()
        if COLD_ITEMS not in system.growth.takes
    ]
    assert re.split(r",\s+", listed) == cannot
