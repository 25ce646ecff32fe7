from __future__ import annotations

import pytest

from mmgraph.bench.buildable import buildable
from mmgraph.bench.config import run_config
from mmgraph.bench.spec import parse_spec
from mmgraph.data import load_dataset
from mmgraph.errors import UserError


@pytest.fixture(scope="module")
def train():
    return load_dataset("synthetic", modalities=[])[0]


def runs(*names, **settings):
    return [run_config(parse_spec(name), settings) for name in names]


def test_what_cannot_be_built_is_named_with_the_reason(train):
    able, reasons = buildable(runs("CLEAR", "MF-BPR", "LightGCN"), train)
    assert [run.label for run in able] == ["MF-BPR", "LightGCN"]
    assert list(reasons) == ["CLEAR"]
    with pytest.raises(UserError) as caught:
        buildable(runs("CLEAR"), train, must=True)
    assert caught.value.what == reasons["CLEAR"]


def test_an_option_of_the_trainer_out_of_range_is_an_error_at_once(train):
    with pytest.raises(UserError, match="lr must be positive"):
        buildable(runs("MF-BPR", lr=-1.0), train)
