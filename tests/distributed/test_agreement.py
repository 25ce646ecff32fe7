from __future__ import annotations

import pytest

from mmgraph.distributed import agreement
from mmgraph.errors import UserError


def test_the_first_difference_is_named(monkeypatch):
    said = [{"data": "a", "seed": 1}, {"data": "a", "seed": 1}, {"data": "a"}]
    monkeypatch.setattr(agreement, "words_of_all", lambda facts: said)
    with pytest.raises(UserError) as error:
        agreement.check_agreement(said[0])
    assert str(error.value) == (
        "process 2 has seed None, process 0 1 - start all processes with the same "
        "command, data and versions"
    )


def test_one_process_agrees():
    agreement.check_agreement({"data": "a"})
