from __future__ import annotations

from typing import get_type_hints

from mmgraph.data.graphs.item_graphs import GraphFacts
from mmgraph.knn.options import DOMAINS
from mmgraph.options import Option


def test_the_record_of_a_build_takes_what_the_builder_takes():
    """Two floors that may not see each other declare the same options."""
    hints = get_type_hints(GraphFacts, include_extras=True)
    shared = hints.keys() & DOMAINS.keys()
    assert shared == {"k", "metric", "nan", "duplicates", "symmetrise", "weights"}
    for name in shared:
        domains = {Option(name, each[name], None).domain for each in (hints, DOMAINS)}
        assert len(domains) == 1


def test_older_graphs_may_lack_four_facts():
    assert GraphFacts.__optional_keys__ == {"dim", "dtype", "id_column", "include_self"}
