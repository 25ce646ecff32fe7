"""Damaged graph files: every command refuses them in one line, and writes nothing."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from mmgraph.cli import main

NESTED = "x"
for _ in range(40):
    NESTED = [NESTED] * 10  # 10^40 words for who walks it
KIND = ("item", "similar_visual", "item")
DAMAGES = {
    "another edge": lambda g, e: e["edge_index"].view(-1)[7:8].add_(1).remainder_(25),
    "another similarity": lambda g, e: e["edge_sim"][7:8].mul_(0.5),
    "an impossible similarity": lambda g, e: e["edge_sim"][7:8].add_(1),
    "no number": lambda g, e: e["edge_sim"].fill_(torch.nan),
    "complex": lambda g, e: e.update(edge_sim=e["edge_sim"].to(torch.complex64)),
    "none": lambda g, e: e.update(edge_sim=None),
    "four rows": lambda g, e: e.update(edge_index=e["edge_index"].repeat(2, 1)),
    "a negative id": lambda g, e: e["edge_index"].view(-1)[:1].fill_(-3),
    "a negative k": lambda g, e: e["knn"].update(k=-1),
    "a huge k": lambda g, e: e["knn"].update(k=10**12),
    "k in words": lambda g, e: e["knn"].update(k="ten"),
    "an unknown metric": lambda g, e: e["knn"].update(metric="hamming"),
    "a number for weights": lambda g, e: e["knn"].update(weights=3),
    "a number for features": lambda g, e: e["knn"].update(features=3),
    "no record": lambda g, e: e.pop("knn"),
    "items without end": lambda g, e: g["item"].update(num_nodes=10**13),
    "a nested record": lambda g, e: e["knn"].update(note=NESTED),
    "one value for all": lambda g, e: e.update(
        edge_index=torch.zeros(2, 1, dtype=torch.int64).expand(2, 2**31)
    ),
}
COMMANDS = {
    "info": ["{graph}"],
    "verify": ["{graph}", "--features", "visual.npy"],
    "insert": ["{graph}", "--features", "new/visual.npy", "--out", "out.pt"],
    "merge": ["{graph}", "--out", "out.pt"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "new").mkdir()
    x = np.random.default_rng(0).normal(size=(25, 8)).astype("f4")
    np.save(folder / "visual.npy", x)
    np.save(folder / "new" / "visual.npy", x[:3])
    words = ["knn", "build", folder / "visual.npy", "--k", 4, "--out", folder / "g.pt"]
    assert main([*map(str, words), "--quiet"]) == 0
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_a_whole_graph_is_none_of_these(folder, command, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    torch.save(torch.load("g.pt", weights_only=True), "whole.pt")
    words = [word.format(graph="whole.pt") for word in COMMANDS[command]]
    words = [word.replace("out.pt", str(tmp_path / "out.pt")) for word in words]
    assert main(["knn", command, *words, "--quiet"]) == 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_graph_is_one_line(folder, damage, command, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    graph = copy.deepcopy(torch.load("g.pt", weights_only=True))
    DAMAGES[damage](graph, graph[KIND])
    torch.save(graph, "bad.pt")
    words = [word.format(graph="bad.pt") for word in COMMANDS[command]]
    capsys.readouterr()
    assert main(["knn", command, *words, "--quiet"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: bad.pt: ")
    assert told.err.count("\n") == 1
    assert "unexpected" not in told.err
    assert not (folder / "out.pt").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_flipped_bit_is_one_line(folder, command, monkeypatch, capsys):
    """A value that is not in the hash of the edges: only the checksum has it."""
    monkeypatch.chdir(folder)
    content = (folder / "g.pt").read_bytes()
    (folder / "bad.pt").write_bytes(content.replace(b"visual.npy", b"Visual.npy"))
    words = [word.format(graph="bad.pt") for word in COMMANDS[command]]
    assert main(["knn", command, *words, "--quiet"]) == 2
    assert "bad.pt: damaged: its content does not agree" in capsys.readouterr().err
    assert not (folder / "out.pt").exists()


HUGE = str(10**30)
NUMBERS = [
    *[("build", "--k", value) for value in ("0", "-1", HUGE, "nan", "2.5")],
    *[("build", "--recall", v) for v in ("0", "-1", "1", "2", "nan", "inf", "1e400")],
    *[("blocks", "--k", value) for value in ("0", "-1", HUGE, "nan")],
    *[("blocks", "--workers", value) for value in ("0", "-1", HUGE, "5000", "nan")],
    *[("blocks", "--ram", v) for v in ("0", "-1", "nan", "1e9", "9" * 5000, "1B")],
    *[("blocks", "--shard", v) for v in ("0/2", "3/2", "-1/2", f"1/{HUGE}", "nan/1")],
    *[("verify", "--rows", value) for value in ("-1", HUGE, "nan")],
    *[("build", "--metric", "cos"), ("blocks", "--metric", "cos")],
    *[("build", "--backend", "cuda"), ("blocks", "--backend", "cuda")],
]


@pytest.mark.parametrize(("command", "option", "value"), NUMBERS)
def test_an_option_out_of_range_is_one_line(
    folder, command, option, value, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    words = {
        "build": ["visual.npy", "--out", "out.pt"],
        "blocks": ["visual.npy", "--work", "work"],
        "verify": ["g.pt", "--features", "visual.npy"],
    }[command]
    assert main(["knn", command, *words, "--quiet", option, value]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert option.removeprefix("--") in told
    assert "unexpected" not in told
    # It is no fault of the file; only --ram is checked against its size.
    assert (option, value) == ("--ram", "1B") or "visual.npy: " not in told
    assert not (folder / "out.pt").exists()
    assert not (folder / "work").exists()


def test_the_builder_and_the_transform_say_it_in_the_same_words():
    from mmgraph.errors import UserError
    from mmgraph.knn import knn_graph
    from mmgraph.transforms import ItemKNNGraph

    for options in ({"k": -1}, {"k": 2.5}, {"k": 3, "metric": "cos"}):
        said = []
        for call in (
            lambda **o: knn_graph(torch.eye(3), **o),
            lambda **o: ItemKNNGraph("visual", **o),
        ):
            with pytest.raises(UserError) as error:
                call(**options)
            said.append(str(error.value).partition(": ")[2])
        assert said[0] == said[1]
