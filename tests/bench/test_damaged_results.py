"""Folders of results with anything in place of a line, a value or a file.

With MMGRAPH_EXAMPLES=5000 in the environment the search is longer.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference.result_lines import point, result

from mmgraph.analysis.leaderboard.render import write_leaderboard
from mmgraph.analysis.per_user import load_per_user
from mmgraph.analysis.reproduce.result import ExperimentResult, read_section
from mmgraph.analysis.reproduce.result import write_result as write_section
from mmgraph.bench.results_folder import (
    BenchFolder,
    read_histories,
    read_per_user,
    read_results,
)
from mmgraph.bench.run_directory import finished_info
from mmgraph.checksum import PLACEHOLDER, add_zip_checksum
from mmgraph.errors import UserError
from mmgraph.files import read_json, read_json_lines, write_json
from mmgraph.folders import check_content, check_contents, list_contents

EXAMPLES = int(os.environ.get("MMGRAPH_EXAMPLES", "25"))
search = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**18, max_value=10**30)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["../x", "/etc/passwd", "a\0b", "A+B@paper:x=1", "x" * 999])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
BYTES = st.binary(max_size=300)
FIELDS = sorted(result("a"))
USERS = {
    "user": np.arange(3),
    "recall@20": np.array([0, 0.5, 1]),
    "ndcg@20": np.array([0.25, 0.25, 1]),
}
_KEPT = ("results.jsonl", "selection.jsonl", "per_user", "history")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder of two systems with two seeds each."""
    out = tmp_path_factory.mktemp("whole")
    folder = BenchFolder(out)
    for spec in ("VBPR", "VBPR+CLEAR"):
        for seed in (1, 2):
            key = f"{spec[:5].replace('+', '-')}{seed}"
            line = result(key, spec=spec, seed=seed, epochs=1)
            folder.add_result(line, USERS, [{"epoch": 1, "loss/bpr": 0.5}])
    folder.add_point(point("p", 0.5), [], None)
    read_once = copy(out)
    for read in READERS.values():
        read(read_once)  # or every damage would seem to be found
    return out


def copy(whole: Path) -> Path:
    out = Path(tempfile.mkdtemp(dir=whole.parent))
    shutil.copytree(whole, out, dirs_exist_ok=True)
    return out


READERS = {
    "lines": read_results,
    "resume": lambda out: BenchFolder(out, resume=True),
    "leaderboard": write_leaderboard,
    "compare": lambda out: load_per_user([out], device="cpu"),
    "per_user": lambda out: read_per_user(out, read_results(out)),
    "histories": lambda out: read_histories(out, read_results(out)),
}


def fault_of(read, *given) -> list[UserError]:
    """The error of the user that a call raises, if it does; no other is one."""
    try:
        read(*given)
    except UserError as error:
        return [error]
    return []


def read_all(out: Path, *, refused: bool = False) -> None:
    """Read a folder in every way: well, or one line that names a file of it."""
    faults = [fault for read in READERS.values() for fault in fault_of(read, out)]
    assert faults or not refused
    for fault in faults:
        assert "\n" not in str(fault)
        assert Path(fault.path or out).is_relative_to(out), fault
    shutil.rmtree(out)


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_lines(path: Path, lines: list) -> None:
    """Lines as by hand, without a checksum."""
    content = []
    for line in lines:
        if isinstance(line, dict):
            line = {k: v for k, v in line.items() if k != "checksum"}
        content.append(json.dumps(line) + "\n")
    path.write_text("".join(content))


@search
@given(st.sampled_from(FIELDS), VALUES)
def test_any_value_in_place_of_a_field_of_results(whole, field, value):
    out = copy(whole)
    lines = lines_of(out / "results.jsonl")
    lines[1][field] = value
    write_lines(out / "results.jsonl", lines)
    read_all(out)


def test_a_huge_number_of_epochs_takes_no_memory(whole):
    """10^17 of them were once counted one by one."""
    out = copy(whole)
    lines = lines_of(out / "results.jsonl")
    lines[1]["epochs"] = 10**17
    write_lines(out / "results.jsonl", lines)
    with pytest.raises(UserError, match="does not hold epochs 1 to 100000000000000000"):
        read_histories(out, read_results(out))


