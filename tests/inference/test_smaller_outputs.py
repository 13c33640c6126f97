"""Outputs in two bytes a value or packed: the values of the same inference, as near as is said."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest

import dgex
from dgex.errors import FileError, SettingsError
from dgex.fitting.train import train
from dgex.inference import output
from dgex.io.matrix_writer import MatrixWriter
from dgex.io.verified import damaged, verify

NAMES = ["a.gctx", "a.h5ad", "a.zarr"]


@pytest.fixture(scope="module")
def model(dataset: ad.AnnData) -> Any:
    return train(dataset, "ridge", alpha=10.0)


@pytest.fixture
def panel(compendium: ad.AnnData) -> ad.AnnData:
    return compendium[:, (compendium.var["role"] == "landmark").to_numpy()].copy()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float16", "int16"])
@pytest.mark.parametrize("compress", [None, "gzip"])
def test_the_largest_error_is_told_and_holds(
    model: Any,
    panel: ad.AnnData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    dtype: str,
    compress: str | None,
) -> None:
    given: dict[str, Any] = {"interval": 0.9, "genes": list(model.targets_[3:20]), "min_trust": "low"}
    whole = dgex.infer(panel, model, **given)
    said: list[str] = []
    monkeypatch.setattr(output, "note", said.append)
    dgex.infer(panel, model, tmp_path / name, dtype=dtype, compress=compress, block=50, **given)
    back = dgex.read(tmp_path / name)
    assert np.asarray(back.X).dtype == np.float32
    assert back.var_names.tolist() == whole.var_names.tolist()
    off = float(np.abs(np.asarray(back.X) - np.asarray(whole.X)).max())
    told = f"values are stored as {dtype}, at most {off:.2g} off (log2 expression)"
    assert any(line.startswith(told) for line in said)
    if name == "a.gctx":
        half = np.asarray(dgex.read(tmp_path / "a.halfwidth.gctx").X)
    else:
        half = np.asarray(back.layers["halfwidth"], np.float32)
        assert back.uns["dgex"]["stored_as"] == dtype
        assert back.uns["dgex"]["largest_rounding_error"] == pytest.approx(off)
    np.testing.assert_allclose(half, whole.layers["halfwidth"], atol=1e-2)
    assert damaged(tmp_path / name) == []
    assert all(one.blocks for one in verify(tmp_path / name))


@pytest.mark.parametrize("name", ["a.gctx", "a.h5ad"])
def test_a_disk_that_filled_up_and_was_emptied(
    model: Any, panel: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Gone on with, the file is the same to the byte, whole numbers and checksums included."""
    for folder in ("straight", "full"):
        (tmp_path / folder).mkdir()
    straight, whole = tmp_path / "straight" / name, tmp_path / "full" / name
    dgex.infer(panel, model, straight, dtype="int16", block=64)
    append = MatrixWriter.append

    def refused(writer: MatrixWriter, block: Any) -> None:
        append(writer, block)
        if len(block) < 64:  # the last one
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(MatrixWriter, "append", refused)
        with pytest.raises(FileError, match="the disk is full"):
            dgex.infer(panel, model, whole, dtype="int16", block=64, resume=True)
    assert [path.name for path in whole.parent.iterdir()] == [f"{name}.parts"]
    dgex.infer(panel, model, whole, dtype="int16", block=64, resume=True)
    assert whole.read_bytes() == straight.read_bytes()
    assert [path.name for path in whole.parent.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("a.tsv", {"dtype": "int16"}, "TSV.*accepted float32"),
        ("a.parquet", {"dtype": "float16"}, r"Parquet.*accepted float32; .gctx"),
        ("a.gctx", {"dtype": "int8"}, "accepted float32, float16, int16"),
        ("a.h5ad", {"compress": "zstd"}, "accepted none, gzip"),
        ("a.tsv", {"compress": "gzip"}, "ends in .gz"),
        (None, {"dtype": "int16"}, "of an output file"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_first(
    model: Any, panel: ad.AnnData, tmp_path: Path, name: str | None, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        dgex.infer(panel, model, None if name is None else tmp_path / name, **given)
    assert not list(tmp_path.iterdir())
