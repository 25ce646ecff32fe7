from __future__ import annotations

from html.parser import HTMLParser

from mmgraph.analysis.leaderboard.html import to_html
from mmgraph.analysis.leaderboard.render import COLUMNS, cells
from mmgraph.analysis.leaderboard.table import METRICS, Leaderboard, Row


class Reader(HTMLParser):
    """Texts of the table's head and body, and the links."""

    def __init__(self):
        super().__init__()
        self.cells, self.links, self.inside = [], [], False

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag in ("td", "th"):
            self.inside = True
            self.cells.append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.cells[-1] += data


def test_the_page_is_self_contained_and_shows_the_cells_and_notes():
    row = Row("A<b>", 1, dict.fromkeys(METRICS, 0.1), None, 0.2, 3, 0.5, 1, None, {}, 0)
    text = to_html(Leaderboard("toy", [row], ["x < y"]))
    reader = Reader()
    reader.feed(text)
    assert reader.links == []
    assert reader.cells == [*COLUMNS, *cells(row)]
    assert "<title>Leaderboard: toy</title>" in text
    assert "<li>x &lt; y</li>" in text
