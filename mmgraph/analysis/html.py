"""A leaderboard as one self-contained page: no script, no file from elsewhere."""

from __future__ import annotations

from html import escape
from string import Template

from mmgraph.analysis.leaderboard import Leaderboard
from mmgraph.analysis.render import COLUMNS, cells

_PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem;
         padding: 0 1rem; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th, td { border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent);
           padding: .35rem .7rem; text-align: right; white-space: nowrap; }
  th:first-child, td:first-child { text-align: left; }
  ul { max-width: 60rem; }
</style>
<h1>$title</h1>
<div class="wide"><table>
<thead><tr>$head</tr></thead>
<tbody>
$body
</tbody>
</table></div>
<ul>
$notes
</ul>
</html>
""")


def to_html(board: Leaderboard) -> str:
    """The leaderboard as an HTML page; light or dark as the reader's system is.

    Example:
        >>> "<h1>Leaderboard: a &amp; b</h1>" in to_html(Leaderboard("a & b", []))
        True
    """
    body = [_row("td", cells(row)) for row in board.rows]
    return _PAGE.substitute(
        title=escape(f"Leaderboard: {board.data}"),
        head=_cells("th", COLUMNS),
        body="\n".join(body),
        notes="\n".join(f"<li>{escape(note)}</li>" for note in board.notes),
    )


def _row(tag: str, texts: list[str]) -> str:
    return f"<tr>{_cells(tag, texts)}</tr>"


def _cells(tag: str, texts: list[str] | tuple[str, ...]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)
