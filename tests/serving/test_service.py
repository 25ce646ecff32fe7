from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mmgraph.bench.run_directory import load_run
from mmgraph.errors import UserError
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.unit_rows import unit_rows
from mmgraph.schema import INTERACTS, ITEM, feature_key, mask_key
from mmgraph.serving.service import Service, service_of
from mmgraph.serving.vectors import Vectors
from mmgraph.train.recommendations import recommend_table


@pytest.fixture(scope="module")
def loaded(vbpr):
    return load_run(vbpr)


@pytest.fixture(scope="module")
def service(loaded):
    return service_of(loaded)


def ids(found):
    return [one.item_id for one in found]


@pytest.fixture(scope="module")
def dense(loaded):
    """Users' and items' vectors, in double precision."""
    with torch.no_grad():
        z = loaded.model.encode(loaded.splits[0])
    return tuple(x.double().numpy() for x in z)


def test_a_user_gets_what_the_table_of_recommendations_has(loaded, service):
    train = loaded.splits[0]
    for user in train["user"].raw_id[[0, 17, 400]]:
        table = recommend_table(loaded.model, train, [user], k=7)
        found = service.recommend(str(user), 7)
        assert ids(found) == list(table["item_id"])
        np.testing.assert_allclose([f.score for f in found], table["score"], rtol=1e-5)


def test_somebody_with_a_history_gets_what_is_nearest_to_its_mean(
    loaded, service, dense
):
    raw = loaded.splits[0]["item"].raw_id
    rows = [3, 50, 51]
    score = dense[1] @ dense[1][rows].mean(axis=0)
    score[rows] = -np.inf
    found = service.recommend_for(raw[rows].tolist(), 10)
    assert ids(found) == list(raw[np.argsort(-score)[:10]])


def test_lists_and_seen_items(loaded, service, dense):
    train = loaded.splits[0]
    raw = train["item"].raw_id
    score = dense[0][5] @ dense[1].T
    user, item = train[INTERACTS].edge_index.numpy()
    everything = service.recommend(train["user"].raw_id[5], 600, include_seen=True)
    assert ids(everything) == list(raw[np.argsort(-score)])
    seen = set(raw[item[user == 5]])
    unseen = [one for one in ids(everything) if one not in seen]
    assert ids(service.recommend(train["user"].raw_id[5], 600)) == unseen
    deny, allow = unseen[:2], unseen[1:4]
    choice = {"deny": deny, "allow": allow}
    assert ids(service.recommend(train["user"].raw_id[5], 9, **choice)) == allow[1:]
    assert service.recommend(train["user"].raw_id[5], 9, allow=[]) == []


def test_similar_items_by_the_system_and_by_a_modality(loaded, service, dense):
    train = loaded.splits[0]
    raw = train["item"].raw_id
    tables = {"trained": dense[1], "visual": train["item"].x_visual.double().numpy()}
    for by, x in tables.items():
        length = np.linalg.norm(x, axis=1, keepdims=True)
        unit = x / np.where(length > 0, length, 1)
        cosine = np.where(length[:, 0] > 0, unit @ unit[9], -np.inf)
        cosine[9] = -np.inf
        found = service.similar(raw[9], 6, by)
        assert ids(found) == list(raw[np.argsort(-cosine)[:6]])
        np.testing.assert_allclose(
            [f.score for f in found], np.sort(cosine)[::-1][:6], atol=1e-6
        )


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda s: s.recommend("nobody", 3), "unknown user id 'nobody'"),
        (lambda s: s.recommend_for(["nothing"], 3), "unknown item id 'nothing'"),
        (lambda s: s.recommend_for([], 3), "the history is empty"),
        (lambda s: s.similar("nothing", 3), "unknown item id 'nothing'"),
        (lambda s: s.similar("i000", 3, "taste"), "nothing to compare by 'taste'"),
    ],
)
def test_what_is_unknown_is_named(service, ask, message):
    with pytest.raises(UserError, match=f"^{message}"):
        ask(service)


def test_a_system_whose_scores_are_no_inner_products_is_refused(pamd):
    with pytest.raises(UserError, match="PAMD's scores are no inner products"):
        service_of(load_run(pamd))


@pytest.fixture
def blanks():
    """Six items: the vector of the last is of zeros, and the features of i4."""
    draw = torch.Generator().manual_seed(0)
    item, features = (torch.randn(6, width, generator=draw) for width in (4, 3))
    item[5], features[4] = 0, 0
    user = torch.randn(3, 4, generator=draw)
    user[2] = 0
    ids = np.array([f"i{n}" for n in range(6)])
    vectors = Vectors(np.array(["u0", "u1", "u2"]), ids, user, item)
    history = Adjacency.bipartite(torch.tensor([[0, 1], [0, 1]]), 3, 6)
    return Service("some", vectors, history, {"visual": unit_rows(features)})


@pytest.mark.parametrize(
    ("by", "blank"), [("trained", "i5"), ("visual", "i4")], ids=["vector", "features"]
)
def test_an_item_of_which_nothing_is_known_is_like_none(blanks, by, blank):
    assert blanks.similar(blank, 5, by) == []
    others = {f"i{n}" for n in range(6)} - {blank}
    for one in others:
        found = blanks.similar(one, 5, by)
        assert set(ids(found)) == others - {one}
        assert min(score for _, score in found) < 0  # 0 would not have been the last


def test_only_what_is_known_of_a_history_counts(blanks):
    item = blanks.vectors.item.double().numpy()
    score = item @ item[[0, 3]].mean(axis=0)
    found = blanks.recommend_for(["i0", "i5", "i3"], 6)
    expected = [n for n in np.argsort(-score) if n not in (0, 3, 5)]
    assert ids(found) == [f"i{n}" for n in expected]
    np.testing.assert_allclose([f.score for f in found], score[expected], rtol=1e-5)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda s: s.recommend_for(["i5", "i5"], 3), "nothing of any item of the hi"),
        (lambda s: s.recommend("u2", 3), "nothing of user 'u2' - give a history inste"),
    ],
)
def test_nobody_is_recommended_what_is_arbitrary(blanks, ask, message):
    with pytest.raises(UserError, match=f"^the system knows {message}"):
        ask(blanks)


def test_features_that_stand_in_for_missing_ones_are_not_compared(loaded):
    train = loaded.splits[0].clone()
    mask = torch.ones(train[ITEM].num_nodes, dtype=torch.bool)
    mask[9] = False
    train[ITEM][mask_key("visual")] = mask
    train[ITEM][feature_key("visual")] = train[ITEM][feature_key("visual")].clone()
    train[ITEM][feature_key("visual")][9] = 1.0
    service = service_of(replace(loaded, splits=(train, *loaded.splits[1:])))
    raw = train[ITEM].raw_id
    assert service.similar(raw[9], 6, "visual") == []
    assert raw[9] not in ids(service.similar(raw[8], 600, "visual"))
    assert len(service.similar(raw[9], 6, "textual")) == 6
