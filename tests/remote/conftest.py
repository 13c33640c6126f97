"""A folder on the web and one in memory, and nobody who waits."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from misbehaving import Web, served

from dgex.remote.answers import Patience
from dgex.remote.stores import patience


@pytest.fixture(autouse=True)
def _hurried() -> Iterator[None]:
    """Try again at once."""
    before = patience(Patience(retries=3, timeout=5.0, sleep=lambda seconds: None))
    yield
    patience(before)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """An empty folder of its own, on the web."""
    folder = tmp_path / "web"
    folder.mkdir()
    with served(folder) as found:
        yield found


@pytest.fixture
def memory() -> Iterator[str]:
    """A folder of fsspec's file system in memory."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'dgex-infer[remote]'")
    system = fsspec.filesystem("memory")
    name = f"/dgex-{uuid.uuid4().hex}"
    yield f"memory:/{name}"
    if system.exists(name):
        system.rm(name, recursive=True)
