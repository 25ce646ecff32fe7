from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")

from mmgraph.cli import main  # noqa: E402

MAIN = "import sys; from mmgraph.cli import main; sys.exit(main())"


JPEG = b"\xff\xd8\xff what a camera made"


@contextmanager
def serving(*words, code=MAIN):
    """A process that serves, and its address."""
    words = ["serve", *map(str, words), "--port", "0", "--every", "0.05", "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield process, re.search(r"http://\S+", line).group()
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def served(run, tmp_path):
    """The folder that a process serves, its address, and the process."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "tea.jpg").write_bytes(JPEG)
    rows = ["sku;nom;photo", "i07;Thé;tea.jpg", "i07;Thé vert;", "i08;Lait;lost.jpg"]
    (tmp_path / "items.txt").write_text("\n".join(rows), "latin-1")
    words = ["--titles", tmp_path / "items.txt", "--item-col", "sku"]
    words += ["--title-col", "nom", "--picture-col", "photo", "--sep", ";"]
    words += ["--encoding", "latin-1", "--duplicates", "first"]
    words += ["--pictures", tmp_path / "photos"]
    with serving(folder, *words) as (process, url):
        yield folder, url, process


def test_a_process_answers_over_the_wire_and_ends_on_sigterm(served, run, tmp_path):
    _, url, process = served
    answer = httpx.post(f"{url}/recommend", json={"user_id": "u01", "k": 5}, timeout=60)
    words = ["--users", "u01", "--k", "5", "--out", str(tmp_path / "a.csv"), "--quiet"]
    assert main(["recommend", str(run), *words]) == 0
    rows = (tmp_path / "a.csv").read_text().splitlines()[1:]
    items = [item["item_id"] for item in answer.json()["items"]]
    assert items == [row.split(",")[1] for row in rows]
    shown = httpx.get(f"{url}/items?start=7&count=2", timeout=60).json()
    assert shown == [
        {"item_id": "i07", "title": "Thé", "picture": "picture/i07"},
        {"item_id": "i08", "title": "Lait", "picture": None},
    ]
    assert httpx.get(f"{url}/picture/i07", timeout=60).content == JPEG
    assert httpx.get(f"{url}/picture/i08", timeout=60).status_code == 404
    assert "<title>mmgraph</title>" in httpx.get(f"{url}/", timeout=60).text
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in err


def test_no_request_is_lost_while_a_new_run_is_taken_over(served, catalogue, tmp_path):
    folder, url, _ = served
    other = tmp_path / "other"
    words = ["train", "MF-BPR:embedding_dim=4,epochs=1", "--data", str(catalogue)]
    assert main([*words, "--out", str(other), "--device", "cpu", "--quiet"]) == 0
    answers, over = [], threading.Event()

    def ask():
        with httpx.Client(timeout=60) as client:
            while not over.is_set():
                body = {"user_id": "u01", "k": 5}
                answers.append(client.post(f"{url}/recommend", json=body))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        end = time.monotonic() + 60
        while not answers:
            assert time.monotonic() < end
            time.sleep(0.01)
        folder.rename(tmp_path / "old")
        other.rename(folder)
        while "embedding_dim=4" not in ((answers and answers[-1].text) or ""):
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        over.set()
        thread.join()
    assert {answer.status_code for answer in answers} == {200}
    assert "embedding_dim=8" in answers[0].text


def asked_for(url, host):
    answer = httpx.get(f"{url}/users", headers={"Host": host}, timeout=60)
    return answer.status_code


def has_ipv6():
    with suppress(OSError), socket.socket(socket.AF_INET6) as bound:
        bound.bind(("::1", 0))
        return True
    return False


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        pytest.param(
            "::1", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
        ),
    ],
)
def test_on_loopback_a_page_of_another_name_reads_nothing(run, address):
    words = [
        "--host",
        address,
        "--allow-host",
        "Shop.example",
        "--allow-host",
        "10.1.2.3",
    ]
    with serving(run, *words) as (process, url):
        port = url.rpartition(":")[2]
        assert httpx.get(f"{url}/users", timeout=60).status_code == 200
        for name in ("127.0.0.1", "localhost", "[::1]", "shop.example", "10.1.2.3"):
            assert (name, asked_for(url, f"{name}:{port}")) == (name, 200)
        for name in ("evil.example", "localhost.evil.example", "shop.example.evil"):
            assert (name, asked_for(url, f"{name}:{port}")) == (name, 400)
        body = '{"user_id": "\\ud800", "k": NaN}'
        for path in ("similar/%ED%A0%80", "similar/i07?by=%FF", "history/%FF"):
            answer = httpx.get(f"{url}/{path}", timeout=60)
            assert (path, answer.status_code) in [(path, 404), (path, 422)]
        answer = httpx.post(f"{url}/recommend", content=body, timeout=60)
        assert answer.status_code == 422
        process.send_signal(signal.SIGTERM)
        assert "Traceback" not in process.communicate(timeout=60)[1]


def test_on_an_address_that_others_can_reach_any_name_will_do(run):
    with serving(run, "--host", "0.0.0.0") as (_, url):
        assert asked_for(url, "shop.example") == 200


# The second run takes its time, in torch, from where a thread cannot be unwound.
SLOW = """
import sys, threading, torch
from mmgraph.cli import main
from mmgraph.serving import server
load, loads = server.load_service, []
def slow(*words, **options):
    loads.append(1)
    if len(loads) > 1:
        print("loading", flush=True)
        x = torch.randn(1000, 300)
        while True:
            x @ x.t()
    return load(*words, **options)
server.load_service = slow
sys.exit(main())
"""


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_signal_waits_for_no_run_that_is_being_loaded(run, tmp_path, number, code):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    with serving(folder, code=SLOW) as (process, _):
        (folder / "run.json").write_text("another")
        assert process.stdout.readline() == "loading\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert err.startswith("error: interrupted")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "70000"], "port must be in [0, 65535] (got 70000)"),
        (["--every", "0"], "cannot look every 0.0 seconds - choose another --every"),
        (["--allow-host", "http://a.b"], "'http://a.b' is no name of a host - give it"),
        (["--titles", "nowhere.csv"], "nowhere.csv: no such file"),
        (["--titles", "items.csv"], "no title is of an item of the catalogue ('a', no"),
        (["--pictures", "."], "no picture is of an item of the catalogue ('a', not 'i"),
        (["--pictures", "nowhere"], "nowhere: no such folder - give the folder of"),
        (["--picture-col", "x"], "a column of pictures, but no table - name the table"),
        (
            ["--titles", "items.csv", "--picture-col", "x"],
            "items.csv:1: no column 'x' among 'id', 'title' - name one of these",
        ),
    ],
)
def test_what_cannot_be_served_is_one_line(
    run, words, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "items.csv").write_text("id,title\na,Tea\n")
    (tmp_path / "a.jpg").write_bytes(JPEG)
    assert main(["serve", str(run), "--quiet", *words]) == 2
    assert message in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", str(run), "--quiet"]) == 2
    assert "pip install 'mmgraph[serve]'" in capsys.readouterr().err
