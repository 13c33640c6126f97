"""A server with a small model, as `dgex serve` starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anndata import AnnData
from visiting import Client


@pytest.fixture(scope="session")
def models(dataset: AnnData, compendium: AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model and one panel to try."""
    import dgex

    folder = tmp_path_factory.mktemp("on-offer")
    dgex.train(dataset, "ridge", output=folder / "small")
    (folder / "examples").mkdir()
    landmarks = (compendium.var["role"] == "landmark").to_numpy()
    dgex.write(compendium[:6, landmarks].copy(), folder / "examples" / "panel.csv")
    return folder


@pytest.fixture(scope="session")
def panel(models: Path) -> bytes:
    """Six profiles with the landmark genes of the model, as CSV."""
    return (models / "examples" / "panel.csv").read_bytes()


@pytest.fixture(scope="session")
def client(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server that runs while the tests do, and ends as by Ctrl-C; nothing is left of it."""
    temporary = tmp_path_factory.mktemp("served")
    command = [sys.executable, "-m", "dgex", "--quiet", "serve", str(models), "--port", "0", "--max-upload", "1M"]
    environment = os.environ | {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as server:
        assert server.stdout is not None
        try:
            yield Client(server.stdout.readline().strip(), server.pid)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
    assert not list(temporary.iterdir())


@pytest.fixture(scope="session")
def job(client: Client, panel: bytes) -> dict[str, Any]:
    """A finished job."""
    status, told = client.send("/api/infer", {"panel.csv": panel}, model="small")
    assert status == 202, told
    return client.ended(f"/api/jobs/{told['id']}")
