from __future__ import annotations

import os

import pytest

from mmgraph.bench.recipe import (
    Choice,
    Recipe,
    Stage,
    System,
    choose,
    fixed_options,
    grid_points,
    load_recipe,
    possible_runs,
    stages,
)
from mmgraph.bench.spec import parse_spec
from mmgraph.errors import UserError

TEXT = """
models = ["lightgcn", "VBPR+CLEAR"]

[defaults]
epochs = 7

[system.LightGCN]
options = {embedding_dim = 8}
grid = {num_layers = [1, 2], reg_weight = [0.0, 0.1]}
source = "our own"

[[system."vbpr+clear".grid]]
rank = [2, 4]
[[system."vbpr+clear".grid]]
strength = [0.5, 0.9]
"""


def write(tmp_path, text):
    path = tmp_path / "r.toml"
    path.write_text(text)
    return path


def test_a_recipe_reads_as_written(tmp_path):
    recipe = load_recipe(write(tmp_path, TEXT))
    assert [str(spec) for spec in recipe.models] == ["LightGCN", "VBPR+CLEAR"]
    assert recipe.defaults == {"epochs": 7}
    assert recipe.systems["LightGCN"].options == {"embedding_dim": 8}
    assert recipe.systems["VBPR+CLEAR"].grid == [
        {"rank": [2, 4]},
        {"strength": [0.5, 0.9]},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models = [", r"r.toml:?1?: not TOML .*\(.*\) - correct it"),
        ("a = 1\nb = = 2", r"r.toml:2: not TOML at column 5 \(.*\) - correct it"),
        (f"a = {'9' * 5000}", "r.toml: an integer has too many digits - write a small"),
        (f"models = {'[' * 5000}", "r.toml: lists or tables too deep in each other"),
        (f"{'.'.join(['defaults', *'a' * 5000])} = 1", "r.toml: .* more than 20 deep"),
        (f"[defaults]\nrank = {10**30}", "r.toml: 'rank' does not fit into 64 bits"),
        ("[system.'MF-BPR+clear']", "r.toml: system 'MF-BPR.clear': MF-BPR has no mod"),
        ("models = ['LayerGCN@released']", "r.toml: models: LayerGCN has no fidelity"),
        ("models = ['SEAb:variant=a']", "r.toml: models: SEAb is variant='b' by name"),
        (
            "models = ['VBPR+CLEAR:rank=999']",
            "r.toml: models: CLEARPlugin: 'rank' must be in",
        ),
        ("[modles]", "r.toml: unknown table 'modles' - did you mean 'models'"),
        ("models = ['X']", "r.toml: models: unknown model 'X'"),
        ("[system.VBPR]\ngird = {}", "system 'VBPR': unknown key 'gird' - .*'grid'"),
        ("[system.VBPR]\ngrid = {rnk = [1]}", "unknown option 'rnk'"),
        ("[system.VBPR]\ngrid = {lr = 1}", r"lr is not a list - write \[a, b\]"),
        ("[system.VBPR]\noptions = {seed = 1}", "unknown option 'seed'"),
        ("[defaults]\nepoch = 1", "unknown option 'epoch' - did you mean 'epochs'"),
        ("models = [1]", r"r.toml: models is not a list of names \(got \[1\]\)"),
        ("models = 'MF-BPR'", "r.toml: models is not a list of names"),
        ("system = 3", r"r.toml: system is not a table \(got 3\) - write key = val"),
        ("[system]\nMF-BPR = 3", "r.toml: system 'MF-BPR': it is not a table"),
        ("defaults = 3", "r.toml: defaults is not a table"),
        (
            "[defaults]\nepochs = 1.5",
            "r.toml: defaults: Trainer: 'epochs' must be an integer",
        ),
        ("[system.VBPR]\noptions = 3", "system 'VBPR': options is not a table"),
        ("[system.VBPR]\ngrid = 3", "system 'VBPR': grid is not a table"),
        ("[system.VBPR]\ngrid = [3]", "system 'VBPR': grid is not a table"),
        ("[system.VBPR]\noptions = {reg_weight = 'x'}", "VBPR: 'reg_weight' must"),
        ("[system.VBPR]\ngrid = {reg_weight = [0, 'x']}", "'reg_weight' must .*'x'"),
        ("models = ['VBPR:reg_weight=x']", "r.toml: models: VBPR: 'reg_weight' must"),
        ("base = 3", "r.toml: base is not a name .got 3. - write base = "),
        ("base = 'none.toml'", "none.toml: no such recipe"),
        ("base = 'r.toml'", "r.toml: is its own base - name another"),
        ("selection_seeds = 0", "r.toml: selection_seeds is no number of seeds"),
        ("selection_seeds = true", "r.toml: selection_seeds is no number of seeds"),
        ("[system.VBPR]\nmechanism = 3", "'VBPR': mechanism is not a list of names"),
        (
            "[system.CLEAR]\nmechanism = ['rnk']\ngrid = {rank = [1]}",
            "mechanism: unknown option of the grid 'rnk' - did you mean 'rank'",
        ),
        (
            "[system.SEA]\nmechanism = ['variant']\ngrid = {variant = ['a', 'b']}",
            "mechanism: variant has values that are no numbers - leave it out",
        ),
        (
            "[system.mf-bpr]\n[system.MF-BPR]",
            "r.toml: system 'MF-BPR': it has two tables",
        ),
    ],
)
def test_mistakes_are_told_with_the_file(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        load_recipe(write(tmp_path, text))


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
def test_what_is_no_file_is_not_read_as_a_recipe(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", "/dev/zero"):
        with pytest.raises(UserError, match=f"{path}: not a file - give a TOML file"):
            load_recipe(path)


def test_a_file_far_too_large_is_not_read(tmp_path):
    with (tmp_path / "r.toml").open("wb") as file:
        file.truncate(10**9)  # no byte of it is on the disk
    with pytest.raises(UserError, match=r"r.toml: 1,000,000,000 bytes are no recipe"):
        load_recipe(tmp_path / "r.toml")


def test_other_encodings_are_refused(tmp_path):
    (tmp_path / "r.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"r.toml: not UTF-8 text - save it as UTF-8"):
        load_recipe(tmp_path / "r.toml")


def test_every_run_that_a_search_may_come_to_is_listed():
    systems = {
        "VBPR": System(grid=[{"reg_weight": [0.0, 0.1], "lr": [1, 2]}]),
        "VBPR+CLEAR": System({"embedding_dim": 8}, [{"rank": [2, 4]}]),
    }
    runs = possible_runs(parse_spec("VBPR+CLEAR"), Recipe([], {}, systems))
    seen = {
        (run.label, run.options["reg_weight"], run.options.get("rank")) for run in runs
    }
    expected = {("VBPR", r, None) for r in (0.0, 0.1)}
    expected |= {("VBPR+CLEAR", r, k) for r in (0.0, 0.1) for k in (2, 4)}
    assert seen == expected
    assert len(runs) == len(expected)  # lr changes no model


def test_a_missing_recipe_is_told(tmp_path):
    with pytest.raises(UserError, match=r"none\.toml: no such recipe"):
        load_recipe(tmp_path / "none.toml")


def test_grid_points_are_the_product_without_fixed_keys():
    grid = {"a": [1, 2], "b": [3, 4]}
    assert grid_points(grid) == [{"a": a, "b": b} for a in (1, 2) for b in (3, 4)]
    assert grid_points(grid, without={"a", "b"}) == [{}]


def test_the_best_point_on_validation_is_chosen_stage_by_stage():
    system = System(grid=[{"num_layers": [1, 2, 3]}, {"reg_weight": [0.1, 0.2]}])
    seen = []

    def validate(run):
        point = (run.options["num_layers"], run.options["reg_weight"])
        seen.append(point)
        return -abs(point[0] - 2) + point[1]

    choice = choose(
        parse_spec("LightGCN"), Recipe([], {}, {"LightGCN": system}), validate
    )
    assert choice.chosen == {"num_layers": 2, "reg_weight": 0.2}
    assert [point[0] for point in seen] == [1, 2, 3, 2, 2]  # stage 2 holds stage 1
    assert choice.tried == 5


def test_a_variant_starts_from_the_choice_of_its_base():
    recipe = Recipe(
        [],
        {},
        {
            "VBPR": System(grid=[{"reg_weight": [0.1, 0.2]}]),
            "VBPR+CLEAR": System(grid=[{"rank": [2, 4]}]),
        },
    )
    seen = []

    def validate(run):
        seen.append((run.label, run.options["reg_weight"], run.options.get("rank")))
        return run.options["reg_weight"] + (run.options.get("rank") or 0)

    choice = choose(parse_spec("VBPR+CLEAR:strength=0"), recipe, validate)
    assert dict(choice.settings) == {"reg_weight": 0.2, "rank": 4}
    assert seen[-1] == ("VBPR+CLEAR", 0.2, 4)
    assert choice.tried == 4


def test_only_what_holds_is_told_as_chosen():
    recipe = Recipe(
        [],
        {},
        {
            "FREEDOM": System(grid=[{"reg_weight": [0.0, 0.1], "lr": [0.1, 0.2]}]),
            "FREEDOM+CLEAR": System({"reg_weight": 0.5}, [{"rank": [2, 4]}]),
            "FREEDOM+CLEAR:where=graph": System(grid=[{"lr": [0.3]}]),
        },
    )
    chosen = {
        name: dict(choose(parse_spec(name), recipe, lambda run: 1.0).chosen)
        for name in ("FREEDOM", "FREEDOM+CLEAR", "FREEDOM+CLEAR:rank=8")
    }
    assert chosen["FREEDOM"] == {"reg_weight": 0.0, "lr": 0.1}
    assert chosen["FREEDOM+CLEAR"] == {"lr": 0.1, "rank": 2}
    assert chosen["FREEDOM+CLEAR:rank=8"] == {"lr": 0.1}
    alone = parse_spec("FREEDOM+CLEAR:where=graph")  # a grid of one point
    assert dict(choose(alone, recipe, lambda run: 1.0).chosen) == {"rank": 2}


def test_seas_variants_start_from_the_choice_of_sea():
    sea = System({"lr": 0.5}, [{"align_weight": [0.1, 0.2]}])
    recipe = Recipe([], {}, {"SEA": sea})
    seen = []

    def validate(run):
        seen.append(run.label)
        return run.options["align_weight"]

    choice = choose(parse_spec("SEAb"), recipe, validate)
    assert dict(choice.settings) == {"lr": 0.5, "align_weight": 0.2}
    assert seen == ["SEA", "SEA"]
    assert fixed_options(parse_spec("SEAb"), recipe, {}) == {"lr": 0.5}


def test_what_the_user_fixed_is_not_searched():
    recipe = Recipe([], {}, {"VBPR": System(grid=[{"reg_weight": [0.1, 0.2]}])})
    choice = choose(parse_spec("VBPR"), recipe, None, fixed={"reg_weight": 0.5})
    assert dict(choice.settings) == {"reg_weight": 0.5}
    choice = choose(parse_spec("VBPR:reg_weight=0.7"), recipe, lambda run: 1.0)
    assert "reg_weight" in choice.settings  # of VBPR; the spec's own value wins later


def test_a_grid_of_which_nothing_trains_is_refused():
    recipe = Recipe([], {}, {"VBPR": System(grid=[{"lr": [1.0, 2.0]}])})
    with pytest.raises(
        UserError, match="no point of the grid of VBPR could be trained"
    ):
        choose(parse_spec("VBPR"), recipe, lambda run: float("-inf"))


def test_the_stages_of_a_variant_follow_those_of_what_it_is_a_variant_of():
    systems = {
        "VBPR": System({"lr": 0.5}, [{"reg_weight": [0.1, 0.2]}]),
        "VBPR+CLEAR": System({"lr": 0.25}, [{"rank": [2, 4]}, {"reg_weight": [0.3]}]),
    }
    recipe = Recipe([], {"epochs": 9}, systems)
    found = [
        (str(stage.spec), dict(stage.options), list(stage.points))
        for stage in stages(parse_spec("VBPR+CLEAR"), recipe, {"patience": 1})
    ]
    assert found == [
        ("VBPR", {"epochs": 9, "lr": 0.5, "patience": 1}, [{}]),
        ("VBPR", {}, [{"reg_weight": 0.1}, {"reg_weight": 0.2}]),
        ("VBPR+CLEAR", {"lr": 0.25, "patience": 1}, [{}]),
        ("VBPR+CLEAR", {}, [{"rank": 2}, {"rank": 4}]),
        ("VBPR+CLEAR", {}, [{"reg_weight": 0.3}]),
    ]


def test_without_a_recipe_there_is_nothing_to_search():
    (only,) = stages(parse_spec("VBPR"), None, {"lr": 0.5})
    assert only.runs(Choice()) == []
    assert only.decide(Choice(), []) == Choice({"lr": 0.5})


def test_of_equal_points_the_first_is_chosen():
    stage = Stage(parse_spec("VBPR"), {}, [{"lr": 1.0}, {"lr": 2.0}, {"lr": 3.0}])
    assert stage.decide(Choice(), [0.1, 0.2, 0.2]).settings == {"lr": 2.0}


def grids_of(name, systems):
    """Points by the system that they are of."""
    return [
        (str(stage.spec), [dict(point) for point in stage.points])
        for stage in stages(parse_spec(name), Recipe([], {}, systems))
        if stage.points != [{}]
    ]


def test_each_fidelity_is_searched_by_itself():
    systems = {"FREEDOM": System({}, [{"reg_weight": [0.0, 0.1]}])}
    points = [{"reg_weight": 0.0}, {"reg_weight": 0.1}]
    assert grids_of("FREEDOM", systems) == [("FREEDOM", points)]
    assert grids_of("FREEDOM@released", systems) == [("FREEDOM@released", points)]
    systems = {"FREEDOM@released": systems["FREEDOM"]}
    assert grids_of("FREEDOM", systems) == [("FREEDOM", points)]


@pytest.mark.parametrize("name", ["MF-BPR", "LightGCN", "VBPR", "LGMRec", "BM3"])
def test_a_penalty_on_another_scale_is_not_handed_to_the_other_fidelity(name):
    system = System({"reg_weight": 0.5}, [{"reg_weight": [1, 2]}, {"lr": [1, 2]}])
    for own, other in ((name, f"{name}@released"), (f"{name}@released", name)):
        recipe = Recipe([], {}, {own: system})
        spec = parse_spec(other)
        assert grids_of(other, recipe.systems) == [(other, [{"lr": 1}, {"lr": 2}])]
        assert fixed_options(spec, recipe, {}) == {}
        choice = choose(spec, recipe, lambda run: 1.0)
        assert "reg_weight" not in choice.settings
        mine = choose(parse_spec(own), recipe, lambda run: 1.0)
        assert mine.settings["reg_weight"] == 1


def test_a_variant_finds_its_grid_where_its_base_has_a_table_of_its_fidelity():
    systems = {
        "VBPR": System({}, [{"lr": [0.1, 0.2]}]),
        "VBPR@released": System({}, [{"reg_weight": [1.0, 2.0]}]),
        "VBPR+CLEAR": System({}, [{"rank": [2, 4]}]),
    }
    assert grids_of("VBPR+CLEAR@released:strength=0", systems) == [
        ("VBPR@released", [{"reg_weight": 1.0}, {"reg_weight": 2.0}]),
        ("VBPR+CLEAR@released", [{"rank": 2}, {"rank": 4}]),
    ]


def test_of_points_within_a_standard_error_the_weakest_mechanism_is_chosen():
    grid = [{"strength": [0.5, 0.9], "lr": [1, 2]}]
    recipe = Recipe([], {}, {"CLEAR": System({}, grid, ["strength"])})
    value = {(0.5, 1): 0.5, (0.5, 2): 0.51, (0.9, 1): 0.52, (0.9, 2): 0.4}

    def chosen(users, best=0.52):
        def validate(run):
            point = run.options["strength"], run.trainer["lr"]
            return best if point == (0.9, 1) else value[point]

        settings = choose(parse_spec("CLEAR"), recipe, validate, users=users).settings
        return settings["strength"], settings["lr"]

    # The standard error of .52 over 2,496 users is .01, and over 2,400 above it.
    assert chosen(2400) == (0.5, 2)  # the best of the weakest
    assert chosen(2600) == (0.9, 1)
    assert chosen(0) == (0.9, 1)  # nothing known of an error
    assert chosen(0, best=0.51) == (0.5, 2)  # equal
    plain = Recipe([], {}, {"CLEAR": System({}, grid)})
    found = choose(
        parse_spec("CLEAR"),
        plain,
        lambda run: value[run.options["strength"], run.trainer["lr"]],
        users=10,
    )
    assert (found.settings["strength"], found.settings["lr"]) == (0.9, 1)


def test_a_mechanism_that_is_held_breaks_no_tie():
    grid = [{"strength": [0.0], "lr": [1, 2]}, {"strength": [0.5, 0.9]}]
    recipe = Recipe([], {}, {"CLEAR": System({}, grid, ["strength"])})
    choice = choose(
        parse_spec("CLEAR"), recipe, lambda run: run.trainer["lr"] / 10, users=9
    )
    assert dict(choice.settings) == {"strength": 0.5, "lr": 2}


def test_a_recipe_adds_to_its_base(tmp_path):
    text = TEXT.replace("[defaults]", "selection_seeds = 3\n[defaults]", 1)
    (tmp_path / "base.toml").write_text(text)
    own = """
base = "base.toml"
models = ["VBPR", "LightGCN"]
[defaults]
patience = 3
[system.LightGCN]
options = {num_layers = 1}
"""
    recipe = load_recipe(write(tmp_path, own))
    assert [str(m) for m in recipe.models] == ["LightGCN", "VBPR+CLEAR", "VBPR"]
    assert recipe.defaults == {"epochs": 7, "patience": 3}
    assert recipe.systems["LightGCN"] == System({"num_layers": 1})  # whole
    assert len(recipe.systems["VBPR+CLEAR"].grid) == 2
    assert recipe.selection_seeds == 3
    assert recipe.path == tmp_path / "r.toml"
    assert (
        load_recipe(
            write(tmp_path, "base = 'base.toml'\nselection_seeds = 2")
        ).selection_seeds
        == 2
    )


def test_a_mistake_in_a_base_is_told_with_its_file(tmp_path):
    (tmp_path / "base.toml").write_text("[defaults]\nepoch = 1")
    with pytest.raises(
        UserError, match=r"base\.toml: defaults: unknown option 'epoch'"
    ):
        load_recipe(write(tmp_path, "base = 'base.toml'"))


def test_a_base_may_have_a_base(tmp_path):
    (tmp_path / "a.toml").write_text(
        "models = ['VBPR']\n[defaults]\nlr = 1.0\nepochs = 3"
    )
    (tmp_path / "b.toml").write_text("base = 'a.toml'\n[defaults]\nepochs = 4")
    recipe = load_recipe(write(tmp_path, "base = 'b.toml'\nmodels = ['BM3']"))
    assert [str(m) for m in recipe.models] == ["VBPR", "BM3"]
    assert recipe.defaults == {"lr": 1.0, "epochs": 4}
    (tmp_path / "a.toml").write_text("base = 'b.toml'")
    with pytest.raises(UserError, match=r"b\.toml: is its own base - name another"):
        load_recipe(write(tmp_path, "base = 'b.toml'"))
