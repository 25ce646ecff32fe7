from __future__ import annotations

import base64
import csv
import io
from html.parser import HTMLParser

import pytest
from browser import PHONE, browse, needs_chromium

from mmgraph.analysis.report.page import (
    LONGEST_TABLE,
    Figure,
    Section,
    page,
)
from mmgraph.analysis.report.table import Table

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">'
    b'<rect width="40" height="20" fill="teal"/></svg>'
)
POINTS = Table(["k", "R@20"], [[2, 0.1], [4, 0.25]])
SYSTEMS = Table(
    ["System", "R@20", "p", "Epochs"],
    [
        ["VBPR", "0.0663 ± 0.0012", "", "1,024"],
        ["<b>SEA</b>", "0.1033 ± 0.0008", "< 0.001", "107"],
        ["MF-BPR", "0.0575", "0.25", "58"],
    ],
    caption="Systems & metrics",
)
VOID = {"meta", "img", "br", "wbr"}


class Reader(HTMLParser):
    """Tags that are still open, links, and the images."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.ids, self.images = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.links += [attributes[n] for n in ("src", "href") if n in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag == "img":
            self.images.append(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def example():
    figure = Figure(SVG, "image/svg+xml", "A teal <bar>", "Recall by k.", POINTS)
    return page(
        "A & B",
        [
            Section("First", ["1 < 2"], [SYSTEMS], [figure], ["a note"]),
            Section("Second", tables=[POINTS]),
        ],
    )


def test_a_page_is_well_formed_and_links_nowhere():
    reader = Reader(example())
    assert reader.open == []
    assert [link for link in reader.links if not link.startswith(("data:", "#"))] == []
    anchors = [link[1:] for link in reader.links if link.startswith("#")]
    assert anchors == ["section-1", "section-2"]
    assert set(anchors) <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))


def test_text_is_escaped_wherever_it_comes_from():
    text = example()
    assert "<h1>A &amp; B</h1>" in text
    assert "<p>1 &lt; 2</p>" in text
    assert "&lt;b&gt;SEA&lt;<wbr>/b&gt;" in text
    assert 'alt="A teal &lt;bar&gt;"' in text
    assert "<caption>Systems &amp; metrics</caption>" in text
    assert "<li>a note</li>" in text


def test_images_and_their_data_travel_inside_the_page():
    reader = Reader(example())
    (image,) = reader.images
    kind, _, content = image["src"].partition(";base64,")
    assert kind == "data:image/svg+xml"
    assert base64.b64decode(content) == SVG
    (link,) = (link for link in reader.links if link.startswith("data:text/csv"))
    text = base64.b64decode(link.partition(";base64,")[2]).decode()
    assert list(csv.reader(io.StringIO(text))) == [
        ["k", "R@20"],
        ["2", "0.1"],
        ["4", "0.25"],
    ]


def test_facts_stand_under_the_title_and_are_escaped():
    text = page("t", [Section("s")], {"Command": "a <b>", "Written": "today"})
    head, _, _ = text.partition("<main>")
    assert "<dt>Command</dt><dd>a &lt;b&gt;</dd>" in head
    assert "<dt>Written</dt><dd>today</dd>" in head
    assert "<dl" not in page("t", [Section("s")])


def test_a_column_in_which_nothing_stands_is_left_out():
    table = Table(["a", "b", "c"], [["x", None, ""], ["y", "", 1]])
    text = page("t", [Section("s", tables=[table])])
    assert text.count('<th scope="col"') == 2
    assert ">b</th>" not in text


def test_long_data_are_a_file_only():
    long = Table(["x"], [[n] for n in range(LONGEST_TABLE + 1)])
    for data, tables in ((long, 0), (Table(["x"], long.rows[1:]), 1)):
        figure = Figure(SVG, "image/svg+xml", "alt", "caption", data)
        text = page("t", [Section("s", figures=[figure])])
        assert text.count("<tbody>") == tables
        assert f"({len(data.rows)} rows)" in text


def test_one_section_has_no_contents_and_a_table_without_rows_says_so():
    text = page("t", [Section("", tables=[Table(["a"], [], caption="Empty.")])])
    assert "<nav" not in text
    assert "<h2>" not in text
    assert "<p>Empty. No rows.</p>" in text


def test_mistakes_of_the_caller_are_refused():
    with pytest.raises(ValueError, match=r"one of .* \(got 'image/gif'\)"):
        Figure(b"", "image/gif", "alt", "caption")
    with pytest.raises(ValueError, match="needs a text for those who cannot see it"):
        Figure(SVG, "image/svg+xml", "", "caption")


# In a browser; tests/cli/test_report_in_a_browser.py opens the reports of the CLI. ----

PRESS = """
  const column = n => [...document.querySelectorAll("table")[1].tBodies[0].rows]
    .map(row => row.cells[n].textContent);
  const heads = [...document.querySelectorAll("table")[1].tHead.rows[0].cells];
  const press = n => { heads[n].querySelector("button").click(); return [
    column(n), heads.map(head => head.getAttribute("aria-sort"))]; };
  return {
    numbers: press(1), again: press(1), text: press(0), empty: press(2), last: press(2),
    grouped: press(3),
    images: [...document.images].map(image => [image.complete, image.naturalWidth]),
    focusable: heads.every(head => head.querySelector("button").tabIndex === 0),
    width: innerWidth,
    overflow: document.documentElement.scrollWidth
      - document.documentElement.clientWidth,
  };
"""


@needs_chromium
def test_a_browser_opens_the_page_without_an_error_and_sorts_it(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(example())
    found = browse(path, tmp_path / "browser", PRESS, width=PHONE)
    assert found["images"] == [[True, 40]]
    assert found["focusable"] is True
    assert found["width"] == PHONE
    assert found["overflow"] == 0  # on a phone the tables scroll, not the page

    low, high = ["0.0575", "0.0663 ± 0.0012", "0.1033 ± 0.0008"], "descending"
    assert found["numbers"] == [low, [None, "ascending", None, None]]
    assert found["again"] == [low[::-1], [None, high, None, None]]
    assert found["text"][0] == ["<b>SEA</b>", "MF-BPR", "VBPR"]
    assert found["text"][1] == ["ascending", None, None, None]
    assert found["empty"][0] == ["< 0.001", "0.25", ""]
    assert found["last"][0] == ["0.25", "< 0.001", ""]
    assert found["grouped"][0] == ["58", "107", "1,024"]


@needs_chromium
def test_a_word_longer_than_a_line_is_broken_on_a_phone(tmp_path):
    long = "a/folder" * 30
    data = Table(["x"], [[1]], caption=long)
    figure = Figure(SVG, "image/svg+xml", "alt", long, data)
    path = tmp_path / "page.html"
    sections = [Section(long, [long], [data], [figure], [long]), Section("b")]
    path.write_text(page(long, sections))
    script = "return document.documentElement.scrollWidth - innerWidth"
    assert browse(path, tmp_path / "browser", script, width=PHONE) <= 0


@needs_chromium
@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("<script>missing.call()</script>", "missing is not defined"),
        ("<script>console.error('so bad')</script>", "error: so bad"),
        ('<img src="there.png" alt="">', "CSP: "),
    ],
)
def test_trouble_in_a_page_is_told(tmp_path, mistake, message):
    path = tmp_path / "page.html"
    path.write_text(example().replace("<main>", "<main>" + mistake))
    with pytest.raises(AssertionError, match=message):
        browse(path, tmp_path / "browser", "return 1")
