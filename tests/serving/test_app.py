from __future__ import annotations

import pytest

from mmgraph.serving.server import load_service

fastapi = pytest.importorskip("fastapi")
from fastapi.testclient import TestClient  # noqa: E402

from mmgraph.serving.app import MOST_BYTES, Current, create_app  # noqa: E402


@pytest.fixture(scope="module")
def current(vbpr, tmp_path_factory):
    titles = tmp_path_factory.mktemp("titles") / "titles.csv"
    titles.write_text("item_id,title\ni003,<b>Tea</b>\n")
    return Current(load_service(vbpr, titles=titles))


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


def test_ids_health_version_and_contract(client, current):
    assert client.get("/health").json() == {"status": "ok"}
    about = client.get("/version").json()
    assert about["system"] == current.service.system
    assert about["compare_by"] == ["trained", "visual", "textual"]
    assert client.get("/users?start=1&count=2").json() == ["u001", "u002"]
    items = client.get("/items?start=3&count=1").json()
    assert items == [{"item_id": "i003", "title": "<b>Tea</b>"}]
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
