from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmgraph.analysis.redundancy.clear_options import clear_options
from mmgraph.analysis.redundancy.diagnosis import Diagnosis, diagnose
from mmgraph.analysis.redundancy.page import diagnosis_page
from mmgraph.analysis.redundancy.probe import Probe
from mmgraph.analysis.redundancy.probed_place import ProbedPlace, ProbePoint
from mmgraph.analysis.redundancy.projection_cost import Cost
from mmgraph.bench.config import check_values
from mmgraph.bench.spec import ModelSpec
from mmgraph.data import FeatureRows


@pytest.fixture(scope="module")
def plain():
    """A pair with two clear, well correlated shared directions, and nothing odd."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(600, 2))
    rows = {}
    for name, dim in (("visual", 8), ("textual", 6)):
        x = np.linalg.qr(rng.normal(size=(dim, 2)))[0] @ z.T
        rows[name] = FeatureRows((x.T + rng.normal(size=(600, dim)) / 3).astype("f4"))
    return diagnose(rows)


def names(options):
    return [each.options for each in options]


def of_pair(diagnosis, **changes):
    pair = replace(diagnosis.pairs[0], **changes)
    return clear_options({}, [pair], None)


def test_plain_data_suggest_nothing_else(plain):
    assert plain.pairs[0].suggested_rank == 2
    assert plain.clear_options == []
    assert "Options of CLEAR" not in diagnosis_page(plain, "toy")


def test_a_common_vector_suggests_centring(plain):
    rows = np.random.default_rng(1).normal(size=(600, 8)) + 9
    found = diagnose({"visual": FeatureRows(rows.astype("f4"))})
    assert names(found.clear_options) == [
        {"center_output": True},
        {"feature_scale": "standardized"},
    ]
    assert "99 % of the squared length of visual" in found.clear_options[0].reason
    page = diagnosis_page(found, "toy")
    assert "center_output=true" in page.replace("<wbr>", "")
    assert found.to_dict()["clear_options"][0]["options"] == {"center_output": True}


def test_loud_directions_suggest_those_of_the_correlation(plain):
    (option,) = of_pair(plain, correlations=[0.41, 0.3])
    assert option.options == {"directions": "canonical"}
    assert "correlate by 0.41 at most" in option.reason
    assert of_pair(plain, correlations=[0.5, 0.3]) == []


def test_a_smooth_spectrum_suggests_the_effective_rank(plain):
    (option,) = of_pair(plain, rank_is_clear=False, effective_rank=3.14)
    assert option.options == {"effective_rank": True}
    assert "effective rank is 3.1" in option.reason
    assert of_pair(plain, rank_is_clear=False, suggested_rank=0) == []


def test_a_modality_that_would_lose_most_is_spared(plain):
    cost = Cost(2, 0.9, {"visual": 0.7, "textual": 0.2}, 0.9, {})
    (option,) = of_pair(plain, costs=[replace(cost, rank=1), cost])
    assert option.options == {"sides": "textual"}
    assert "takes 70 % of the variance of visual and 20 %" in option.reason
    both = replace(cost, energy_removed={"visual": 0.7, "textual": 0.3})
    assert of_pair(plain, costs=[both]) == []


def probe(difference):
    points = [
        ProbePoint(0, 0.0, 0.2, 0.0, 0.01),
        ProbePoint(4, 0.9, 0.2 + difference, difference, 0.001),
    ]
    places = [ProbedPlace("graph", {"visual": 0.1, "textual": 0.9}, points)]
    places.append(ProbedPlace("concatenation", None, points))
    return Probe("recall@20", "valid", 10, 99, places, "")


def test_a_gain_of_the_graph_suggests_to_project_it():
    (option,) = clear_options({}, [], probe(0.05))
    assert option.options == {"graph_rank": 4, "graph_strength": 0.9}
    assert "the graph (visual 0.1, textual 0.9) gains 0.0500" in option.reason
    assert clear_options({}, [], probe(0.0005)) == []  # noise
    assert clear_options({}, [], probe(-0.05)) == []


def test_every_option_is_one_of_clear(plain):
    pair = replace(plain.pairs[0], correlations=[0.1], rank_is_clear=False)
    options = clear_options(plain.modalities, [pair], probe(0.05))
    assert len(options) == 3
    for option in options:
        check_values(option.options, [ModelSpec("CLEAR")])
    assert Diagnosis({}, [], [], {}).clear_options == []
