from __future__ import annotations

import random
import runpy
from pathlib import Path

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "malformed.py"))


def test_damaged_inputs_of_every_kind_are_refused_in_one_line(tmp_path):
    (tmp_path / "good").mkdir()
    draw, number = random.Random(0), 4
    for title, kind in SCRIPT["good_inputs"](tmp_path / "good").items():
        found = SCRIPT["Found"]()
        for n in range(number):
            (tmp_path / f"{title} {n}").mkdir()
            SCRIPT["judge"](kind, draw, found, tmp_path / f"{title} {n}")
        assert found.refused + found.accepted == number, found.messages
        assert found.tracebacks == found.unexpected == found.without_path == 0, found