@search
@given(st.sampled_from(["counts", "metrics", "selection"]), st.data())
def test_any_value_within_a_field_of_results(whole, field, data):
    out = copy(whole)
    lines = lines_of(out / "results.jsonl")
    inner = dict(lines[-1].get(field, {"chosen": {}, "tried": 1}))
    inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(VALUES)
    lines[-1][field] = inner
    write_lines(out / "results.jsonl", lines)
    read_all(out)


@search
@given(VALUES | st.fixed_dictionaries({"epoch": VALUES, "loss/bpr": VALUES}))
def test_any_json_in_place_of_an_epoch(whole, value):
    out = copy(whole)
    write_lines(next((out / "history").iterdir()), [value])
    epoch = isinstance(value, dict) and value.get("epoch")
    loss = isinstance(value, dict) and value.get("loss/bpr", 0)
    right = type(epoch) is int and epoch == 1 and type(loss) in (int, float)
    read_all(out, refused=not right or len(value) > 2)


@pytest.mark.parametrize("epochs", [[], [2], [1, 1], [1, 2], [2, 1]])
def test_a_history_of_other_epochs_than_those_of_its_run_is_refused(whole, epochs):
    out = copy(whole)
    path = next((out / "history").iterdir())
    write_lines(path, [{"epoch": epoch} for epoch in epochs])
    with pytest.raises(UserError, match="does not hold epochs 1 to 1 of its run - del"):
        read_histories(out, read_results(out))


@search
@given(st.sampled_from(["results.jsonl", "selection.jsonl"]), VALUES)
def test_any_json_in_place_of_a_line(whole, name, value):
    out = copy(whole)
    lines = lines_of(out / name)
    write_lines(out / name, [*lines[:-1], value, lines[-1]])
    read_all(out, refused=True)


@search
@given(st.sampled_from(FIELDS))
def test_a_line_without_one_of_its_fields(whole, field):
    out = copy(whole)
    lines = lines_of(out / "results.jsonl")
    del lines[0][field]
    write_lines(out / "results.jsonl", lines)
    read_all(out, refused=True)


@search
@given(st.sampled_from(sorted(point("p", 0.5))), VALUES)
def test_any_value_in_place_of_a_field_of_the_selection(whole, field, value):
    out = copy(whole)
    line = {**point("p", 0.5), field: value}
    write_lines(out / "selection.jsonl", [line, point("q", 0.1)])
    read_all(out)


@search
@given(st.sampled_from(["results.jsonl", "selection.jsonl", "per_user"]), BYTES)
def test_any_bytes_in_place_of_a_file(whole, name, content):
    out = copy(whole)
    path = out / name
    (path if path.is_file() else next(path.iterdir())).write_bytes(content)
    read_all(out, refused=name == "per_user" or content.strip().endswith(b"}\n{"))


@search
@given(st.integers(0, 3), BYTES)
def test_any_bytes_in_place_of_a_line(whole, number, content):
    out = copy(whole)
    lines = (out / "results.jsonl").read_bytes().splitlines(keepends=True)
    lines[number] = content + b"\n"
    (out / "results.jsonl").write_bytes(b"".join(lines))
    read_all(out)


@search
@given(st.randoms(use_true_random=False), st.booleans())
def test_a_flipped_bit_or_a_cut_of_any_file_is_refused(whole, random, flip):
    out = copy(whole)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    path = random.choice(files)
    content = bytearray(path.read_bytes())
    if flip:
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    elif path.suffix == ".npz":
        # Without the mark alone, its comment, an archive is as it was.
        content = content[: random.randrange(len(content) - len(PLACEHOLDER))]
    else:  # a torn last line is what a kill leaves, and is left out
        content = content[random.randrange(1, content.index(b"\n")) :]
    path.write_bytes(content)
    read_all(out, refused=True)


