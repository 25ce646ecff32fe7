from __future__ import annotations

import hashlib
import io
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse
import torch
from safetensors.torch import load, save

from mmgraph.checksum import (
    CHECKSUM,
    PLACEHOLDER,
    add_checksum,
    add_zip_checksum,
    file_digest,
    file_has_checksum,
    has_checksum,
)
from mmgraph.errors import UserError


def as_safetensors() -> bytes:
    tensors = {"w": torch.arange(6.0)}
    return add_checksum(save(tensors, metadata={CHECKSUM: PLACEHOLDER}))


def as_pt() -> bytes:
    buffer = io.BytesIO()
    torch.save({"w": torch.arange(6.0)}, buffer)
    return add_zip_checksum(buffer.getvalue())


def as_npz() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, w=np.arange(6.0))
    return add_zip_checksum(buffer.getvalue())


def as_csr() -> bytes:
    buffer = io.BytesIO()
    scipy.sparse.save_npz(buffer, scipy.sparse.eye(3).tocsr())
    return add_zip_checksum(buffer.getvalue())


def as_parquet() -> bytes:
    table = pa.table({"w": np.arange(6.0)})
    table = table.replace_schema_metadata({CHECKSUM: PLACEHOLDER})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return add_checksum(buffer.getvalue())


READERS = {
    as_safetensors: lambda content: load(content)["w"].sum(),
    as_pt: lambda content: torch.load(io.BytesIO(content))["w"].sum(),
    as_npz: lambda content: np.load(io.BytesIO(content))["w"].sum(),
    as_csr: lambda content: scipy.sparse.load_npz(io.BytesIO(content)).sum() * 5,
    as_parquet: lambda content: sum(
        pq.read_table(io.BytesIO(content))["w"].to_pylist()
    ),
}


@pytest.mark.parametrize("form", READERS)
def test_a_file_with_a_checksum_is_still_of_its_format(form, tmp_path):
    content = form()
    assert READERS[form](content) == 15
    (tmp_path / "file").write_bytes(content)
    assert file_has_checksum(tmp_path / "file")


@pytest.mark.parametrize("form", READERS)
def test_every_flipped_bit_is_refused(form):
    content = bytearray(form())
    for place in range(len(content)):
        for bit in range(8):
            content[place] ^= 1 << bit
            with pytest.raises(UserError, match="damaged: its content"):
                has_checksum(bytes(content), "file")
            content[place] ^= 1 << bit


@pytest.mark.parametrize("form", READERS)
def test_a_truncated_file_is_refused_or_unreadable_or_whole_but_for_its_mark(form):
    content = form()
    for length in range(1, len(content)):
        try:
            kept = has_checksum(content[:length], "file")
        except UserError:
            continue
        assert not kept
        try:
            value = READERS[form](content[:length])
        except Exception:  # whatever the library of the format says
            continue
        assert value == 15


def test_files_without_a_checksum_are_taken_as_they_are(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "old").write_bytes(b"sha256: of something else")
    assert not file_has_checksum(tmp_path / "empty")
    assert not file_has_checksum(tmp_path / "old")


def test_a_content_without_its_placeholder_is_an_error_of_the_writer():
    with pytest.raises(ValueError, match="the placeholder once"):
        add_checksum(b"nothing")
    with pytest.raises(ValueError, match="not a ZIP archive"):
        add_zip_checksum(b"nothing")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = b"of somebody"
    with pytest.raises(ValueError, match="without a comment"):
        add_zip_checksum(buffer.getvalue())


def test_a_file_has_the_digest_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(256)) * 2**14)
    want = hashlib.sha256(bytes(range(256)) * 2**14).hexdigest()
    assert file_digest(tmp_path / "a") == want
