"""The reports of all commands that write one, as a reader's browser shows them."""

from __future__ import annotations

import pytest
from browser import DESK, PHONE, TABLET, browse, needs_chromium

from mmgraph.cli import main

pytestmark = needs_chromium

QUICK = ["--device", "cpu", "--quiet"]
TINY = ["--set", "embedding_dim=8", "--epochs", "2", *QUICK]
FIGURES = {"bench": 2, "reproduce": 4, "diagnose": 5, "knn": 2}

LOOK = """
  // Of tables that are seen at once: how much is cut, and what stays when one scrolls.
  const seen = [...document.querySelectorAll(".wide")]
    .filter(box => !box.closest("details"));
  const cut = seen.map(box => box.scrollWidth - box.clientWidth);
  const stays = seen.map(box => {
    const first = box.querySelector("tbody th");
    const place = () => first.getBoundingClientRect().left;
    const before = place();
    box.scrollLeft = 1e6;
    const moved = [box.scrollLeft, place() - before];
    box.scrollLeft = 0;
    return moved;
  });
  for (const details of document.querySelectorAll("details")) details.open = true;
  const root = document.documentElement, patch = document.createElement("p");
  patch.style.background = "Canvas";
  document.body.append(patch);
  const colours = {text: getComputedStyle(document.body).color,
                   ground: getComputedStyle(patch).backgroundColor};
  patch.remove();
  const size = node => {
    const box = node.getBoundingClientRect();
    return [box.width, box.height, box.right];
  };
  const tables = [...document.querySelectorAll("table")].map(table =>
    [...table.tHead.rows[0].cells].map((head, n) => {
      const press = () => {
        head.querySelector("button").click();
        return {sorted: head.getAttribute("aria-sort"),
                others: table.querySelectorAll("[aria-sort]").length,
                cells: [...table.tBodies[0].rows].map(row => [
                  row.cells[n].textContent, row.cells[n].dataset.value ?? null])};
      };
      return [press(), press()];
    }));
  return {
    width: innerWidth,
    overflow: root.scrollWidth - root.clientWidth,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    colours, tables, cut, stays,
    facts: [...document.querySelectorAll(".made dt")].map(term => term.textContent),
    images: [...document.images].map(image => ({
      loaded: image.complete, natural: image.naturalWidth, size: size(image),
      alt: image.alt, ground: getComputedStyle(image).backgroundColor,
      filter: getComputedStyle(image).filter})),
    drawings: [...document.querySelectorAll("svg")].map(size),
  };
"""


@pytest.fixture(scope="module")
def reports(catalogue, tmp_path_factory):
    """Path of a report by command."""
    out = tmp_path_factory.mktemp("reports")
    data = ["--data", str(catalogue)]
    bench = ["MF-BPR", "VBPR", "VBPR+CLEAR:rank=2", "--seeds", "2"]
    names = ["clear-figure3", "clear-figure5", "--seeds", "1", "--set", "rank=2"]
    for command, *words in (
        ["bench", *bench, *TINY],
        ["reproduce", *names, *TINY],
        ["diagnose", *QUICK],
    ):
        assert main([command, *words, *data, "--out", str(out / command)]) == 0
    files = [str(catalogue / f"{name}.npz") for name in ("visual", "textual")]
    (out / "knn").mkdir()
    report = ["--report", str(out / "knn" / "report.html"), *QUICK]
    graph = str(out / "knn" / "graph.pt")
    assert main(["knn", "build", *files, "--out", graph, *report]) == 0
    return {command: out / command / "report.html" for command in FIGURES}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [DESK, TABLET, PHONE])
@pytest.mark.parametrize("command", FIGURES)
def test_a_report_is_whole_in_a_browser(reports, tmp_path, command, width, dark):
    found = browse(reports[command], tmp_path, LOOK, width=width, dark=dark)
    assert (found["width"], found["dark"]) == (width, dark)
    assert found["overflow"] <= 0  # tables scroll by themselves, the page never
    assert found["facts"] == ["Written", "Command", "Versions"]
    if width == DESK:
        assert max(found["cut"]) <= 0
    if width == PHONE:
        assert max(scrolled for scrolled, _ in found["stays"]) > 0
    assert all(abs(moved) < 1 for _, moved in found["stays"])

    text, ground = (brightness(found["colours"][key]) for key in ("text", "ground"))
    assert (text > ground) == dark
    lighter, darker = max(text, ground), min(text, ground)
    assert (lighter + 0.05) / (darker + 0.05) >= 7  # the stricter level of WCAG

    assert len(found["images"]) + len(found["drawings"]) == FIGURES[command]
    for image in found["images"]:
        assert image["loaded"]
        assert image["natural"] > 0
        assert image["alt"]
        # Black axes show on it; where the reader prefers dark, all is turned around.
        assert brightness(image["ground"]) == 1
        assert ("invert" in image["filter"]) == dark
        shown_width, height, right = image["size"]
        assert shown_width > 0 < height
        assert right <= width

    assert found["tables"]
    for table in found["tables"]:
        for presses in table:
            check_sorted(presses)


def check_sorted(presses):
    """Ascending, then descending; numbers before words, what is empty last."""
    for press, direction in zip(presses, ("ascending", "descending"), strict=True):
        assert (press["sorted"], press["others"]) == (direction, 1)
        cells = press["cells"]
        filled = [value for text, value in cells if text]
        assert [bool(text) for text, _ in cells] == sorted(
            (bool(text) for text, _ in cells), reverse=True
        )
        numbers = [float(value) for value in filled if value is not None]
        assert numbers == sorted(numbers, reverse=direction == "descending")
        assert [value is None for value in filled] == sorted(v is None for v in filled)
    one, other = (sorted(map(str, press["cells"])) for press in presses)
    assert one == other  # no row is lost


def brightness(colour):
    """Relative luminance of ``rgb(r, g, b)``, as WCAG has it."""
    parts = [int(part) / 255 for part in colour.strip("rgb()").split(",")]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_black_on_white_is_the_most_contrast():
    assert (brightness("rgb(0, 0, 0)"), brightness("rgb(255, 255, 255)")) == (0, 1)
