from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.bench.run_directory import load_run
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS
from mmgraph.serving.service import service_of
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
        unit = x / np.where(length > 0, length, 1)  # zeros: the features are missing
        cosine = unit @ unit[9]
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
