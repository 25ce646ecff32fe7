"""Properties of checkpoints and resumption; MMGRAPH_EXAMPLES sets their number."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.train import Trainer
from mmgraph.train.checkpoint import (
    FILE_NAME,
    PREVIOUS,
    load_checkpoint,
    save_checkpoint,
)

EXAMPLES = int(os.environ.get("MMGRAPH_EXAMPLES", "0"))
MANY = settings(max_examples=EXAMPLES or 25)
FEW = settings(max_examples=EXAMPLES or 5)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.int64, torch.bool])
TENSORS = st.dictionaries(
    st.text("abc./", min_size=1, max_size=5),
    st.builds(
        lambda shape, dtype: torch.ones(shape, dtype=dtype).cumsum(0).to(dtype),
        st.lists(st.integers(0, 4), min_size=1, max_size=3),
        DTYPES,
    ),
    max_size=3,
)
PLACES = st.floats(0, 1, exclude_max=True)


def damaged(content, place, how):
    where = int(place * len(content))
    if how == "cut":
        return content[:where]
    changed = bytearray(content)
    changed[where] ^= how
    return bytes(changed)


DAMAGES = st.just("cut") | st.integers(1, 255)


@MANY
@given(TENSORS, JSON)
def test_a_checkpoint_reads_back_as_it_was(tensors, state):
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder), tensors, state)
        loaded, read = load_checkpoint(Path(folder))
    assert read == state
    assert loaded.keys() == tensors.keys()
    for key, value in tensors.items():
        assert loaded[key].dtype == value.dtype
        assert torch.equal(loaded[key], value)


@MANY
@given(TENSORS, PLACES, DAMAGES)
def test_any_damage_falls_back_to_the_one_before(tensors, place, how):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_checkpoint(folder, tensors, 1)
        save_checkpoint(folder, tensors, 2, keep_previous=True)
        path = folder / FILE_NAME
        path.write_bytes(damaged(path.read_bytes(), place, how))
        assert load_checkpoint(folder)[1] == 1


@MANY
@given(PLACES, DAMAGES, PLACES, DAMAGES)
def test_any_damage_of_both_is_one_line(place, how, other_place, other_how):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_checkpoint(folder, {"a": torch.ones(9)}, 1)
        save_checkpoint(folder, {"a": torch.ones(9)}, 2, keep_previous=True)
        for path, *damage in (
            (folder / FILE_NAME, place, how),
            (folder / PREVIOUS, other_place, other_how),
        ):
            path.write_bytes(damaged(path.read_bytes(), *damage))
        with pytest.raises(UserError) as error:
            load_checkpoint(folder)
    assert "\n" not in str(error.value)
    assert f"delete {folder} and start again" in str(error.value)


@MANY
@given(st.binary(max_size=200))
def test_any_bytes_for_a_checkpoint_are_one_line(content):
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / FILE_NAME).write_bytes(content)
        with pytest.raises(UserError, match="the checkpoint cannot be read"):
            load_checkpoint(Path(name))


@FEW
@given(st.lists(st.integers(1, 5), max_size=3), st.integers(0, 3))
def test_stopped_at_any_epochs_it_ends_bit_equal(splits, stops, seed):
    train, val, _ = splits

    def fit(epochs, **options):
        torch.manual_seed(seed)
        model = build_model("MF-BPR", train, embedding_dim=4)
        trainer = Trainer(epochs=epochs, seed=seed, device="cpu", batch_size=200)
        trainer.fit(model, train, val, **options)
        return model.state_dict()

    whole = fit(6)
    with tempfile.TemporaryDirectory() as folder:
        for epochs in [*sorted(stops), 6]:
            weights = fit(epochs, checkpoint_dir=folder, resume=True)
    assert all(torch.equal(whole[key], weights[key]) for key in whole)
