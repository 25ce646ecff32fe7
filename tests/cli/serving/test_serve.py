from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")

from mmgraph.cli import main  # noqa: E402

MAIN = "import sys; from mmgraph.cli import main; sys.exit(main())"


@pytest.fixture
def served(run, tmp_path):
    """The folder that a process serves, its address, and the process."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    words = ["serve", str(folder), "--port", "0", "--every", "0.05", "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield folder, re.search(r"http://\S+", line).group(), process
    finally:
        process.kill()
        process.communicate()


def test_a_process_answers_over_the_wire_and_ends_on_sigterm(served, run, tmp_path):
    _, url, process = served
    answer = httpx.post(f"{url}/recommend", json={"user_id": "u01", "k": 5}, timeout=60)
    words = ["--users", "u01", "--k", "5", "--out", str(tmp_path / "a.csv"), "--quiet"]
    assert main(["recommend", str(run), *words]) == 0
    rows = (tmp_path / "a.csv").read_text().splitlines()[1:]
    items = [item["item_id"] for item in answer.json()["items"]]
    assert items == [row.split(",")[1] for row in rows]
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "70000"], "port must be in [0, 65535] (got 70000)"),
        (["--every", "0"], "cannot look every 0.0 seconds - choose another --every"),
        (["--titles", "nowhere.csv"], "nowhere.csv: no such file"),
    ],
)
def test_what_cannot_be_served_is_one_line(run, words, message, capsys):
    assert main(["serve", str(run), "--quiet", *words]) == 2
    assert message in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", str(run), "--quiet"]) == 2
    assert "pip install 'mmgraph[serve]'" in capsys.readouterr().err
