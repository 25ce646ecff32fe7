from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmgraph.serving.server import load_service

fastapi = pytest.importorskip("fastapi")
from fastapi.testclient import TestClient  # noqa: E402

from mmgraph.serving.app import MOST_BYTES, Current, create_app  # noqa: E402
from mmgraph.serving.service import Service  # noqa: E402

PNG = b"\x89PNG\r\n\x1a\n and whatever a browser makes of it"


@pytest.fixture(scope="module")
def current(vbpr, tmp_path_factory):
    folder = tmp_path_factory.mktemp("titles")
    titles = folder / "titles.csv"
    titles.write_text("item_id,title\ni003,<b>Tea</b>\n")
    (folder / "i003.jpg").write_bytes(PNG)
    (folder / "i004.png").write_bytes(b"<svg>")
    return Current(load_service(vbpr, titles=titles, pictures=folder))


@pytest.fixture(scope="module")
def client(current):
    return TestClient(create_app(current))


def test_a_user_and_a_history(client, current):
    answer = client.post("/recommend", json={"user_id": "u004", "k": 3}).json()
    expected = current.service.recommend("u004", 3)
    assert [item["item_id"] for item in answer["items"]] == [
        e.item_id for e in expected
    ]
    assert answer["system"] == current.service.system
    body = {"history": ["i001", "i002"], "k": 600, "deny": ["i005"]}
    items = client.post("/recommend", json=body).json()["items"]
    named = {item["item_id"]: item["title"] for item in items}
    assert not {"i001", "i002", "i005"} & set(named)
    assert named["i003"] == "<b>Tea</b>"
    assert named["i004"] is None


def test_similar_items(client, current):
    answer = client.get("/similar/i007", params={"k": 4, "by": "textual"}).json()
    expected = current.service.similar("i007", 4, "textual")
    assert [item["item_id"] for item in answer["items"]] == [
        e.item_id for e in expected
    ]


@pytest.mark.parametrize("door", ["picture", "thumbnail"])
def test_a_picture_is_had_by_the_id_of_an_item_alone(client, current, door):
    answer = client.get(f"/{door}/i003")
    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'"
    for item, status, detail in (
        ("i004", 404, "no picture of this item"),
        ("i005", 404, "no picture of this item"),
        ("nobody", 404, "unknown item id 'nobody' - use an id of the catalogue"),
        ("..%2Ftitles.csv", 404, "unknown item id '../titles.csv' - use an id of"),
        ("%2Fetc%2Fpasswd", 404, "unknown item id '/etc/passwd' - use an id of the"),
        ("i003%00.png", 404, "unknown item id 'i003\\x00.png' - use an id of the"),
    ):
        answer = client.get(f"/{door}/{item}")
        assert answer.status_code == status
        assert answer.json()["detail"].startswith(detail)
    like = client.get("/similar/i003").json()
    assert like["item"] == client.get("/items?start=3&count=1").json()[0]


def test_a_thumbnail_is_small_and_the_picture_as_it_lies(current, tmp_path):
    path = tmp_path / "large.png"
    Image.new("RGB", (900, 900), "red").save(path)
    service = replace(current.service, pictures={"i003": path})
    client = TestClient(create_app(Current(service)))
    assert client.get("/picture/i003").content == path.read_bytes()
    answer = client.get("/thumbnail/i003")
    assert Image.open(io.BytesIO(answer.content)).size == (256, 256)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_addresses_of_pictures_lead_back_to_any_id(current, tmp_path):
    ids = ["a/b", "../c", "d?e=f#g", "h i%", "é", 7]
    vectors = current.service.vectors
    names = np.array(ids, dtype=object)
    vectors = replace(vectors, item_ids=names, item=vectors.item[: len(ids)])
    paths = {str(item): tmp_path / str(n) for n, item in enumerate(ids)}
    for n, path in enumerate(paths.values()):
        path.write_bytes(PNG + bytes([n]))
    client = TestClient(create_app(Current(Service("x", vectors, None, {}, {}, paths))))
    named = client.get("/items", params={"count": len(ids)}).json()
    assert [item["item_id"] for item in named] == ids
    for n, item in enumerate(named):
        assert client.get(f"/{item['picture']}").content == PNG + bytes([n])


def test_the_history_of_a_user_is_what_is_not_recommended_again(client):
    history = client.get("/history/u004", params={"count": 1000}).json()
    assert len(history) > 3
    body = {"user_id": "u004", "k": 600}
    items = client.post("/recommend", json=body).json()["items"]
    assert {item["item_id"] for item in history + items} == {
        f"i{n:03}" for n in range(600)
    }
    assert len(history) + len(items) == 600
    assert client.get("/history/u004?start=1&count=2").json() == history[1:3]
    assert client.get("/history/nobody").status_code == 404


