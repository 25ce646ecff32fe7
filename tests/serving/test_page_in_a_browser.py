"""The page of a served system, as a reader's browser shows it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from importlib.resources import files

import pytest
from browser import (
    DESK,
    PHONE,
    TABLET,
    frame_of,
    needs_chromium,
    visit,
    with_probe,
)
from PIL import Image

from mmgraph.data import load_dataset
from mmgraph.schema import INTERACTS
from mmgraph.serving.server import bound_socket, load_service

pytest.importorskip("fastapi")
from fastapi.responses import HTMLResponse

uvicorn = pytest.importorskip("uvicorn")
from mmgraph.serving import app as app_module  # noqa: E402
from mmgraph.serving.app import Current, create_app  # noqa: E402

pytestmark = needs_chromium

LONG = "A very long title " * 10
# Waits for what a press leads to, and looks at it.
USE = """
  const at = id => document.getElementById(id);
  const until = async ready => {
    while (!ready()) await new Promise(resume => setTimeout(resume, 5));
  };
  const lists = () => [...document.querySelectorAll("section")].map(section => ({
    heading: section.querySelector("h2").textContent,
    items: [...section.querySelectorAll("li")].map(row => [
      row.querySelector("button").textContent,
      row.querySelector(".number").textContent])}));
  const send = async (id, field, value) => {
    at("answer").replaceChildren();
    at("fault").textContent = "";
    at(id).elements[field].value = value;
    at(id).requestSubmit();
    await until(() => at("answer").children.length || at("fault").textContent);
    return {fault: at("fault").textContent, lists: lists()};
  };
  await until(() => at("answer").children.length);
  const root = document.documentElement;
  const wide = [];
  const measure = () => wide.push(root.scrollWidth - innerWidth);
  const found = {title: document.title, sizes: at("sizes").textContent, first: lists()};
  measure();
  found.user = await send("of-user", "id", "u004");
  measure();
  found.history = await send("of-history", "ids", "i001, i002,");
  found.unknown = await send("of-user", "id", "nobody");
  measure();
  found.item = await send("of-item", "id", "i007");
  // Not decode(): it waits for nothing of the net, and the time that is lent ends.
  await Promise.all([...document.images].filter(image => !image.complete).map(
    image => new Promise(resume => image.addEventListener("load", resume))));
  found.pictures = [...document.querySelectorAll(".picture")].map(shown => [
    shown.parentNode.textContent.match(/i\\d{3}/)[0],
    shown.naturalWidth ?? "none", shown.getBoundingClientRect().width]);
  measure();
  at("answer").querySelector("li button").click();
  const heading = lists()[0].heading;
  await until(() => lists()[0].heading !== heading);
  found.pressed = lists()[0].heading;
  const button = document.querySelector("form button").getBoundingClientRect();
  return {...found, wide, width: innerWidth, button: [button.left, button.right],
          dark: matchMedia("(prefers-color-scheme: dark)").matches};
"""


def frame(width: int) -> str:
    """The page in a frame, under the same address as itself."""
    return frame_of("/", width)


@contextmanager
def served(service):
    """The address of a service on loopback."""
    with bound_socket("127.0.0.1", 0) as bound:
        app = create_app(Current(service))
        app.get("/frame/{width}", response_class=HTMLResponse)(frame)
        config = uvicorn.Config(app, log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()


@pytest.mark.parametrize(
    ("width", "dark"), [(DESK, False), (TABLET, True), (PHONE, False)]
)
def test_the_page_answers_questions(vbpr, tmp_path, monkeypatch, width, dark):
    titles = tmp_path / "titles.csv"
    titles.write_text(f"item_id,title\ni003,<b>Tea</b>\ni001,{LONG}\n")
    photos = tmp_path / "photos"
    photos.mkdir()
    for n in range(1, 600, 2):
        Image.new("RGB", (40, 10), "red").save(photos / f"i{n:03}.png")
    (photos / "i008.png").write_text("not a picture")
    service = load_service(vbpr, titles=titles, pictures=photos)
    page = files("mmgraph.serving").joinpath("page.html").read_text("utf-8")
    (tmp_path / "page.html").write_text(with_probe(page, USE), "utf-8")
    monkeypatch.setattr(app_module, "_PAGE", tmp_path / "page.html")
    with served(service) as address:
        folder = tmp_path / "browser"
        found = visit(f"{address}frame/{width}", folder, width=width, dark=dark)
    assert (found["width"], found["dark"]) == (width, dark)
    assert max(found["wide"]) <= 0  # nothing is cut, and nothing scrolls sideways
    left, right = found["button"]
    assert 0 <= left < right <= width

    def shown(items):
        return [
            [f"{t} ({i})" if (t := service.title(i)) else str(i), f"{score:.4f}"]
            for i, score in items
        ]

    assert found["title"] == f"mmgraph: {service.system}"
    assert found["sizes"].startswith("1,000 users, 600 items, mmgraph ")

    def lists(user):
        train = load_dataset("synthetic")[0]
        row = train["user"].raw_id.tolist().index(user)
        own = train[INTERACTS].edge_index
        has = sorted(train["item"].raw_id[own[1, own[0] == row].numpy()])[:20]
        names = [name for name, _ in shown([(item, 0) for item in has])]
        return [
            {"heading": f"For {user}", "items": shown(service.recommend(user, 20))},
            {"heading": f"What {user} has", "items": [[name, ""] for name in names]},
        ]

    assert found["first"] == lists("u000")
    assert found["user"] == {"fault": "", "lists": lists("u004")}
    (liked,) = found["history"]["lists"]
    assert liked["items"] == shown(service.recommend_for(["i001", "i002"], 20))
    assert found["unknown"]["lists"] == []
    assert "nobody" in found["unknown"]["fault"]
    assert found["item"]["lists"] == [
        {
            "heading": f"Like i007, by {by}",
            "items": shown(service.similar("i007", 10, by)),
        }
        for by in ("trained", "visual", "textual")
    ]
    by_each = [service.similar("i007", 10, by) for by in service.compare_by]
    listed = [item for similar in by_each for item, _ in similar]
    assert found["pictures"] == [
        [item, 40 if int(item[1:]) % 2 else "none", 96 if n == 0 else 48]
        for n, item in enumerate(["i007", *listed])
    ]
    nearest = service.similar("i007", 10, "trained")[0].item_id
    assert found["pressed"] == f"Like {nearest}, by trained"
