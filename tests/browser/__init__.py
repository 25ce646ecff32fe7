"""A page in a headless Chromium, where there is one: its trouble, what a script sees.

The page stands in a frame of the wanted width, since a window has a least width that
is more than a phone's. Nothing of it is changed but two scripts that are added: one
before all others, which collects trouble, and one at the end, which runs the probe.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason=f"no {', '.join(_NAMES)} on PATH"
)
PHONE, TABLET, DESK = 360, 768, 1280

_COLLECT = """<script>
window.trouble = [];
addEventListener("error", e => trouble.push(e.message || "not loaded: "
  + e.target.outerHTML.slice(0, 80)), true);
addEventListener("unhandledrejection", e => trouble.push(String(e.reason)));
addEventListener("securitypolicyviolation", e => trouble.push("CSP: " + e.blockedURI));
for (const level of ["error", "warn"]) {
  console[level] = (...words) => trouble.push(level + ": " + words.join(" "));
}
</script>"""
_PROBE = """<script>
addEventListener("load", () => {
  (async () => {%s})()
    .catch(error => { trouble.push(String(error)); return null; })
    .then(found => parent.postMessage(JSON.stringify({found, trouble}), "*"));
});
</script>"""
_FRAME = """<!doctype html>
<style>:root { color-scheme: light dark; } body { margin: 0; }
iframe { border: 0; display: block; height: %dpx; width: %dpx; }</style>
<script>
addEventListener("message", e => {
  const result = document.createElement("pre");
  result.id = "told";
  result.textContent = e.data;
  document.body.append(result);
});
</script>
<iframe src="%s"></iframe>"""


def browse(
    page: Path,
    folder: Path,
    script: str,
    *,
    width: int = DESK,
    dark: bool = False,
    screenshot: bool = False,
) -> Any:
    """What a script returns in a page that gave no trouble.

    Args:
        page: The HTML file, which is not touched.
        folder: For a copy of it and the browser's profile.
        script: The body of an async JavaScript function, run once all has loaded.
        width: Of the page in pixels.
        dark: Whether the reader prefers dark.
        screenshot: Also leave ``folder/screenshot.png``, for people.

    Raises:
        AssertionError: If there was an error, a warning or a forbidden request.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = with_probe(page.read_text("utf-8"), script)
    (folder / "page.html").write_text(text, "utf-8")
    (folder / "frame.html").write_text(frame_of("page.html", width), "utf-8")
    address = (folder / "frame.html").as_uri()
    return visit(address, folder, width=width, dark=dark, screenshot=screenshot)


def with_probe(text: str, script: str) -> str:
    """A page with the two scripts that :func:`visit` hears from."""
    head, _, tail = text.replace("<head>", "<head>" + _COLLECT, 1).rpartition("</body>")
    return f"{head}{_PROBE % script}</body>{tail}"


def frame_of(address: str, width: int) -> str:
    """A page that shows another, of the same origin, in a frame of some width."""
    return _FRAME % (3000, width, address)


def visit(
    address: str,
    folder: Path,
    *,
    width: int = DESK,
    dark: bool = False,
    screenshot: bool = False,
) -> Any:
    """What the script of a page :func:`with_probe` returns, as :func:`browse` has it.

    Args:
        address: URL of its frame, see :func:`frame_of`.
        folder: For the browser's profile.
        width: Of the frame in pixels.
        dark: Whether the reader prefers dark.
        screenshot: Also leave ``folder/screenshot.png``, for people.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--v=0"]
    words += [f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr"]
    words += ["--virtual-time-budget=20000", f"--window-size={max(width, 500)},3000"]
    words += ["--blink-settings=preferredColorScheme=0"] if dark else []
    words += [f"--screenshot={folder / 'screenshot.png'}"] if screenshot else []
    done = subprocess.run(
        [*words, "--dump-dom", address],
        capture_output=True,
        text=True,
        timeout=120,
    )
    told = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert told, f"the page told nothing: {done.stderr[-2000:]}"
    result = json.loads(unescape(told[1]))
    assert not result["trouble"], f"trouble in the page: {result['trouble']}"
    assert "CONSOLE" not in done.stderr, f"a message: {done.stderr[-2000:]}"
    return result["found"]
