from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "benchmarks" / "mutation.py"))


def test_every_scope_names_files_and_tests_that_exist():
    for mutated, tests in SCRIPT["SCOPES"].values():
        assert all(any((ROOT / "mmgraph").glob(name)) for name in mutated)
        assert all((ROOT / "tests" / name).exists() for name in tests)


def test_what_no_test_noticed_is_counted_by_file_and_named():
    lines = [
        ("mmgraph.a.x_f__mutmut_1", "killed"),
        ("mmgraph.a.x_f__mutmut_2", "timeout"),
        ("mmgraph.a.x_f__mutmut_3", "segfault"),
        ("mmgraph.b.x_g__mutmut_1", "survived"),
        ("mmgraph.b.x_g__mutmut_2", "no tests"),
        ("mmgraph.b.x_g__mutmut_3", "killed"),
        ("mmgraph.b.x_g__mutmut_4", "not checked"),
        ("mmgraph.c.x_h__mutmut_1", "not checked"),
    ]
    assert SCRIPT["report"](lines).splitlines()[2:] == [
        "| mmgraph.a | 3 | 2 | 1 | 0 | 0 | 100.0% |",
        "| mmgraph.b | 3 | 1 | 0 | 1 | 1 | 33.3% |",
        "| all | 6 | 3 | 1 | 1 | 1 | 66.7% |",
        "",
        "survived: mmgraph.b.x_g__mutmut_1",
        "no tests: mmgraph.b.x_g__mutmut_2",
    ]
