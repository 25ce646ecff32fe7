from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from mmgraph.analysis.report import plots
from mmgraph.analysis.reproduce import runner
from mmgraph.analysis.reproduce.catalog import EXPERIMENTS, PaperExperiment, select
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.analysis.reproduce.runner import reproduce_experiments, run_experiments
from mmgraph.bench.recipe import Recipe, System
from mmgraph.bench.source import DataSource
from mmgraph.errors import UserError
from mmgraph.files import write_json
from mmgraph.lock import locked_folder

TINY = {"embedding_dim": 8, "rank": 2, "lr": 1e-2}


def run(context, *names, **options):
    return list(run_experiments(select(names), context, **options))


def test_numbers_say_what_they_come_from_and_the_report_holds_all(
    make_context, tmp_path, toy
):
    context = make_context(tmp_path, seeds=(5,))
    (done,) = run(context, "sea-theorems", grid={"dim": [4]})
    assert done[0] == "sea-theorems"
    assert done[2] == ["figure.svg", "table.md", "numbers.json"]
    run(context, "clear-figure1", grid={"k": [4]})
    numbers = json.loads((tmp_path / "clear-figure1" / "numbers.json").read_text())
    assert numbers["experiment"] == "clear-figure1"
    assert numbers["data_sha256"] == toy[2]
    assert (numbers["data"], numbers["dataset"]) == ("toy", None)
    assert (numbers["seeds"], numbers["grid"]) == ([5], {"k": [4]})
    assert numbers["versions"]["mmgraph"]
    assert numbers["results"]["pairs"][0]["neighbours"][0]["k"] == 4
    report = (tmp_path / "report.html").read_text()
    first, second = (EXPERIMENTS[n].title for n in ("clear-figure1", "sea-theorems"))
    assert 0 < report.index(first) < report.index(second)
    assert report.count("<figure>") == 2


def test_the_experiments_can_be_had_from_python(toy, tmp_path):
    source = toy[0]
    options = {"seeds": [7], "settings": {**TINY}, "epochs": 2, "grid": {"k": [4]}}
    names = ["clear-figure5", "clear-figure1"]
    done = list(reproduce_experiments(names, source, tmp_path, **options))
    assert [name for name, *_ in done] == ["clear-figure1", "clear-figure5"]
    numbers = done[1][1].numbers
    assert (numbers["epochs"], numbers["settings"]["epochs"]) == (2, 2)
    assert (numbers["seeds"], numbers["data"]) == ([7], "toy")
    assert list((tmp_path / "runs" / "models").iterdir())
    assert (tmp_path / "report.html").exists()


