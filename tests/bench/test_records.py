from __future__ import annotations

from typing import get_type_hints

from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import popularity_line, run_experiment
from mmgraph.bench.records import GridPoint, ResultLine, RunInfo
from mmgraph.bench.spec import parse_spec
from mmgraph.options import fits


def test_lines_have_the_keys_and_types_of_the_record(splits):
    run = run_config(parse_spec("MF-BPR:embedding_dim=4,epochs=1"))
    where = {"data": "toy", "data_sha256": "0"}
    trained = run_experiment(run, splits, device="cpu", **where).line
    kinds = get_type_hints(ResultLine)
    for line in (trained, popularity_line(splits, **where)):
        assert line.keys() == ResultLine.__required_keys__
        for name, value in line.items():
            assert fits(value, kinds[name]), name


def test_run_json_is_a_line_of_results_and_where_the_data_are():
    more = {"status", "data_location", "split_rule", "split_seed"}
    assert RunInfo.__required_keys__ == ResultLine.__required_keys__ | more
    assert GridPoint.__optional_keys__ == {"best_epoch", "epochs", "error"}
