from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mmgraph.analysis.report.provenance import provenance
from mmgraph.bench.versions import versions


def test_a_report_says_when_by_which_command_and_with_what_it_was_made():
    facts = provenance("mmgraph knn build x.npy")
    written = datetime.strptime(facts["Written"], "%Y-%m-%d %H:%M %Z")
    assert abs(datetime.now(UTC).replace(tzinfo=None) - written) < timedelta(minutes=2)
    assert facts["Command"] == "mmgraph knn build x.npy"
    for name, version in versions().items():
        assert f"{name} {version}" in facts["Versions"].split(", ")


def test_without_a_command_none_is_told():
    assert list(provenance()) == ["Written", "Versions"]


def test_versions_are_those_of_the_runs_all_where_they_differ():
    lines = [
        {"versions": {"mmgraph": "0.5.0", "torch": "2.13.0"}},
        {"versions": {"mmgraph": "0.4.0", "torch": "2.13.0", "numpy": "2.0"}},
    ]
    found = provenance(None, lines)["Versions"]
    assert found == "mmgraph 0.4.0 / 0.5.0, torch 2.13.0, numpy 2.0"
