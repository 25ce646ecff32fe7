from __future__ import annotations

import json

import torch

from mmgraph.cli import main


def test_versions_devices_and_kernels_are_told(capsys, monkeypatch):
    monkeypatch.setenv("MMGRAPH_DATA", "some/folder")
    assert main(["doctor", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["versions"]["torch"].startswith(torch.__version__.partition("+")[0])
    assert found["knn_backend"].keys() == {"cpu", "cuda"}
    assert found["propagation_kernel"].keys() == {"cpu", "cuda"}
    assert found["data_folder"] == "some/folder"
    assert len(found["devices"]) == 1 + torch.cuda.device_count()


def test_the_table_names_what_json_names(capsys):
    assert main(["doctor", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "torch-geometric" in out
    assert "knn backend" in out
