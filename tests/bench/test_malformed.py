"""Whatever is written in a spec, an option or a recipe: it is read, or refused."""

from __future__ import annotations

import os
import string
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmgraph.bench.config import canonical, check_settings, run_config
from mmgraph.bench.recipe import load_recipe
from mmgraph.bench.spec import ModelSpec, check_sizes, parse_options, parse_spec
from mmgraph.bench.systems import check_system
from mmgraph.errors import UserError
from mmgraph.models import available_models
from mmgraph.models.registry import model_options

#: Enough to look around each time, in a few seconds together.
EXAMPLES = int(os.environ.get("MMGRAPH_EXAMPLES", "0"))
QUICK = settings(
    max_examples=EXAMPLES or 60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FEW = settings(QUICK, max_examples=EXAMPLES or 25)

MODELS = st.sampled_from([*available_models(), "SEAb", "vbpr", "light_gcn"])
PLUGINS = st.sampled_from(["", "+CLEAR", "+sea", "+none", "+"])
FIDELITIES = st.sampled_from(["", "@paper", "@released", "@draft", "@"])
OPTIONS = {name for model in available_models() for name in model_options(model)}
OTHERS = ("lr", "epochs", "batch_size", "monitor", "seed", "device", "rnk", "a-b", "")
NAMES = st.sampled_from([*sorted(OPTIONS), *OTHERS])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
WORDS = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.integers(0, 3000).map(lambda depth: "[" * depth),
    st.integers(0, 3000).map(lambda depth: '{"a":' * depth + "1" + "}" * depth),
    st.integers(0, 6_000).map(lambda digits: "9" * digits),
    st.text(max_size=20),
    st.sampled_from(["NaN", "Infinity", "-1e999", "null", "''", '"', "\x00", "٣"]),
)
PAIRS = st.tuples(NAMES, WORDS).map("=".join) | st.text(max_size=20)
SPECS = st.one_of(
    st.text(max_size=30),
    st.tuples(MODELS, PLUGINS, FIDELITIES).map("".join),
    st.tuples(MODELS, PLUGINS, FIDELITIES, st.just(":"), PAIRS).map("".join),
    st.tuples(MODELS, st.just(":"), st.lists(PAIRS, max_size=3).map(",".join)).map(
        "".join
    ),
)


def as_toml(value):
    """A value as TOML; what TOML has no word for as another type."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, dict):
        pairs = [f"{as_toml(key)} = {as_toml(part)}" for key, part in value.items()]
        return f"{{{', '.join(pairs)}}}"
    plain = set(string.printable) - set('"\\\t\n\r\x0b\x0c')
    return f'"{"".join(c for c in str(value) if c in plain)}"'


TABLES = st.dictionaries(NAMES, VALUES, max_size=3)
SYSTEMS = st.dictionaries(
    st.sampled_from(["options", "grid", "source", "gird"]),
    TABLES | st.lists(TABLES, max_size=2) | VALUES,
    max_size=3,
)
RECIPES = st.fixed_dictionaries(
    {},
    optional={
        "models": st.lists(SPECS, max_size=3) | VALUES,
        "defaults": TABLES | VALUES,
        "system": st.dictionaries(SPECS, SYSTEMS | VALUES, max_size=2) | VALUES,
        "modles": VALUES,
    },
)


def one_line(error):
    """The message is a line, short, with a remedy."""
    text = " ".join(str(error).split())
    assert error.what
    assert error.fix
    assert len(text) < 5000


@QUICK
@given(SPECS)
def test_a_spec_is_read_or_refused(text):
    with suppress(UserError):
        spec = parse_spec(text)
        assert parse_spec(str(spec)) == spec or "nan" in str(spec).lower()


@QUICK
@given(SPECS)
def test_a_system_is_found_or_refused(text):
    try:
        canonical(parse_spec(text))
    except UserError as error:
        one_line(error)


@QUICK
@given(st.lists(PAIRS, max_size=4))
def test_pairs_are_read_or_refused(pairs):
    try:
        check_sizes(parse_options(pairs))
    except UserError as error:
        one_line(error)


@QUICK
@given(MODELS, TABLES)
def test_settings_are_taken_or_refused(model, given_settings):
    spec = parse_spec(model)
    with suppress(UserError):
        check_settings(given_settings, [spec])
        run = run_config(spec, given_settings, strict=True)
        assert {**run.options, **run.trainer}.keys() >= given_settings.keys()


@FEW
@given(MODELS, TABLES)
def test_a_system_with_any_options_is_built_or_refused(model, options):
    with suppress(UserError):
        check_system(ModelSpec(model, options=options))


@FEW
@given(SPECS)
def test_a_spec_is_built_or_refused(text):
    with suppress(UserError):
        check_system(parse_spec(text))


def load(folder: Path, content: bytes):
    path = folder / "r.toml"
    path.write_bytes(content)
    refused = None
    try:
        return load_recipe(path)
    except UserError as error:
        refused = error
    assert str(refused).startswith(str(path))
    one_line(refused)
    return None


@QUICK
@given(st.binary(max_size=200))
def test_bytes_are_a_recipe_or_refused_with_the_file(tmp_path, content):
    load(tmp_path, content)


@QUICK
@given(st.text(alphabet="[]{}=.,\"'\n# abc019-+ed", max_size=80))
def test_texts_like_toml_are_a_recipe_or_refused_with_the_file(tmp_path, text):
    load(tmp_path, text.encode())


@FEW
@given(RECIPES)
def test_a_recipe_of_any_content_is_read_or_refused_with_the_file(tmp_path, content):
    text = "\n".join(f"{key} = {as_toml(part)}" for key, part in content.items())
    recipe = load(tmp_path, text.encode())
    assert recipe is None or len(recipe.models) == len(content.get("models", []))


@FEW
@given(st.data())
def test_a_recipe_with_a_byte_changed_is_read_or_refused(tmp_path, data):
    content = bytearray(
        b'models = ["MF-BPR", "VBPR+CLEAR"]\n[defaults]\nepochs = 5\n'
        b'[system."VBPR+CLEAR"]\noptions = {strength = 0.5}\ngrid = {rank = [2, 4]}\n'
    )
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    load(tmp_path, bytes(content))


@pytest.mark.parametrize("depth", [21, 500, 900])
def test_values_deep_in_each_other_are_refused(depth, tmp_path):
    nested = "[" * depth + "]" * depth
    with pytest.raises(UserError, match="deep"):
        check_settings(parse_options([f"rank={nested}"]), [parse_spec("VBPR+CLEAR")])
    (tmp_path / "r.toml").write_text(f"[defaults]\nlr = {nested}\n")
    with pytest.raises(UserError, match=r"r\.toml: .* deep"):
        load_recipe(tmp_path / "r.toml")
