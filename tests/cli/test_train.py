from __future__ import annotations

import json
import os
import subprocess
import sys

from mmgraph.cli import main
from mmgraph.files import read_json, read_json_lines
from mmgraph.train.trainer import Trainer


def train(catalogue, out, *words):
    data = ["--data", str(catalogue), "--device", "cpu"]
    given = ["train", "MF-BPR", *data, "--out", str(out), "--epochs", "4", "--quiet"]
    return main([*given, "--set", "embedding_dim=8", *words])


def test_a_run_directory_is_whole(catalogue, tmp_path, capsys):
    assert train(catalogue, tmp_path / "run", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    info = read_json(tmp_path / "run" / "run.json")
    assert result == {"run": str(tmp_path / "run"), **info}
    assert info["status"] == "finished"
    assert (info["epochs"], info["seed"], info["data"]) == (4, 999, "toy")
    assert info["options"]["embedding_dim"] == 8
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names >= {"run.json", "history.jsonl", "model.safetensors"}


def test_an_interrupted_run_resumes_to_the_same_result(
    catalogue, tmp_path, capsys, monkeypatch
):
    train(catalogue, tmp_path / "whole", "--json")
    whole = json.loads(capsys.readouterr().out)

    original = Trainer.fit

    def interrupt(self, *args, on_epoch=None, **options):
        self.checkpoint_seconds = 0

        def stop(row):
            if row["epoch"] == 3:
                raise KeyboardInterrupt

        return original(self, *args, on_epoch=stop, **options)

    monkeypatch.setattr(Trainer, "fit", interrupt)
    assert train(catalogue, tmp_path / "run") == 130
    monkeypatch.setattr(Trainer, "fit", original)
    assert train(catalogue, tmp_path / "run") == 2  # without --resume it is protected
    assert "continue it with --resume" in capsys.readouterr().err
    assert train(catalogue, tmp_path / "run", "--resume", "--json") == 0
    resumed = json.loads(capsys.readouterr().out)
    assert resumed["metrics"] == whole["metrics"]
    assert resumed["epochs"] == 4

    weights = [
        (tmp_path / name / "model.safetensors").read_bytes()
        for name in ("whole", "run")
    ]
    assert weights[0] == weights[1]


def test_another_run_is_not_resumed(catalogue, tmp_path, capsys):
    train(catalogue, tmp_path / "run")
    assert train(catalogue, tmp_path / "run", "--resume", "--seed", "1") == 2
    assert "other options, another seed or other data" in capsys.readouterr().err


def test_progress_goes_to_stderr_and_the_result_to_stdout(catalogue, tmp_path, capsys):
    words = ["train", "MF-BPR:embedding_dim=4", "--data", str(catalogue)]
    assert main([*words, "--out", str(tmp_path / "run"), "--epochs", "2"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("MF-BPR:embedding_dim=4: best epoch ")
    assert "epoch 2/2" in err


def test_a_run_that_fails_leaves_its_folder_to_the_next(catalogue, tmp_path, capsys):
    assert train(catalogue, tmp_path / "run", "--set", "lr=1e30") == 2
    assert "not finite" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert train(catalogue, tmp_path / "run", "--set", "weight_decay=x") == 2
    assert (
        "'weight_decay' must be a number at least 0 or null (got 'x')"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "run").exists()
    assert train(catalogue, tmp_path / "run") == 0


def test_two_plugins_are_refused_and_one_may_be_named_twice(
    catalogue, tmp_path, capsys
):
    words = ["train", "VBPR+SEA:rank=2", "--data", str(catalogue), "--epochs", "1"]
    words += ["--out", str(tmp_path / "run"), "--quiet", "--plugin"]
    assert main([*words, "clear"]) == 2
    assert "has the plug-in SEA, --plugin is clear - give" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    words[1] = "VBPR+SEA:embedding_dim=8"
    assert main([*words, "sea"]) == 0
    assert "VBPR+SEA:embedding_dim=8: best epoch" in capsys.readouterr().out


def test_a_description_that_says_too_little_is_no_finished_run(
    catalogue, tmp_path, capsys
):
    train(catalogue, tmp_path)
    info = json.loads((tmp_path / "run.json").read_text())
    bare = {key: info[key] for key in ("status", "key")}
    (tmp_path / "run.json").write_text(json.dumps(bare))
    for words in (["evaluate", str(tmp_path)], ["compare", str(tmp_path)]):
        assert main([*words, "--quiet"]) == 2
        assert "run.json: does not say 'spec' as a run" in capsys.readouterr().err
    assert train(catalogue, tmp_path, "--resume") == 2


def test_help_shows_the_whole_form_of_a_name(capsys):
    for command in ("train", "bench"):
        main([command, "--help"])
        assert "NAME[+PLUGIN][@released][:option=value,...]" in capsys.readouterr().out


def test_of_two_trainings_in_one_folder_one_is_refused(
    catalogue, tmp_path, monkeypatch
):
    given = ["train", "MF-BPR", "--data", str(catalogue), "--epochs", "2", "--quiet"]
    given += ["--device", "cpu", "--out", str(tmp_path / "run"), "--seed"]
    code = "import sys; from mmgraph.cli import main; sys.exit(main())"
    original, others = Trainer.fit, []

    def fit(self, *args, on_epoch=None, **options):
        def start_another(row):
            words = [sys.executable, "-c", code, *given, "2"]
            others.append(subprocess.run(words, capture_output=True, text=True))

        return original(self, *args, on_epoch=start_another, **options)

    monkeypatch.setattr(Trainer, "fit", fit)
    assert main([*given, "1", "--set", "patience=0", "--epochs", "1"]) == 0
    (other,) = others
    assert other.returncode == 2
    assert other.stderr.startswith(f"error: {tmp_path / 'run'}: process {os.getpid()} ")
    assert "is writing there - wait" in other.stderr
    assert other.stderr.count("\n") == 1
    assert json.loads((tmp_path / "run" / "run.json").read_text())["seed"] == 1


def test_with_nothing_held_out_the_epochs_must_be_given(catalogue, tmp_path, capsys):
    words = ["train", "MF-BPR", "--data", str(catalogue), "--split", "none", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "r")]) == 2
    assert "--split none leaves nothing to stop by - give" in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "r"), "--epochs", "2"]) == 0
    assert capsys.readouterr().out == "MF-BPR: epoch 2 of 2, not validated\n"
    assert main(["compare", str(tmp_path / "r"), str(tmp_path / "r"), "--quiet"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_options_and_epochs_come_from_a_benchmark(catalogue, tmp_path, capsys):
    data = ["--data", str(catalogue), "--device", "cpu", "--quiet"]
    words = ["bench", "MF-BPR", "--set", "embedding_dim=4", "--no-floors", *data]
    assert main([*words, "--epochs", "3", "--out", str(tmp_path / "b")]) == 0
    best = {
        line["best_epoch"]
        for line in read_json_lines(tmp_path / "b" / "results.jsonl")
        if line["spec"] == "MF-BPR"
    }
    words = ["train", "MF-BPR", "--from", str(tmp_path / "b"), "--split", "none", *data]
    assert main([*words, "--set", "lr=0.02", "--out", str(tmp_path / "r")]) == 0
    info = read_json(tmp_path / "r" / "run.json", fix="")
    assert info["options"]["embedding_dim"] == 4
    assert info["trainer"]["lr"] == 0.02
    assert min(best) <= info["epochs"] <= max(best)
    capsys.readouterr()
    words[1] = "LightGCN"
    assert main([*words, "--out", str(tmp_path / "s")]) == 2
    assert "unknown system 'LightGCN'" in capsys.readouterr().err