def test_ids_health_version_and_contract(client, current):
    assert client.get("/health").json() == {"status": "ok"}
    about = client.get("/version").json()
    assert about["system"] == current.service.system
    assert about["compare_by"] == ["trained", "visual", "textual"]
    assert client.get("/users?start=1&count=2").json() == ["u001", "u002"]
    assert about["pictures"] == 2
    items = client.get("/items?start=3&count=2").json()
    assert items == [
        {"item_id": "i003", "title": "<b>Tea</b>", "picture": "picture/i003"},
        {"item_id": "i004", "title": None, "picture": None},  # none that can be shown
    ]
    assert "/recommend" in client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 422, "give either user_id or history"),
        ({"user_id": "u001", "history": ["i001"]}, 422, "give either"),
        ({"user_id": "nobody"}, 404, "unknown user id 'nobody'"),
        ({"history": ["i001", "x"]}, 404, "unknown item id 'x'"),
        ({"history": []}, 422, "the history is empty - name at least one item"),
        ({"user_id": "u001", "k": 0}, 422, "greater than or equal to 1"),
        ({"user_id": "u001", "k": 1001}, 422, "less than or equal to 1000"),
        ({"user_id": True}, 422, "valid"),
        ({"user_id": 2**70}, 404, "unknown user id"),
        ({"user_id": "a\0b"}, 404, "unknown user id"),
        ({"user_id": "u" * 2000}, 422, "at most 1000"),
        ({"history": ["i001"] * 10_001}, 422, "at most 10000"),
        ({"user_id": "u001", "allow": ["x"]}, 404, "unknown item id 'x'"),
    ],
)
def test_a_bad_question_gets_a_reason(client, body, status, message):
    answer = client.post("/recommend", json=body)
    assert answer.status_code == status
    assert message in answer.text


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{"user_id": "u001", "k": NaN}', ["body", "k"]),
        ('{"user_id": "u001", "k": 1e999}', ["body", "k"]),
        ('{"user_id": "\\ud800"}', ["body", "user_id"]),
        ('{"history": ["\\ud800"]}', ["body", "history", 0]),
        ('{"history": "\\ud800"}', ["body", "history"]),
        ('{"user_id": "u001", "deny": [NaN]}', ["body", "deny", 0]),
        ('"\\ud800"', ["body"]),
        ('{"user_id": ', ["body"]),
    ],
)
def test_what_json_cannot_hold_is_refused_and_not_sent_back(client, body, where):
    answer = client.post(
        "/recommend", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    for fault in answer.json()["detail"]:
        assert sorted(fault) == ["loc", "msg", "type"]
        assert fault["loc"][: len(where)] == where


def test_an_answer_to_a_long_mistake_is_short(client):
    body = {"user_id": "u001", "allow": "i" * 500_000}
    assert len(client.post("/recommend", json=body).content) < 500
    assert client.get("/items", params={"count": "x" * 999}).json() == {
        "detail": [
            {
                "loc": ["query", "count"],
                "msg": "Input should be a valid integer, unable to parse string as an "
                "integer",
                "type": "int_parsing",
            }
        ]
    }


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LocalHost:8000", 200),
        ("[::1]:8000", 200),
        ("shop.example", 200),
        ("evil.example", 400),
        ("localhost.evil.example:8000", 400),
        ("evil.example:localhost", 400),
        ("evil@localhost", 400),
        ("", 400),
        ("[::1", 400),
    ],
)
def test_a_host_is_one_of_those_that_are_named(current, host, status):
    app = create_app(current, {"localhost", "[::1]", "shop.example"})
    answer = TestClient(app).get("/users", headers={"Host": host})
    assert answer.status_code == status
    if status == 400:
        assert "start it with --allow-host" in answer.json()["detail"]


def test_a_body_that_is_too_large_or_of_no_size_is_not_read(client):
    answer = client.post("/recommend", content=b" " * (MOST_BYTES + 1))
    assert answer.status_code == 413
    answer = client.post("/recommend", content=iter([b"{}"]))
    assert answer.status_code == 411


@pytest.mark.parametrize("path", ["/../setup.cfg", "/page.html", "/static/x", "/docs"])
def test_no_path_leads_to_a_file(client, path):
    assert client.get(path).status_code == 404


def test_another_service_takes_over_between_two_requests(current):
    mine = Current(current.service)
    client = TestClient(create_app(mine))
    before = client.get("/version").json()["system"]
    mine.service = type(current.service)("Other", current.service.vectors, None)
    assert client.get("/version").json()["system"] == "Other" != before


def test_the_page_takes_nothing_from_elsewhere(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.text
    assert "http" not in page.text.replace("http-equiv", "")
    assert "innerHTML" not in page.text
