from __future__ import annotations

from html.parser import HTMLParser

from mmgraph.analysis.html import to_html
from mmgraph.analysis.leaderboard import METRICS, Leaderboard, Row
from mmgraph.analysis.render import COLUMNS, cells


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.cells, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "td":
            self.cells[-1] += data


def test_the_page_is_whole_self_contained_and_shows_the_cells():
    row = Row("A<b>", 1, dict.fromkeys(METRICS, 0.1), None, 0.2, 3, 0.5, 1, None, {}, 0)
    reader = Reader()
    reader.feed(to_html(Leaderboard("toy", [row], ["x < y"])))
    assert reader.open == []
    assert reader.links == []
    assert reader.cells == cells(row)
    assert len(cells(row)) == len(COLUMNS)