def test_without_ray_nothing_is_begun(toy, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"^Ray is not installed - pip install 'mmgra"):
        reproduce_experiments(["clear-table2"], toy[0], tmp_path / "out", ray="auto")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ([], {}, "no experiment named - name one, or all"),
        (["sea-theorems"], {"fidelity": "draft"}, "unknown fidelity 'draft' - choose"),
        (["clear-figure5"], {"settings": {"rnk": 1}}, "option 'rnk' of CLEAR - did"),
        (["nothing"], {}, "unknown experiment 'nothing'"),
    ],
)
def test_mistakes_show_before_the_data_are_read(names, options, message, tmp_path):
    nowhere = DataSource(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=message):
        reproduce_experiments(names, nowhere, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_what_a_recipe_of_before_said_is_compared_with_what_it_says_now():
    system = System({"lr": 0.1}, [{"rank": [2, 4]}])
    plain = Recipe([], {"epochs": 3}, {"CLEAR": system})
    said = {"models": [], "defaults": {"epochs": 3}}
    tables = {"CLEAR": {"options": {"lr": 0.1}, "grid": [{"rank": [2, 4]}]}}
    assert runner._content(plain) == said | {"systems": tables}
    other = Recipe(
        [], {}, {"CLEAR": replace(system, mechanism=("rank",))}, selection_seeds=3
    )
    assert runner._content(other)["selection_seeds"] == 3
    assert runner._content(other)["systems"]["CLEAR"]["mechanism"] == ("rank",)


def test_the_place_of_a_recipe_does_not_count(make_context, tmp_path):
    for name in ("here", "there"):
        recipe = Recipe([], {}, {}, path=tmp_path / name)
        context = make_context(tmp_path / "out", recipe=recipe)
        run(context, "sea-theorems", grid={"dim": [4]}, resume=True)


def test_nothing_left_of_all_is_an_error(make_context, tmp_path, monkeypatch):
    def refuse(context):
        raise UserError("'rank' must be in [0, 8] (got 9)", "lower it")

    monkeypatch.setitem(
        EXPERIMENTS, "sea-theorems", PaperExperiment("", refuse, plots=False)
    )
    context = make_context(tmp_path)
    with pytest.raises(UserError, match="'rank' must be in"):
        run(context, "sea-theorems", required=False)


def test_three_modalities_are_compared_in_pairs(make_context, three, tmp_path):
    context = make_context(tmp_path, data=three)
    names = ("clear-figure1", "clear-figure5", "clear-figure6", "sea-figure6")
    grid = {"k": [5], "items": [30]}
    found = {name: result for name, result, _ in run(context, *names, grid=grid)}
    pairs = [["visual", "textual"], ["visual", "acoustic"], ["textual", "acoustic"]]
    for name, result in found.items():
        results = result.numbers["results"]
        if name == "clear-figure6":
            entries = results["stages"]["after projection"]
            assert [entry["modalities"] for entry in entries] == pairs
        elif name == "sea-figure6":
            information = results["stages"]["after training"]["information"]
            assert list(information) == ["visual", "textual", "acoustic"]
        else:
            assert [pair["modalities"] for pair in results["pairs"]] == pairs


def test_an_interrupted_sweep_goes_on_where_it_was(make_context, tmp_path, monkeypatch):
    grid = {"strength": [0.5, 0.9], "rank": [1, 2]}
    context = make_context(tmp_path / "a")
    watch = context.watch

    def stop(label, seed, epochs):
        if len(watch.seen) == 3:
            raise KeyboardInterrupt
        return watch(label, seed, epochs)

    with pytest.raises(KeyboardInterrupt):
        run(replace(context, watch=stop), "clear-figure4", grid=grid)
    assert not (tmp_path / "a" / "clear-figure4" / "numbers.json").exists()
    run(context, "clear-figure4", grid=grid, resume=True)
    assert len(watch.seen) == 4
    run(make_context(tmp_path / "b"), "clear-figure4", grid=grid)
    one, other = (
        json.loads((tmp_path / x / "clear-figure4" / "numbers.json").read_text())
        for x in "ab"
    )
    assert one == other


def test_results_are_never_mixed_with_others(make_context, tmp_path):
    context = make_context(tmp_path)
    run(context, "sea-theorems", grid={"dim": [4]})
    with pytest.raises(UserError) as caught:
        run(context, "sea-theorems", grid={"dim": [4]})
    assert str(caught.value) == (
        f"{tmp_path / 'sea-theorems'}: this experiment has results already - "
        "go on with --resume, or choose another --out"
    )
    other = make_context(tmp_path, seeds=(1,))
    for resume in (True, False):
        with pytest.raises(UserError, match="are of another seeds, grid - give"):
            run(other, "sea-theorems", grid={"dim": [5]}, resume=resume)
    run(context, "sea-theorems", grid={"dim": [4]}, resume=True)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"dims": [4]}, "unknown grid 'dims' - did you mean 'dim'"),
        ({"dim": 4}, r"grid dim is not a list of different numbers \(got 4\)"),
        ({"dim": []}, "grid dim is not a list"),
        ({"dim": ["a"]}, "grid dim is not a list"),
        ({"dim": [4, 4]}, "grid dim is not a list"),
        ({"dim": [True]}, "grid dim is not a list"),
        ({"dim": [2.5]}, r"grid dim wants integers of at least 2 \(got \[2.5\]\)"),
        ({"dim": [1]}, "grid dim wants integers of at least 2"),
    ],
)
def test_a_grid_must_be_a_list_of_an_experiment(grid, message, make_context, tmp_path):
    with pytest.raises(UserError, match=message):
        run(make_context(tmp_path), "sea-theorems", grid=grid)
    assert list(tmp_path.iterdir()) == []


def test_what_the_data_cannot_carry_is_refused_or_left_out(
    make_context, tmp_path, toy, caplog
):
    context = make_context(tmp_path)
    bare = toy[1][0].clone()
    del bare["item"].x_textual
    context.splits = (bare, *toy[1][1:])
    with pytest.raises(UserError, match="compares modalities and toy has 1"):
        run(context, "clear-figure1")
    assert list(tmp_path.iterdir()) == []
    found = run(
        replace(context, folder=tmp_path / "all"),
        "clear-figure1",
        "sea-theorems",
        required=False,
    )
    assert [name for name, _, _ in found] == ["sea-theorems"]
    assert "clear-figure1 is left out: this experiment compares" in caplog.text


@pytest.mark.parametrize("error", [UserError("bad", "mend it"), TypeError("bad")])
def test_an_experiment_that_fails_is_in_no_ones_way(make_context, tmp_path, error):
    def fail(context):
        raise error

    context = make_context(tmp_path)
    with pytest.raises(type(error), match="bad"):
        list(run_experiments({"t": PaperExperiment("T", fail, plots=False)}, context))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "request.json").write_text("{}")  # as a killed one leaves it
    done = {
        "t": PaperExperiment("T", lambda context: ExperimentResult({}), plots=False)
    }
    assert len(list(run_experiments(done, context))) == 1
    (tmp_path / "t" / "request.json").write_text("{")
    with pytest.raises(UserError, match=r"request\.json: not JSON: .* - choose ano"):
        list(run_experiments(done, context))