@pytest.mark.parametrize("kind", _KEPT)
def test_of_twenty_flipped_bits_of_a_file_each_is_refused(whole, kind):
    out = copy(whole)
    path = out / kind if (out / kind).is_file() else min((out / kind).iterdir())
    content = path.read_bytes()
    for bit in np.random.default_rng(0).integers(0, 8 * len(content), 20).tolist():
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        faults = [fault for read in READERS.values() for fault in fault_of(read, out)]
        assert faults
        assert {str(Path(fault.path or out).relative_to(out)) for fault in faults} == {
            str(path.relative_to(out))
        }
    shutil.rmtree(out)


ARRAYS = st.sampled_from(
    [
        np.arange(3),
        np.arange(4),
        np.zeros((3, 2)),
        np.float64(1),
        np.array(list("abc")),
        np.array([0, np.nan, 1]),
        np.array([0, np.inf, 1]),
        np.array([1, 1, 2]),
        np.array([True, False, True]),
        np.array([1 + 2j, 0, 0]),
        np.zeros(3, ">f8"),
        np.zeros(0),
        np.array(["2020-01-01"] * 3, "datetime64[D]"),
        np.zeros(3, [("a", "f4")]),
    ]
)


@search
@given(st.sampled_from(sorted(USERS)), ARRAYS, st.booleans())
def test_any_array_in_place_of_one_of_a_run(whole, name, array, marked):
    out = copy(whole)
    buffer = io.BytesIO()
    np.savez(buffer, **{**USERS, name: array})
    content = buffer.getvalue()
    if marked:
        content = add_zip_checksum(content)
    next((out / "per_user").iterdir()).write_bytes(content)
    read_all(out)


@search
@given(VALUES | st.dictionaries(st.sampled_from(["status", "key", "spec"]), VALUES))
def test_any_json_in_place_of_run_json(tmp_path, value):
    (tmp_path / "run.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match="run") as caught:
        finished_info(tmp_path)
    assert "\n" not in str(caught.value)


SECTION = ("heading", "paragraphs", "tables", "figures", "notes")


@search
@given(st.sampled_from(SECTION), VALUES)
def test_any_value_in_a_section_of_a_report(tmp_path, field, value):
    write_section(tmp_path, "Heading", ExperimentResult({}))
    section = read_json(tmp_path / "section.json")
    write_json(tmp_path / "section.json", {**section, field: value})
    for fault in fault_of(read_section, tmp_path):
        assert "section.json: no section of a report - delete" in str(fault)


@search
@given(VALUES)
def test_any_json_in_place_of_a_list_of_contents(tmp_path, value):
    (tmp_path / "mmgraph.json").write_text(json.dumps(value))
    for check, path in ((check_contents, tmp_path), (check_content, tmp_path / "a")):
        with pytest.raises(UserError, match=r"mmgraph\.json: no"):
            check(path)


@search
@given(st.randoms(use_true_random=False), st.booleans())
def test_a_flipped_bit_or_a_cut_in_a_listed_folder_is_refused(tmp_path, random, flip):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(random.randbytes(50))
    (tmp_path / "mmgraph.json").unlink(missing_ok=True)
    list_contents(tmp_path)
    path = tmp_path / random.choice(["a", "b", "mmgraph.json"])
    content = bytearray(path.read_bytes())
    if flip:
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    else:
        content = content[: random.randrange(len(content) - 1)]
    path.write_bytes(content)

    def read():
        check_contents(tmp_path)
        for name in ("a", "b"):
            check_content(tmp_path / name)

    with pytest.raises(UserError, match=r"- (copy it again|delete mmgraph)"):
        read()


@search
@given(st.lists(st.dictionaries(st.text(), SCALARS, max_size=4), max_size=5))
def test_lines_are_read_as_they_were_written(tmp_path, rows):
    from mmgraph.files import append_json_line

    path = tmp_path / "a.jsonl"
    path.unlink(missing_ok=True)
    rows = [{k: v for k, v in row.items() if k != "checksum"} for row in rows]
    for row in rows:
        append_json_line(path, row)
    again = read_json_lines(path)
    assert json.dumps(again) == json.dumps(rows)
