"""A file appears whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from dgex import io
from dgex.errors import DataError, FileError, OutputExistsError, SettingsError
from dgex.io.annotated import H5adWriter, ZarrWriter
from dgex.io.gct import GctWriter
from dgex.io.gctx import GctxWriter
from dgex.io.parquet_writer import ParquetWriter
from dgex.io.text import TextWriter

NAMES = ["a.gctx", "a.gct.gz", "a.h5ad", "a.zarr", "a.parquet", "a.tsv"]
WRITERS = dict(zip(NAMES, [GctxWriter, GctWriter, H5adWriter, ZarrWriter, ParquetWriter, TextWriter]))


@pytest.fixture
def bare(tiny: AnnData) -> AnnData:
    """The values without metadata, which some formats take long to write."""
    return AnnData(tiny.X, obs=tiny.obs[[]], var=tiny.var[[]])


def _stream(path: Path, like: AnnData, blocks: list[np.ndarray | None], overwrite: bool = False) -> None:
    """Write blocks one by one; None stands for the user's Ctrl-C."""
    with io.create(path, like.obs, like.var, overwrite=overwrite) as out:
        for block in blocks:
            if block is None:
                raise KeyboardInterrupt
            out.append(block)


@pytest.mark.parametrize("name", NAMES)
def test_an_exception_leaves_nothing(bare: AnnData, tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        _stream(tmp_path / name, bare, [bare.X[:3], None])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_an_old_file_stays_until_the_new_one_is_whole(bare: AnnData, tmp_path: Path, name: str) -> None:
    io.write(bare, tmp_path / name)
    with pytest.raises(OutputExistsError, match="exists already"):
        io.write(bare, tmp_path / name)
    with pytest.raises(DataError, match="3 of 7 announced profiles"):
        _stream(tmp_path / name, bare, [bare.X[:3]], overwrite=True)
    np.testing.assert_array_equal(io.read(tmp_path / name).X, bare.X)
    other = bare.copy()
    other.X = other.X + 1
    io.write(other, tmp_path / name, overwrite=True)
    np.testing.assert_array_equal(io.read(tmp_path / name).X, other.X)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_blocks_that_do_not_fit(bare: AnnData, tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"4.*5 genes"):
        _stream(tmp_path / name, bare, [bare.X[:, :4]])
    with pytest.raises(DataError, match="more than the 7"):
        _stream(tmp_path / name, bare, [bare.X, bare.X[:1]])
    with pytest.raises(SettingsError, match="with"):
        io.create(tmp_path / name, bare.obs, bare.var).append(bare.X)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", ["_start", "_write", "_finish"])
@pytest.mark.parametrize(
    "refusal",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError("Can't write data (errno = 28, error message = 'No space left on device')"),
    ],
    ids=["plain", "hidden in a library"],
)
def test_a_full_disk(
    bare: AnnData, tmp_path: Path, name: str, step: str, refusal: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = getattr(WRITERS[name], step)

    def fail(self: object, *arguments: object) -> None:
        original(self, *arguments)
        raise refusal

    monkeypatch.setattr(WRITERS[name], step, fail)
    with pytest.raises(FileError, match="the disk is full; nothing was left behind") as caught:
        io.write(bare, tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_real_refusal_in_the_middle(tmp_path: Path) -> None:
    """The system refuses to let a file grow: every library fails in its own way, none crashes, then or at exit."""
    done = subprocess.run(
        [sys.executable, "-c", REFUSAL, str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 10
    assert all("File too large; " in line and "rrno" not in line for line in said), said
    assert not list(tmp_path.iterdir())


REFUSAL = """
import os, resource, signal, sys
import numpy as np
from anndata import AnnData
from dgex import io
from dgex.errors import FileError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
adata = AnnData(np.random.default_rng(0).random((100, 900), dtype=np.float32))
gzip, wide = {"compression": "gzip"}, {"layout": "wide"}
columns, compact = {"genes_in": "columns"}, {"layout": "compact"}
for name, options in [
    ("a.gctx", {}), ("b.gctx", gzip), ("a.gct", {}), ("b.gct.gz", {}), ("a.h5ad", {}), ("b.h5ad", gzip),
    ("a.parquet", wide), ("b.parquet", compact), ("a.tsv", columns), ("a.zarr", {}),
]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
    try:
        io.write(adata, os.path.join(sys.argv[1], name), block=30, **options)
    except FileError as error:
        print(error)
"""


def test_a_disk_too_small_is_noticed_before_the_work(
    tiny: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
    for name in ("a.gctx", "a.h5ad"):
        with pytest.raises(FileError, match="MB free"):
            io.write(tiny, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_full_temporary_folder(tiny: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, data: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def close(self) -> None:
            pass

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **options: Full())
    with pytest.raises(FileError, match="set TMPDIR"):
        io.write(tiny, tmp_path / "a.tsv")
    assert not list(tmp_path.iterdir())


def test_ids_are_checked_first(tiny: AnnData, tmp_path: Path) -> None:
    var = tiny.var.rename(index={"218597_s_at": "200814_at"})
    with pytest.raises(DataError, match="duplicate gene ids: 200814_at"):
        io.create(tmp_path / "a.gctx", tiny.obs, var)
    with pytest.raises(DataError, match="no samples"):
        io.create(tmp_path / "a.gctx", tiny.obs.iloc[:0], var.iloc[2:])
    obs = tiny.obs[["study", "study"]]
    with pytest.raises(DataError, match="duplicate columns: study"):
        io.create(tmp_path / "a.gctx", obs, tiny.var)


@pytest.mark.parametrize("sizes", [[1] * 7, [3, 1, 3], [7], [2, 5], [5, 0, 2]])
@pytest.mark.parametrize("options", [{"chunks": (3, 2)}, {"compression": "gzip", "chunks": (2, 5)}, {}])
def test_blocks_of_any_size_give_the_same_file(tiny: AnnData, tmp_path: Path, sizes: list, options: dict) -> None:
    with io.create(tmp_path / "a.gctx", tiny.obs, tiny.var, **options) as out:
        at, buffer = 0, np.empty((7, 5), np.float32)
        for size in sizes:
            buffer[:size] = tiny.X[at : at + size]
            out.append(buffer[:size])
            buffer[:] = np.nan  # the writer may not lean on what the caller reuses
            at += size
    np.testing.assert_array_equal(io.read(tmp_path / "a.gctx").X, tiny.X)
