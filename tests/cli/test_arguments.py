"""Any words after a command end in an exit code and at most one line."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmgraph.cli import main

EXAMPLES = int(os.environ.get("MMGRAPH_EXAMPLES", "0"))
MANY = settings(
    max_examples=EXAMPLES or 10,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NAMES = st.sampled_from(["MF-BPR", "VBPR+CLEAR", "nope", "MF-BPR:epochs=x", "VBPR@no"])
VALUES = st.text(max_size=6) | st.sampled_from(
    ["-1", "0", "5000", "1e400", "nan", "cpu", "cuda:99", "lr=", "=", "lr=[[[", "a,b"]
)
OPTIONS = st.sampled_from(
    [
        *("--epochs", "--set", "--seed", "--device", "--threads", "--plugin"),
        *("--split", "--k", "--data", "--users", "--nonsense", "--resume", "--json"),
    ]
)
WORDS = st.lists(st.tuples(OPTIONS, VALUES).map(list) | NAMES.map(lambda n: [n]))


def check(words, capsys):
    words = [word.replace("\0", "") for word in words]
    code = main(words)
    err = capsys.readouterr().err
    assert code in (0, 2), (words, err)
    assert "Traceback" not in err
    assert "error: unexpected" not in err
    if code == 2:
        assert sum(line.startswith("error: ") for line in err.splitlines()) == 1


@pytest.mark.parametrize("command", ["train", "evaluate", "recommend"])
def test_any_words_end_in_one_line(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    @MANY
    @given(WORDS)
    def run(words):
        flat = [word for pair in words for word in pair]
        # Without --out nothing is trained or written, whatever else they say.
        check([command, *flat, "--quiet"], capsys)

    run()
    assert not list(tmp_path.iterdir())


@MANY
@given(name=NAMES, value=VALUES, option=st.sampled_from(["lr", "epochs", "rank"]))
def test_any_value_of_an_option_of_train_is_one_line(
    name, value, option, catalogue, capsys, tmp_path
):
    words = ["train", name, "--data", str(catalogue), "--quiet", "--device", "cpu"]
    if option != "epochs":
        words += ["--epochs", "0"]  # what is right is refused for this alone
    words += ["--set", f"{option}={value}", "--out", str(tmp_path / "run")]
    check(words, capsys)


@MANY
@given(content=st.binary(max_size=80) | st.text(max_size=40).map(str.encode))
@pytest.mark.parametrize("name", ["run.json", "model.safetensors", "history.jsonl"])
def test_any_content_of_a_run_directory_is_one_line(
    name, content, run, capsys, tmp_path
):
    for file in ("run.json", "model.safetensors", "history.jsonl"):
        (tmp_path / file).write_bytes((run / file).read_bytes())
    (tmp_path / name).write_bytes(content)
    check(["evaluate", str(tmp_path), "--quiet", "--device", "cpu"], capsys)
