from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmgraph.bench.spec import (
    ModelSpec,
    check_names,
    parse_options,
    parse_spec,
)
from mmgraph.errors import UserError

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,7}", fullmatch=True)
KEYS = st.from_regex(r"[a-z][a-z_]{0,7}", fullmatch=True)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-1000, 1000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=8
    )
)
SPECS = st.builds(
    ModelSpec,
    NAMES,
    st.none() | NAMES,
    st.sampled_from(["paper", "released"]),
    st.dictionaries(KEYS, SCALARS | st.lists(st.integers(), max_size=3), max_size=3),
)


@given(SPECS)
@example(ModelSpec("A", options={"a": " ", "b": "x,c=1", "d": "null", "e": "é"}))
def test_a_printed_spec_reads_back_equal(spec):
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("MF-BPR", ModelSpec("MF-BPR")),
        ("FREEDOM+CLEAR", ModelSpec("FREEDOM", "CLEAR")),
        (
            "FREEDOM+CLEAR:strength=0",
            ModelSpec("FREEDOM", "CLEAR", options={"strength": 0}),
        ),
        (
            "SEA@released:align_weight=0,distance_weight=.5",
            ModelSpec(
                "SEA", None, "released", {"align_weight": 0, "distance_weight": 0.5}
            ),
        ),
        ("X:a=[1,2], b=true", ModelSpec("X", options={"a": [1, 2], "b": True})),
    ],
)
def test_specs_read_as_written(text, spec):
    assert parse_spec(text) == spec


@pytest.mark.parametrize("text", ["", "+CLEAR", "A+", "A:", "A B", "A@", "1A"])
def test_text_outside_the_grammar_is_refused(text):
    with pytest.raises(
        UserError, match=r"cannot read the model .* write NAME\[\+PLUGIN"
    ):
        parse_spec(text)


def test_unknown_fidelity_is_refused():
    with pytest.raises(UserError, match=r"unknown fidelity 'draft'.*paper, released"):
        parse_spec("SEA@draft")


@pytest.mark.parametrize("pair", ["lr", "=3", "a-b=1"])
def test_pairs_without_key_and_value_are_refused(pair):
    with pytest.raises(UserError, match=r"cannot read the option .* write key=value"):
        parse_options([pair])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        (".5", 0.5),
        ("1_000", 1000),
        ("true", True),
        ("null", None),
        ("'a b'", "a b"),
        ('"0"', "0"),
        ("2024-01-01", "2024-01-01"),
        ("", ""),
        ("1\nb = 2", "1\nb = 2"),
    ],
)
def test_values_are_json_numbers_or_words(text, value):
    found = parse_options([f"k={text}"])["k"]
    assert found == value
    assert type(found) is type(value)


def test_ancestors_drop_options_then_plugin_then_fidelity():
    spec = parse_spec("VBPR+CLEAR@released:strength=0")
    assert [str(a) for a in spec.ancestors()] == [
        "VBPR+CLEAR@released",
        "VBPR@released",
        "VBPR+CLEAR",
        "VBPR",
    ]
    assert parse_spec("VBPR").ancestors() == []


def test_unknown_names_get_the_nearest_and_the_list():
    check_names(["lr"], ["lr"], "option")
    with pytest.raises(
        UserError, match=r"'epoch' - did you mean 'epochs'\? choose from lr"
    ):
        check_names(["epoch"], ["lr", "epochs"], "option")
    with pytest.raises(UserError, match="unknown option 'zzz' - choose from lr, ep"):
        check_names(["zzz"], ["lr", "epochs"], "option")
