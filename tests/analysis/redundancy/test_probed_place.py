import pytest

from mmgraph.analysis.redundancy.probed_place import ProbedPlace


@pytest.mark.parametrize(
    ("place", "weights", "name"),
    [
        ("visual", None, "visual"),
        ("graph", {"a": 0.1, "textual": 0.9}, "the graph (a 0.1, textual 0.9)"),
        ("graph", dict.fromkeys("abc", 1 / 3), "the graph (a 0.33, b 0.33, c 0.33)"),
        ("concatenation", None, "all features side by side"),
    ],
)
def test_places_have_names_for_readers(place, weights, name):
    assert ProbedPlace(place, weights, []).name == name
