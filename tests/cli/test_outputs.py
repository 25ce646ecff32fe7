"""Every command that writes: where it must not, it says so in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmgraph.cli import main
from mmgraph.data import load_dataset
from mmgraph.data.graphs.graph_file import read_graph
from mmgraph.encode.encoder import Encoded
from mmgraph.encode.parts import claim_parts, write_part
from mmgraph.errors import UserError
from mmgraph.files import read_json
from mmgraph.folders import CONTENTS, check_output_file, list_contents

SMALL = ["--device", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def doors(catalogue, run, tmp_path_factory):
    """Words of each command, before its output."""
    tmp_path = tmp_path_factory.mktemp("doors")
    for name in ("visual", "textual"):
        features = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
        np.save(tmp_path / f"{name}.npy", features)
    np.save(tmp_path / "new.npy", np.ones((2, 4), "float32"))
    visual, graph = str(tmp_path / "visual.npy"), str(tmp_path / "graph.pt")
    work, data = str(tmp_path / "blocks"), ["--data", str(catalogue)]
    assert main(["knn", "build", visual, "--k", "2", "--out", graph, *SMALL]) == 0
    assert main(["knn", "blocks", visual, "--k", "2", "--work", work, *SMALL]) == 0
    table = str(catalogue / "interactions.parquet")
    new = ["--base", visual, "--features", str(tmp_path / "new.npy")]
    return {
        "train": ["train", "MF-BPR", *data, "--epochs", "1", "--out"],
        "bench": ["bench", "MF-BPR", *data, "--epochs", "1", "--seeds", "1", "--out"],
        "reproduce": ["reproduce", "clear-figure1", *data, "--out"],
        "diagnose": ["diagnose", *data, "--out"],
        "synth": ["data", "synth", "--users", "40", "--items", "40", "--out"],
        "synth --force": ["data", "synth", "--force", "--out"],
        "import": ["data", "import", "--inter", table, "--out"],
        "import --force": ["data", "import", "--inter", table, "--force", "--out"],
        "join": ["knn", "join", work, "--out"],
        "blocks": ["knn", "blocks", visual, "--k", "2", "--work"],
        "recommend": ["recommend", str(run), "--out"],
        "evaluate": ["evaluate", str(run), "--per-user"],
        "build": ["knn", "build", visual, "--k", "2", "--out"],
        "build --report": ["knn", "build", visual, "--out", graph, "--report"],
        "insert": ["knn", "insert", graph, *new, "--out"],
        "merge": ["knn", "merge", graph, "--out"],
    }


FOLDERS = (
    *("train", "bench", "reproduce", "diagnose", "synth", "synth --force"),
    *("import", "import --force", "join", "blocks"),
)
SUFFIX = {
    "recommend": ".csv",
    "evaluate": ".csv",
    "build": ".pt",
    "build --report": ".html",
    "insert": ".pt",
    "merge": ".pt",
}


def snapshot(folder):
    return {
        path: path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def lay_out(place, suffix):
    """All that may lie where a command is to write, by name."""
    place.mkdir()
    (place / f"file{suffix}").write_text("mine")
    (place / f"folder{suffix}").mkdir()
    (place / f"folder{suffix}" / "report.html").write_text("mine")
    (place / f"folder{suffix}" / "model.safetensors").write_text("mine")
    (place / f"link{suffix}").symlink_to(f"file{suffix}")
    (place / f"dangling{suffix}").symlink_to("nowhere")
    os.mkfifo(place / f"pipe{suffix}")


@pytest.mark.parametrize("door", [*FOLDERS, *SUFFIX])
def test_no_command_writes_where_it_must_not(
    doors, door, catalogue, tmp_path, monkeypatch, capfd
):
    suffix = SUFFIX.get(door, "")
    lay_out(tmp_path / "there", suffix)
    monkeypatch.chdir(tmp_path / "there")
    names = [f"{name}{suffix}" for name in ("folder", "link", "dangling", "pipe")]
    outs = ["", ".", "/", "/dev/null", *names, f"file{suffix}/x{suffix}", "a\0b"]
    outs += [os.path.expanduser("~"), "x" * 300 + suffix]
    if door in FOLDERS:
        outs.append(f"file{suffix}")
    if door in FOLDERS and door != "synth --force":  # it was made by synth
        outs.append(str(catalogue))
    if door not in ("train", "bench", "diagnose", "reproduce", *SUFFIX):
        outs.append(str(catalogue.parent))  # others may have folders beside theirs
    places = tmp_path, catalogue.parent, Path(doors["build"][2]).parent
    before = [snapshot(place) for place in places]
    capfd.readouterr()
    for out in outs:
        code = main([*doors[door], out, *SMALL])
        told = capfd.readouterr()
        assert code == 2, (out, told)
        assert told.err.startswith("error: "), (out, told)
        assert told.err.count("\n") == 1, (out, told)
        assert " - " in told.err
        assert "unexpected" not in told.err
        assert [snapshot(place) for place in places] == before, out


def test_output_that_data_would_take_for_theirs_is_refused(
    doors, catalogue, tmp_path, capsys
):
    data = shutil.copytree(catalogue, tmp_path / "data")
    before = snapshot(data)
    for door, name in {
        "recommend": "top.parquet",
        "recommend ": "interactions.csv",
        "evaluate": "users.parquet",
        "build": "graph.npz",
        "insert": "graph.npz",
        "merge": "both.parquet",
    }.items():
        assert main([*doors[door.strip()], str(data / name), *SMALL]) == 2
        told = capsys.readouterr().err
        assert f"{name}: would be part of the data there - choose another" in told
    assert snapshot(data) == before


@pytest.fixture
def inputs(run, catalogue, tmp_path, monkeypatch):
    """A folder with all that commands read, the working folder."""
    rng = np.random.default_rng(0)
    for name in ("visual", "new/visual", "moved/visual"):
        ids = np.arange(3) + 20 if name == "new/visual" else np.arange(20)
        features = rng.normal(size=(len(ids), 4)).astype("float32")
        path = tmp_path / f"{name}.npz"
        path.parent.mkdir(exist_ok=True)
        np.savez(path, features=features, ids=ids)
    monkeypatch.chdir(tmp_path)
    for name, features in (("graph.pt", "visual.npz"), ("table.parquet", "visual.npz")):
        assert main(["knn", "build", features, "--k", "2", "--out", name, *SMALL]) == 0
    train = load_dataset(catalogue)[0]
    users, items = (train[kind].raw_id.tolist() for kind in ("user", "item"))
    Path("users.csv").write_text("\n".join(map(str, users[:3])))
    Path("items.csv").write_text("\n".join(map(str, items[:3])))
    Path("titles.csv").write_text(f"item_id,title\n{items[0]},Tea\n")
    shutil.copytree(run, "run")
    Path("data").mkdir()
    for path in catalogue.iterdir():  # whose files lie elsewhere
        shutil.copy(path, tmp_path / f"of-{path.name}")
        (tmp_path / "data" / path.name).symlink_to(tmp_path / f"of-{path.name}")
    return tmp_path


RECOMMEND = "recommend run --k 2 "
MOVED = f"{RECOMMEND} --data data --out "
INSERT = "knn insert graph.pt --features new/visual.npz "


@pytest.mark.parametrize(
    "words",
    [
        "knn build visual.npz --k 2 --out visual.npz",
        "knn build visual.npz --k 2 --out g.pt --report same.html",
        f"{INSERT} --out new/visual.npz",
        f"{INSERT} --out visual.npz",  # which the graph names
        f"{INSERT} --base moved/visual.npz --out moved/visual.npz",
        "knn merge graph.pt --out graph.pt",
        f"{RECOMMEND} --users users.csv --out users.csv",
        f"{RECOMMEND} --allow items.csv --out items.csv",
        f"{RECOMMEND} --deny items.csv --out items.csv",
        f"{RECOMMEND} --titles titles.csv --out titles.csv",
        f"{MOVED} of-interactions.parquet",  # which a link in the data leads to
        "evaluate run --data data --per-user of-interactions.parquet",
        "similar run --data data --items items.csv --out of-interactions.parquet",
        "similar run --items items.csv --out items.csv",
        "similar graph.pt --items 1,2 --out same.csv",
        "features text titles.csv --model . --out model.npz",
        "features image titles.csv --column title --model . --out model.npz",
    ],
)
def test_no_input_is_written_over(words, inputs, capsys):
    os.link("visual.npz", "same.html")
    os.link("graph.pt", "same.csv")
    os.link("titles.csv", "model.npz")
    before = snapshot(inputs)
    assert main([*words.split(), *SMALL]) == 2
    told = capsys.readouterr().err
    assert f"{words.split()[-1]}: is read by this command - choose another" in told
    assert told.count("\n") == 1
    assert snapshot(inputs) == before


@pytest.fixture(scope="module")
def ours(doors, run, catalogue, tmp_path_factory):
    """Every kind of folder that commands fill."""
    out, data = tmp_path_factory.mktemp("ours"), ["--data", str(catalogue)]
    shutil.copytree(run, out / "train")
    search = ["--search", "lr=1e-3..1e-1", "--trials", "1", "--epochs", "1"]
    words = {
        "bench": [*doors["bench"][:-1], "--keep-models"],
        "diagnose": doors["diagnose"][:-1],
        "reproduce": doors["reproduce"][:-1],
        "tune": ["tune", "MF-BPR", *data, *search],
        "synth": doors["synth"][:-1],
        "join": doors["join"][:-1],
        "table": [*doors["recommend"][:-1], "--shard-rows", "50"],
        "export": ["export", str(run)],
    }
    for kind, each in words.items():
        assert main([*each, "--out", str(out / kind), *SMALL]) == 0
    assert main([*doors["blocks"], str(out / "blocks"), *SMALL]) == 0
    claim_parts(out / "visual.npz.parts", {"columns": 4})
    write_part(out / "visual.npz.parts", 0, Encoded(np.ones((1, 4)), {}))
    return out


WRITTEN = (".csv", ".parquet", ".pt", ".npz", ".json", ".html", ".safetensors")


def test_no_file_of_a_folder_of_ours_is_written_over(ours):
    told = r"is part of what mmgraph made there|would be part of the data there"
    kinds = set()
    for path in ours.rglob("*"):
        if path.suffix in WRITTEN:
            with pytest.raises(UserError, match=told):
                check_output_file(path, inputs=[])
            kinds.add(path.relative_to(ours).parts[0])
    assert kinds == {path.name for path in ours.iterdir()}


@pytest.mark.parametrize(
    ("door", "name", "mark"),
    [
        ("recommend", "export/item_ids.csv", "mmgraph.json"),
        ("recommend", "export/user_vectors.parquet", "mmgraph.json"),
        ("similar", "table/part-00000.parquet", "mmgraph.json"),
        ("build --report", "export/export.json", "mmgraph.json"),
        ("build --report", "synth/mmgraph.json", "mmgraph.json"),
        ("build --report", "train/run.json", "run.json"),
        ("build --report", "bench/report.html", "results.jsonl"),
        ("build --report", "diagnose/diagnosis.json", "diagnosis.json"),
        ("build --report", "reproduce/report.html", "clear-figure1/section.json"),
        ("build --report", "join/graph.json", "graph.json"),
        ("features", "train/model.safetensors", "run.json"),
        ("merge", "table/part-00000.parquet", "mmgraph.json"),
    ],
)
def test_no_command_takes_a_file_out_of_a_folder_of_ours(
    doors, ours, door, name, mark, tmp_path, capsys
):
    (tmp_path / "titles.csv").write_text("item_id,title\n1,Tea\n")
    doors = {
        **doors,
        "similar": ["similar", doors["recommend"][1], "--items", "1", "--out"],
        "features": ["features", "text", str(tmp_path / "titles.csv"), "--out"],
    }
    before = snapshot(ours)
    capsys.readouterr()
    assert main([*doors[door], str(ours / name), *SMALL]) == 2
    told = (
        f"{name}: is part of what mmgraph made there ({mark}) - choose another folder"
    )
    assert capsys.readouterr().err == f"error: {ours}/{told}\n"
    assert snapshot(ours) == before


def test_a_file_of_the_user_in_a_folder_of_ours_is_written_over(ours, doors, tmp_path):
    shutil.copytree(ours, tmp_path / "ours")
    for door, name in {
        "recommend": "train/top.csv",
        "recommend ": "export/top.csv",
        "build": "diagnose/graph.pt",
        "build --report": "graph.json",  # nothing of such a graph lies beside it
    }.items():
        for _ in range(2):
            words = [*doors[door.strip()], str(tmp_path / "ours" / name), *SMALL]
            assert main(words) == 0, name


def test_what_is_not_read_is_written_over(inputs):
    shutil.copy("visual.npz", "moved/visual.npz")
    for words in (
        f"{INSERT} --base moved/visual.npz --out visual.npz",
        f"{INSERT} --base moved/visual.npz --out graph.pt",  # it is told to
        f"{RECOMMEND} --users users.csv --out items.csv",
        f"{RECOMMEND} --out users.csv",
    ):
        assert main([*words.split(), *SMALL]) == 0, words


IMPORT = "data import --inter log.parquet --split per_user --force --out"
#: Commands that replace a folder, by what they make.
MAKERS = {
    "data": ["data synth --users 40 --items 40 --force --out", IMPORT],
    "export": ["export run --force --out"],
    "table": [f"{RECOMMEND} --shard-rows 50 --out"],
}
REPLACING = [(kind, words) for kind, each in MAKERS.items() for words in each]


@pytest.mark.parametrize(("kind", "words"), REPLACING)
@pytest.mark.parametrize("there", MAKERS)
def test_a_folder_is_replaced_by_a_command_of_its_kind_alone(
    there, kind, words, inputs, capsys
):
    shutil.copy("of-interactions.parquet", "log.parquet")
    assert main([*MAKERS[there][0].split(), "out", *SMALL]) == 0
    before = snapshot(inputs)
    code = main([*words.split(), "out", *SMALL])
    if there == kind:
        assert code == 0
        return
    assert code == 2
    told = capsys.readouterr().err
    assert "out: has no " in told
    assert ": another command made it - choose another folder" in told
    assert snapshot(inputs) == before


@pytest.mark.parametrize(
    "words",
    [
        f"{RECOMMEND} --shard-rows 50 --users top/part-00000.parquet --out top",
        f"{RECOMMEND} --shard-rows 50 --titles top/part-00000.parquet --out top",
        f"{RECOMMEND} --shard-rows 50 --data top --out top",
        "export run --data vectors --out vectors --force",
        "data import --inter data --out shop --force",
        "data import --inter shop --out shop --force",
        "data import --inter log.parquet --feat v=shop --out shop --force",
    ],
)
def test_a_folder_with_an_input_is_not_replaced(words, inputs, catalogue, capsys):
    shutil.copy("of-interactions.parquet", "log.parquet")
    shutil.copytree(catalogue, "shop")
    assert main([*f"{RECOMMEND} --shard-rows 50 --out top".split(), *SMALL]) == 0
    assert main(["export", "run", "--out", "vectors", *SMALL]) == 0
    for path in Path("data").iterdir():
        path.unlink()
        path.symlink_to(inputs / "shop" / path.name)
    table = pd.read_parquet("top/part-00000.parquet")[["item_id"]].assign(title="Tea")
    if "--titles" in words:  # one that could be read
        table.drop_duplicates().to_parquet("top/part-00000.parquet")
        list_contents_anew(Path("top"))
    before = snapshot(inputs)
    assert main([*words.split(), *SMALL]) == 2
    assert "holds what this command reads - choose an" in capsys.readouterr().err
    assert snapshot(inputs) == before


def list_contents_anew(folder):
    (folder / CONTENTS).unlink()
    list_contents(folder)


def test_force_replaces_what_the_command_made(doors, tmp_path, capsys):
    out = tmp_path / "shop"
    assert main([*doors["synth"], str(out), *SMALL]) == 0
    first = read_json(out / "mmgraph.json")
    assert main([*doors["synth"], str(out), *SMALL]) == 2
    assert (
        "exists already - choose another folder or --force" in capsys.readouterr().err
    )
    words = [*doors["synth"], str(out), "--force", "--seed", "5"]
    assert main([*words, *SMALL]) == 0
    assert read_json(out / "mmgraph.json") != first


@pytest.mark.parametrize("door", [*FOLDERS, *SUFFIX])
def test_a_full_disk_is_one_line_and_leaves_no_file(
    doors, door, tmp_path, monkeypatch, capfd
):
    places = tmp_path, Path(doors["build"][2]).parent
    before = [snapshot(place) for place in places]
    capfd.readouterr()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    out = str(tmp_path / f"out{SUFFIX.get(door, '')}")
    assert main([*doors[door], out, *SMALL]) == 2
    told = capfd.readouterr().err
    assert told.startswith(tuple(f"error: {place}" for place in places))
    assert told.count("\n") == 1
    assert "cannot be written (No space left on device) - check space and" in told
    for place, earlier in zip(places, before, strict=True):
        later = snapshot(place)
        assert {p: c for p, c in later.items() if c} == {
            p: c for p, c in earlier.items() if c
        }


FULL = (
    "error: stdout cannot be written (No space left on device) - check where it goes\n"
)


@pytest.mark.parametrize(
    "words", [["models"], ["models", "--json"], ["--help"], ["doctor"]]
)
def test_a_stdout_that_takes_nothing_is_one_line(words, monkeypatch, capsys):
    with monkeypatch.context() as patch, suppress(OSError), open("/dev/full", "w") as f:
        patch.setattr(sys, "stdout", f)
        assert main(words) == 2
    assert capsys.readouterr().err == FULL


def test_a_process_whose_stdout_takes_nothing_says_one_line():
    code = "import sys; from mmgraph.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "--version"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, FULL)


@pytest.mark.parametrize("words", [["models", "--json"], ["--version"]])
def test_a_stdout_that_was_closed_is_one_line(words):
    code = "import sys; from mmgraph.cli import main; sys.exit(main())"
    shell = ["sh", "-c", 'exec "$0" "$@" >&-', sys.executable, "-c", code]
    done = subprocess.run([*shell, *words], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "error: stdout cannot be written (Bad file descriptor) - check where it goes\n"
    )


def test_a_file_does_not_become_the_stdout_that_was_closed(catalogue, tmp_path):
    code = "import sys; from mmgraph.cli import main; sys.exit(main())"
    shell = ["sh", "-c", 'exec "$0" "$@" >&-', sys.executable, "-c", code]
    words = ["knn", "build", str(next(catalogue.glob("visual.*"))), "--k", "3"]
    out = tmp_path / "g.npz"
    words += ["--quiet", "--out", str(out)]
    done = subprocess.run([*shell, *words], stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert b"error: stdout cannot be written" in done.stderr
    assert list(read_graph(out).graphs) == ["visual"]


def test_a_closed_pipe_is_no_traceback():
    code = (
        "import sys; sys.stdin.read(); from mmgraph.cli import main; sys.exit(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--help"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()  # as head does once it has its lines
    told = process.communicate()[1]  # stdin ends: only now it goes on
    assert (process.returncode, told) == (1, b"")


def test_a_closed_pipe_ends_what_prints_json(monkeypatch, capsys):
    reader, writer = os.pipe()
    os.close(reader)
    with monkeypatch.context() as patch, suppress(OSError), open(writer, "w") as pipe:
        patch.setattr(sys, "stdout", pipe)
        with pytest.raises(SystemExit) as ended:
            main(["models", "--json"])
    assert ended.value.code == 1
    assert capsys.readouterr().err == ""