def test_missing_extras_are_told_before_anything_is_trained(
    make_context, tmp_path, monkeypatch
):
    def missing():
        raise UserError("the figures need matplotlib", "install it")

    monkeypatch.setattr(runner, "require_plots", missing)
    with pytest.raises(UserError, match="the figures need matplotlib"):
        run(make_context(tmp_path), "clear-figure4")
    assert list(tmp_path.iterdir()) == []
    bare = {
        "t": PaperExperiment("Title", lambda context: ExperimentResult({}), plots=False)
    }
    assert (
        len(list(run_experiments(bare, make_context(tmp_path)))) == 1
    )  # tables draw nothing
    assert plots.require_plots() is None


@pytest.mark.parametrize("held", ["", "runs"])
def test_a_folder_in_which_another_process_writes_is_refused(
    make_context, tmp_path, held
):
    context = replace(make_context(tmp_path), runs=tmp_path / "runs")
    with (
        locked_folder(tmp_path / held),
        pytest.raises(UserError, match=r"process \d+ on .* is writing there - wait"),
    ):
        run(context, "sea-theorems", grid={"dim": [4]})
    assert list(tmp_path.iterdir()) == []


def test_runs_may_lie_in_the_folder_of_the_experiments(make_context, tmp_path):
    context = replace(make_context(tmp_path), runs=tmp_path)
    assert len(run(context, "sea-theorems", grid={"dim": [4]})) == 1


def test_a_damaged_section_of_another_ends_it_before_anything_is_done(
    make_context, tmp_path, monkeypatch
):
    ran = []

    def work(context):
        ran.append(1)
        return ExperimentResult({})

    names = ("sea-theorems", "clear-figure1")
    chosen = {name: PaperExperiment("T", work, plots=False) for name in names}
    context = make_context(tmp_path)
    for name, runs in ((names[1], 0), ("clear-table2", 0), (names[0], 2)):
        assert name in EXPERIMENTS
        (tmp_path / name).mkdir()
        (tmp_path / name / "section.json").write_text("{}")
        if runs:  # written anew before the report is
            (tmp_path / name / "section.json").write_text("{")
            list(run_experiments(chosen, context))
        else:
            with pytest.raises(UserError, match=r"section\.json: no section of a rep"):
                list(run_experiments(chosen, context))
            (tmp_path / name / "section.json").unlink()
            (tmp_path / name).rmdir()
        assert len(ran) == runs


def test_the_control_takes_a_model_and_nothing_else_does(toy, tmp_path):
    source = toy[0]
    with pytest.raises(UserError, match="none of sea-theorems takes a model"):
        reproduce_experiments(["sea-theorems"], source, tmp_path, model="VBPR")
    options = {"seeds": [1], "epochs": 1, "settings": {"embedding_dim": 4}}
    options |= {"device": "cpu", "model": "VBPR"}
    ((name, result, files),) = reproduce_experiments(
        ["control"], source, tmp_path, **options
    )
    assert (name, files) == ("control", ["table.md", "numbers.json"])
    assert result.numbers["model"] == "VBPR"
    assert result.numbers["results"]["spec"] == "VBPR"
    for other in ("MF-BPR", "CLEAR"):  # the second is the one without a name
        again = options | {"model": other, "resume": True}
        with pytest.raises(UserError, match="of another model"):
            next(reproduce_experiments(["control"], source, tmp_path, **again))


def test_only_the_control_is_of_the_model_that_all_were_given(toy, tmp_path):
    """What ``all --model`` left of another experiment is gone on with by its name."""
    source = toy[0]
    options = {"grid": {"dim": [4]}, "seeds": [1], "epochs": 1, "device": "cpu"}
    names, out = ["control", "sea-theorems"], tmp_path / "out"
    for _ in reproduce_experiments(names, source, out, model="VBPR", **options):
        pass
    said = json.loads((out / "sea-theorems" / "request.json").read_text())
    assert "model" not in said
    resumed = options | {"resume": True}
    (done,) = reproduce_experiments(["sea-theorems"], source, out, **resumed)
    assert done[0] == "sea-theorems"
    # Until 0.8 every experiment of such a command named the model.
    write_json(out / "sea-theorems" / "request.json", {**said, "model": "VBPR"})
    (done,) = reproduce_experiments(["sea-theorems"], source, out, **resumed)
    assert done[0] == "sea-theorems"
    del resumed["grid"]
    with pytest.raises(UserError, match="of another model"):
        next(reproduce_experiments(["control"], source, out, **resumed))


@pytest.mark.parametrize(
    ("name", "grid", "message"),
    [
        ("control", {"keep_graph": [1, 0]}, "grid keep_graph wants one value"),
        ("control", {"keep_graph": [7]}, r"grid keep_graph is 1 or 0 \(got \[7\]\)"),
        ("clear-theorems", {"classes": [10, 20]}, "grid classes wants one value"),
        ("sea-figure5", {"items": [200, 300]}, "grid items wants one value"),
    ],
)
def test_a_grid_of_one_value_is_refused_more(
    name, grid, message, make_context, tmp_path
):
    with pytest.raises(UserError, match=message):
        run(make_context(tmp_path), name, grid=grid)
    assert list(tmp_path.iterdir()) == []
