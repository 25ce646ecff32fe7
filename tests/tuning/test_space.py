from __future__ import annotations

import pytest

from mmgraph.bench.spec import ModelSpec
from mmgraph.errors import UserError
from mmgraph.tuning.space import Interval, as_json, default_space, parse_space

LIGHTGCN = ModelSpec("LightGCN")


def test_intervals_and_lists():
    words = ["lr=1e-4..1e-2", "num_layers=1..4", "embedding_dim=[32,64]"]
    space = parse_space(words, LIGHTGCN)
    assert space == {
        "lr": Interval(1e-4, 1e-2),
        "num_layers": Interval(1, 4),
        "embedding_dim": [32, 64],
    }
    assert as_json(space)["num_layers"] == "1..4"


@pytest.mark.parametrize(
    ("interval", "integer", "logarithmic"),
    [
        (Interval(1, 100), True, False),
        (Interval(0.01, 0.1), False, True),
        (Interval(0.02, 0.1), False, False),
        (Interval(0.0, 0.1), False, False),
        (Interval(1, 2.5), False, False),
    ],
)
def test_how_a_number_is_drawn(interval, integer, logarithmic):
    assert interval.is_integer is integer
    assert interval.is_logarithmic is logarithmic


def test_by_default_the_learning_rate_and_the_penalty_where_there_is_one():
    assert list(default_space(LIGHTGCN)) == ["lr", "reg_weight"]
    assert list(default_space(ModelSpec("MMGCN"))) == ["lr", "reg_weight"]
    assert parse_space([], LIGHTGCN) == default_space(LIGHTGCN)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("lr", "cannot read|no '='|option"),
        ("lr=1e-3", r"cannot read --search 'lr=1e-3' - write OPTION=LOW..HIGH"),
        ("lr=[]", r"cannot read --search 'lr=\[\]'"),
        ("lr=1e-2..1e-3", "cannot read --search"),
        ("lr=a..b", "cannot read --search"),
        ("lr=true..3", "cannot read --search"),
        ("lr=-1..1", "'lr' must be above 0"),
        ("num_layers=[1,-2]", "'num_layers' must be"),
        ("layers=1..3", "unknown option 'layers'"),
    ],
)
def test_what_is_no_space_is_refused(word, message):
    with pytest.raises(UserError, match=message):
        parse_space([word], LIGHTGCN)
