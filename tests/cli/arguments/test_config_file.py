from __future__ import annotations

import json

import pytest

from mmgraph.cli import main


@pytest.fixture
def here(tmp_path, monkeypatch, catalogue):
    monkeypatch.chdir(tmp_path)

    def write(text, name="a.toml"):
        (tmp_path / name).write_text(text.replace("CATALOGUE", str(catalogue)))
        return ["--config", name]

    return write


TRAIN = """
model = "LightGCN"
data = "CATALOGUE"
out = "run"
epochs = 2
device = "cpu"
quiet = true

[options]
embedding_dim = 4
num_layers = 1
reg_weight = 1e-3
"""


def info(folder):
    return json.loads(open(f"{folder}/run.json").read())


def test_a_file_is_the_command_line_that_it_spells(here, catalogue):
    config = here(TRAIN)
    assert main(["train", *config]) == 0
    words = ["train", "LightGCN", "--data", str(catalogue), "--out", "spelt"]
    words += ["--epochs", "2", "--device", "cpu", "--quiet"]
    options = ["embedding_dim=4", "num_layers=1", "reg_weight=1e-3"]
    for pair in options:
        words += ["--set", pair]
    assert main(words) == 0
    assert info("run")["key"] == info("spelt")["key"]
    assert info("run")["weights_sha256"] == info("spelt")["weights_sha256"]


def test_the_command_line_goes_over_the_file(here):
    config = here(TRAIN)
    words = ["train", "MF-BPR", *config, "--out", "other", "--epochs", "1"]
    words += ["--set", "embedding_dim=8", "--json"]
    assert main(words) == 2  # num_layers of the file is no option of MF-BPR
    words[1] = "LayerGCN"
    assert main(words) == 0
    made = info("other")
    assert (made["spec"], made["epochs"]) == ("LayerGCN", 1)
    assert made["options"]["embedding_dim"] == 8
    assert made["options"]["num_layers"] == 1


def test_a_run_is_trained_again_from_its_own_record(here):
    here(TRAIN)
    model = "FREEDOM+CLEAR@released:rank=2"
    words = ["--config", "a.toml", "--out", "first", "--seed", "7"]
    assert main(["train", model, *words]) == 0
    words = ["train", "--config", "first/run.json", "--out", "second", "--quiet"]
    assert main([*words, "--device", "cpu"]) == 0
    for key in ("key", "spec", "seed", "weights_sha256", "metrics"):
        assert info("first")[key] == info("second")[key]
    assert main([*words, "--out", "third", "--seed", "8", "--device", "cpu"]) == 0
    assert info("third")["seed"] == 8
    assert info("third")["options"] == info("first")["options"]


def test_bench_takes_a_file_too(here, capsys):
    config = here(
        'models = ["MF-BPR", "LightGCN"]\ndata = "CATALOGUE"\nseeds = 1\nepochs = 1\n'
        'out = "board"\nfloors = false\nquiet = true\njson = true\n'
        "[options]\nembedding_dim = 4\n"
    )
    assert main(["bench", *config]) == 0
    lines = json.loads(capsys.readouterr().out)
    assert {line["spec"] for line in lines} >= {"MF-BPR", "LightGCN"}
    assert not {"ItemKNN", "ContentKNN"} & {line["spec"] for line in lines}
    trained = [line for line in lines if line["options"]]
    assert {line["options"]["embedding_dim"] for line in trained} == {4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "a.toml: unknown key 'epoch' - did you mean 'epochs'?"),
        ("epochs = [3]", "a.toml: epochs is not a word or a number (got [3])"),
        ("epochs = true", "a.toml: epochs is not a word or a number (got True)"),
        ("epochs = 'many'", "invalid value for '--epochs'"),
        ("quiet = 'yes'", "a.toml: quiet is not true or false (got 'yes')"),
        ("data = {a = 1}", "a.toml: data is not a word or a number"),
        ("options = 3", "a.toml: options is not a table (got 3)"),
        ("[options]\nrank = 3", "unknown option 'rank'"),
        ("a = \nb = 1", "a.toml:1: not TOML at column 5"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_line(here, capsys, text, message):
    config = here(text)
    assert main(["train", "MF-BPR", "--out", "run", *config]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1


def test_files_that_are_no_configuration(here, capsys):
    words = ["train", "MF-BPR", "--out", "run", "--config"]
    for name, message in (
        ("none.toml", "none.toml: no such file - check the path"),
        ("none/run.json", "none: not a run directory"),
        ("other.json", "other.json: not a run.json"),
    ):
        assert main([*words, name]) == 2
        assert message in capsys.readouterr().err
