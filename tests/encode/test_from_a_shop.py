"""docs/from-a-shop.md, command by command, in processes of their own."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "from-a-shop.md").read_text("utf-8")
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.M | re.S)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run words in a folder of the shop; their output, or the process itself."""
    folder = tmp_path_factory.mktemp("shop")
    example = str(ROOT / "examples" / "data" / "messy_shop.py")
    subprocess.run([sys.executable, example, "raw"], cwd=folder, check=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(words, *, wait=True):
        command = [sys.executable, "-m", *words]
        options = {"cwd": folder, "env": environment, "text": True}
        if not wait:
            return subprocess.Popen(command, **options)
        done = subprocess.run(command, capture_output=True, check=False, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    start.folder = folder
    return start


def ask(url, question=None):
    data = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(
        url, data, {"content-type": "application/json"} if data else {}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def wait_for(url, process):
    for _ in range(300):
        assert process.poll() is None, "the service ended"
        try:
            return ask(url)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError("the service does not answer")


@pytest.mark.slow
def test_ten_commands_lead_to_a_served_recommendation(run, text_model, picture_model):
    models = {"text": text_model, "image": picture_model}
    assert len(COMMANDS) == 10
    printed = {}
    for number, words in enumerate(COMMANDS[:-1], 1):
        if words[1] == "features":  # no hub is asked in tests
            words = [*words, "--model", str(models[words[2]])]
        printed[number] = run(words)
    assert "no title (1)" in printed[1]
    assert "no such file (1), not a readable picture (1)" in printed[2]
    lists = "user id", "rating is no number", "rating below 3", "(the last is kept)"
    assert all(words in printed[3] for words in lists)
    assert "ContentKNN" in printed[4]
    assert "10 new, 0 gone" in printed[9]

    left_out = pd.read_csv(run.folder / "monday" / "visual.left_out.csv", dtype=str)
    assert {"00003", "00005", "00006"} < set(left_out["item_id"])

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [word if word != "8000" else str(port) for word in COMMANDS[-1]]
    service, url = run(words, wait=False), f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/health", service)
        # A customer of tuesday who bought what is 2 modulo 4, by a history of it.
        answer = ask(f"{url}/recommend", {"history": ["00122", "00118"], "k": 10})
        found = [int(item["item_id"]) for item in answer["items"]]
        assert sum(item % 4 == 2 for item in found) >= 6  # at random 2.5 of 10
        titles = {item["item_id"]: item["title"] for item in answer["items"]}
        named = {i: title for i, title in titles.items() if title}
        assert all(int(t.split(" n° ")[1]) == int(i) for i, t in named.items())
        # Of two pictures one is lost, one damaged; a third is its neighbour's.
        items = ask(f"{url}/items?count=12")
        shown = {i["item_id"]: i["picture"] for i in items}
        assert [i for i, address in shown.items() if address is None] == [
            *("00003", "00005", "00006")
        ]
        photo = (run.folder / "raw" / "photos" / "00011.jpg").read_bytes()
        for item in ("00007", "00011"):
            with urllib.request.urlopen(f"{url}/{shown[item]}", timeout=10) as picture:
                assert picture.headers["content-type"] == "image/jpeg"
                assert picture.read() == photo
        # An item that nobody bought yet: its pictures are of its kind.
        answer = ask(f"{url}/similar/00127?k=5&by=visual")
        found = [int(item["item_id"]) for item in answer["items"]]
        assert len(found) == 5
        assert sum(item % 4 == 3 for item in found) >= 3  # at random 1.25 of 5
    finally:
        service.terminate()
        service.wait(timeout=30)
