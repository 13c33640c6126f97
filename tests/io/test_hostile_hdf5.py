"""HDF5 files made to do harm: each is refused in one line, or harmless."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hostile import SECRET, refused_or_harmless

import dgex
from dgex.errors import FileError, SettingsError
from dgex.limits import LIMITS

TEXT = h5py.string_dtype()
#: Datasets of either format that hold values, ids and metadata.
PLACES = {
    "gctx": ("0/DATA/0/matrix", "0/META/ROW/id", "0/META/COL/id", "0/META/ROW/kind"),
    "h5ad": ("X", "var/_index", "obs/_index", "varm/extra"),
}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """What another user's files hold, as bytes and as HDF5."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "secret").write_bytes(SECRET)
    with h5py.File(folder / "secret.h5", "w") as file:
        file["values"] = np.frombuffer(SECRET, np.float32)[:150].reshape(10, 15)
    return folder


@cache
def sound(suffix: str) -> bytes:
    """A file that is as it should be."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"sound.{suffix}"
        dgex.simulate(path, samples=10, landmarks=5, targets=10)
        return path.read_bytes()


def made(folder: Path, suffix: str, change: Callable[[h5py.File], None]) -> Path:
    path = folder / f"hostile.{suffix}"
    path.write_bytes(sound(suffix))
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def put(file: h5py.File, name: str, make: Callable[[h5py.Group, str], None]) -> None:
    """Something else in the place of a dataset."""
    if name in file:
        del file[name]
    group, _, last = name.rpartition("/")
    make(file.require_group(group) if group else file, last)


def external(kind: str, secret: Path) -> Callable[[h5py.Group, str], None]:
    """A dataset or link that leads to another file."""

    def link(group: h5py.Group, name: str) -> None:
        group[name] = h5py.ExternalLink(str(secret / "secret.h5"), "/values")

    def soft(group: h5py.Group, name: str) -> None:
        group[name] = h5py.SoftLink("/elsewhere/values")

    def raw(group: h5py.Group, name: str) -> None:
        group.create_dataset(name, (10, 15), np.float32, external=[(str(secret / "secret"), 0, h5py.h5f.UNLIMITED)])

    def ids(group: h5py.Group, name: str) -> None:
        group.create_dataset(name, (15,), "S4", external=[(str(secret / "secret"), 0, h5py.h5f.UNLIMITED)])

    def virtual(group: h5py.Group, name: str) -> None:
        layout = h5py.VirtualLayout((10, 15), np.float32)
        layout[:] = h5py.VirtualSource(str(secret / "secret.h5"), "values", (10, 15))
        group.create_virtual_dataset(name, layout)

    def itself(group: h5py.Group, name: str) -> None:
        layout = h5py.VirtualLayout((10, 15), np.float32)
        layout[:] = h5py.VirtualSource(".", f"{group.name}/{name}", (10, 15))
        group.create_virtual_dataset(name, layout)

    return {"link": link, "soft": soft, "raw": raw, "ids": ids, "virtual": virtual, "itself": itself}[kind]


@pytest.mark.parametrize("kind", ["link", "soft", "raw", "ids", "virtual", "itself"])
@pytest.mark.parametrize(("suffix", "name"), [(suffix, name) for suffix in PLACES for name in PLACES[suffix]])
def test_no_other_file_is_read(kind: str, suffix: str, name: str, secret: Path, tmp_path: Path) -> None:
    path = made(tmp_path, suffix, lambda file: put(file, name, external(kind, secret)))
    said = refused_or_harmless(path)
    assert "may point at other files" in said
    assert name.rpartition("/")[2] in said


@pytest.mark.parametrize("suffix", PLACES)
@pytest.mark.parametrize("kind", ["link", "soft"])
def test_a_group_elsewhere(kind: str, suffix: str, secret: Path, tmp_path: Path) -> None:
    name = "0/META/ROW" if suffix == "gctx" else "var"
    path = made(tmp_path, suffix, lambda file: put(file, name, external(kind, secret)))
    assert "may point at other files" in refused_or_harmless(path)


def endless(file: h5py.File, name: str) -> None:
    put(file, name, lambda group, last: group.create_dataset(last, (10**12,), "S8", chunks=(1024,)))


def wide(file: h5py.File, name: str) -> None:
    put(file, name, lambda group, last: group.create_dataset(last, (15,), "S400000000", chunks=(1,)))


def huge_chunk(file: h5py.File, name: str) -> None:
    put(
        file,
        name,
        lambda group, last: group.create_dataset(
            last, (15,), "S8", chunks=(10**8,), maxshape=(None,), compression="gzip"
        ),
    )


def one_text_a_thousand_times(file: h5py.File, name: str) -> None:
    """One text of 8 MB, to which the places of many strings point."""

    def make(group: h5py.Group, last: str) -> None:
        dataset = group.create_dataset(last, data=["x" * (8 << 20)] * 2, dtype=TEXT, chunks=(2,), maxshape=(None,))
        mask, places = dataset.id.read_direct_chunk((0,))
        dataset.resize((1000,))
        for at in range(0, 1000, 2):
            dataset.id.write_direct_chunk((at,), places[:16] * 2, mask)

    put(file, name, make)


def one_text_in_a_row(file: h5py.File, name: str) -> None:
    """The same without chunks."""

    def make(group: h5py.Group, last: str) -> None:
        dataset = group.create_dataset(last, (1000,), TEXT)
        dataset[:2] = ["x" * (8 << 20)] * 2
        dataset[2:] = "y"
        file.flush()
        with open(file.filename, "r+b") as raw:
            raw.seek(dataset.id.get_offset())
            place = raw.read(16)
            raw.seek(dataset.id.get_offset())
            raw.write(place * 1000)

    put(file, name, make)


def chunk_bomb(file: h5py.File, name: str) -> None:
    """A chunk that unpacks to 80 MiB, where 4 MiB belong."""
    import zlib

    def make(group: h5py.Group, last: str) -> None:
        dataset = group.create_dataset(last, (1 << 20,), np.float32, chunks=(1 << 20,), compression="gzip")
        packer = zlib.compressobj(1)
        part = bytes(1 << 22)
        packed = b"".join(packer.compress(part) for _ in range(20)) + packer.flush()
        dataset.id.write_direct_chunk((0,), packed)

    put(file, name, make)


def millions(file: h5py.File, name: str) -> None:
    put(file, name, lambda group, last: group.create_dataset(last, (40_000_000,), "S1", chunks=(1024,)))


@pytest.mark.parametrize("bomb", [endless, wide, huge_chunk, one_text_a_thousand_times, one_text_in_a_row, millions])
@pytest.mark.parametrize(("suffix", "name"), [("gctx", "0/META/ROW/id"), ("h5ad", "var/_index")])
def test_more_than_the_file_can_hold(bomb: Callable[..., None], suffix: str, name: str, tmp_path: Path) -> None:
    said = refused_or_harmless(made(tmp_path, suffix, lambda file: bomb(file, name)))
    assert "DGEX_MAX_MEMORY=" in said


@pytest.mark.parametrize(("suffix", "name"), [("gctx", "0/META/ROW/more"), ("h5ad", "uns/more")])
def test_a_chunk_that_unpacks_beyond_itself(
    suffix: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgex.io.hdf5_guard._SMALL", 1 << 10)
    assert "unpacks to over" in refused_or_harmless(made(tmp_path, suffix, lambda file: chunk_bomb(file, name)))


@pytest.mark.parametrize(("suffix", "name"), [("gctx", "0/DATA/0/matrix"), ("h5ad", "X"), ("h5ad", "layers/more")])
def test_a_matrix_beyond_its_file(suffix: str, name: str, tmp_path: Path) -> None:
    def make(group: h5py.Group, last: str) -> None:
        group.create_dataset(last, (10**7, 10**5), np.float32, chunks=(10, 10))

    assert "DGEX_MAX_MEMORY=" in refused_or_harmless(made(tmp_path, suffix, lambda file: put(file, name, make)))


def test_what_the_user_allows_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path, "gctx", lambda file: wide(file, "0/META/ROW/more"))
    monkeypatch.setitem(LIMITS, "chunk", 1 << 30)
    with pytest.raises(FileError, match="DGEX_MAX_MEMORY=12G"):
        dgex.io.open(path)
    monkeypatch.setenv("DGEX_MAX_MEMORY", "12 potatoes")
    with pytest.raises(SettingsError, match="bytes such as 16G"):
        dgex.io.open(path)


def deep(file: h5py.File) -> None:
    group = file
    for _ in range(500):
        group = group.create_group("g")


def circle(file: h5py.File) -> None:
    file["uns" if "obs" in file else "0"]["again"] = file["/"]


def crowded(file: h5py.File) -> None:
    for name in "ab":
        group = file.create_group(name)
        for at in range(3):
            group.create_group(str(at))


@pytest.mark.parametrize("suffix", PLACES)
@pytest.mark.parametrize(("shape", "words"), [(deep, "nested over"), (circle, "several places"), (crowded, "objects")])
def test_shapes_of_groups(
    shape: Callable[[h5py.File], None], words: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shape is crowded:
        monkeypatch.setitem(LIMITS, "objects", 12)
    assert words in refused_or_harmless(made(tmp_path, suffix, shape))


def sparse(indices: list[int], indptr: list[int]) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["X"]
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [10, 15]})
        group["data"], group["indices"], group["indptr"] = np.ones(len(indices), np.float32), indices, indptr

    return change


@pytest.mark.parametrize(
    ("indices", "indptr"),
    [
        ([10**6], [0] + [1] * 10),
        ([-5], [0] + [1] * 10),
        ([1], [0] + [10**9] * 10),
        ([1, 2], [0, 2, 1] + [2] * 8),
        ([1], [-1] + [1] * 10),
    ],
)
def test_sparse_places_outside_the_matrix(indices: list[int], indptr: list[int], tmp_path: Path) -> None:
    assert refused_or_harmless(made(tmp_path, "h5ad", sparse(indices, indptr)))


def test_virtual_data_of_itself_ends_no_process(tmp_path: Path) -> None:
    path = made(tmp_path, "gctx", lambda file: put(file, PLACES["gctx"][0], external("itself", tmp_path)))
    finished = subprocess.run([sys.executable, "-m", "dgex", "info", str(path)], capture_output=True, text=True)
    assert finished.returncode == 1
    assert finished.stderr.count("\n") == 1
    assert finished.stderr.startswith("error: ")


def test_names_that_steer_a_terminal_are_shown(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        names = ["\x1b[2Jgene", "\x1b[2Jgene", *(f"G{at}" for at in range(13))]
        put(file, "0/META/ROW/id", lambda group, last: group.create_dataset(last, data=names, dtype=TEXT))

    said = refused_or_harmless(made(tmp_path, "gctx", change))
    assert "\\u001b[2Jgene" in said
