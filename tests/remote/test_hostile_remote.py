"""Hostile files are refused over the network as they are from the disk."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from misbehaving import Web

import dgex
from dgex.errors import DgexError


def _external_link(folder: Path) -> str:
    with h5py.File(folder / "a.h5ad", "a") as file:
        file["away"] = h5py.ExternalLink("/etc/hostname", "/X")
    return "a.h5ad"


def _virtual(folder: Path) -> str:
    layout = h5py.VirtualLayout((4, 4), np.float32)
    layout[:] = h5py.VirtualSource("/etc/other.h5", "X", (4, 4))
    with h5py.File(folder / "a.h5ad", "a") as file:
        file.create_virtual_dataset("layers/away", layout)
    return "a.h5ad"


def _external_storage(folder: Path) -> str:
    with h5py.File(folder / "a.h5ad", "a") as file:
        file.create_dataset("away", (4,), np.uint8, external=[("/etc/hostname", 0, 4)])
    return "a.h5ad"


def _promises(folder: Path) -> str:
    with h5py.File(folder / "a.h5ad", "a") as file:
        file.create_dataset("uns/much", (1 << 40,), np.float32, chunks=(1 << 10,))
    return "a.h5ad"


def _bomb(folder: Path) -> str:
    with gzip.open(folder / "a.tsv.gz", "wb") as out:
        for _ in range(64):
            out.write(bytes(1 << 20))
    return "a.tsv.gz"


def _changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> str:
    """Change what a store says of X, wherever it says it."""
    for file in (folder / "a.zarr").rglob("*"):
        if file.name in (".zarray", ".zmetadata", "zarr.json") and file.is_file():
            said = json.loads(file.read_text())
            inside = said.get("metadata", {}) if file.name == ".zmetadata" else {}
            for key in [key for key in inside if key.endswith("X/.zarray")]:
                change(inside[key])
            if file.parent.name == "X" and file.name != ".zmetadata":
                change(said)
            file.write_text(json.dumps(said))
    return "a.zarr"


def _pickle(folder: Path) -> str:
    return _changed(folder, lambda said: said.update(filters=[{"id": "pickle"}]))


def _huge_chunks(folder: Path) -> str:
    return _changed(folder, lambda said: said.update(chunks=[1 << 30, 1 << 10]))


def _leads_out(folder: Path) -> str:
    root = folder / "a.zarr" / ".zmetadata"
    said = json.loads(root.read_text()) if root.is_file() else {"zarr_consolidated_format": 1, "metadata": {}}
    said["metadata"]["../../../../tmp/dgex-escaped/.zarray"] = {}
    root.write_text(json.dumps(said))
    return "a.zarr"


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (_external_link, "other files"),
        (_virtual, "other files"),
        (_external_storage, "other files"),
        (_promises, "holds an array"),
        (_bomb, "unpacks|line"),
        (_pickle, "codec pickle"),
        (_huge_chunks, "has chunks"),
        (_leads_out, "leads out of itself"),
    ],
)
def test_each_is_refused_in_one_line_that_names_the_url(
    make: Callable[[Path], str], word: str, web: Web, compendium: Any
) -> None:
    wanted = "a.zarr" if make in (_pickle, _huge_chunks, _leads_out) else "a.h5ad"
    dgex.write(compendium, web.folder / wanted)
    name = make(web.folder)
    with pytest.raises(DgexError, match=word) as refusal:
        dgex.read(f"{web.url}/{name}?token=SECRET")
    said = str(refusal.value)
    assert f"{web.url}/{name}" in said
    assert "SECRET" not in said
    assert said.isprintable()


def test_a_file_that_is_cut_short_is_damaged(web: Web, compendium: Any) -> None:
    for name in ("a.gctx", "a.h5ad", "a.parquet"):
        dgex.write(compendium, web.folder / name)
        content = (web.folder / name).read_bytes()
        (web.folder / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(DgexError) as refusal:
            dgex.read(f"{web.url}/{name}")
        assert web.url in str(refusal.value)
