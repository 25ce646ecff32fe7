from __future__ import annotations

import json

from mmgraph.cli import main
from mmgraph.train.trainer import Trainer


def train(catalogue, out, *words):
    data = ["--data", str(catalogue), "--device", "cpu"]
    given = ["train", "MF-BPR", *data, "--out", str(out), "--epochs", "4", "--quiet"]
    return main([*given, "--set", "embedding_dim=8", *words])


def test_a_run_directory_is_whole(catalogue, tmp_path, capsys):
    assert train(catalogue, tmp_path / "run", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    info = json.loads((tmp_path / "run" / "run.json").read_text())
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
