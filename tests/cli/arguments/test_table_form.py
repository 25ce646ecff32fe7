from __future__ import annotations

import pytest

from mmgraph.cli.arguments.table_form import table_form
from mmgraph.data.formats.tables.table_format import TableFormat
from mmgraph.errors import UserError


def test_columns_without_a_name_are_left_to_their_usual_ones():
    form = table_form(
        "tab", "latin-1", header=False, times="%Y", id="sku", title=None, picture=None
    )
    assert form == TableFormat({"id": "sku"}, "tab", "latin-1", False, "%Y")
    assert table_form(None, "utf-8", user=None) == TableFormat()


def test_what_cannot_separate_is_refused():
    with pytest.raises(UserError, match="'' cannot separate columns"):
        table_form("", "utf-8")
