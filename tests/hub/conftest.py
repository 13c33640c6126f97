"""A hub on this machine, and a model to share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hub_stand_in import TOKEN, Hub, standing_in

import dgex

if TYPE_CHECKING:
    from anndata import AnnData


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The Hub, for this process and for those that it starts; one is logged in."""
    constants = pytest.importorskip("huggingface_hub.constants")
    with standing_in() as stand_in:
        home = tmp_path / "huggingface"
        read_when_imported = {
            "ENDPOINT": stand_in.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": stand_in.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_TOKEN_PATH": str(home / "token"),
            "HF_HUB_DISABLE_XET": True,
        }
        for name, value in read_when_imported.items():
            monkeypatch.setattr(constants, name, value)
        for name, text in {
            "HF_ENDPOINT": stand_in.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": TOKEN,
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, text)
        monkeypatch.delenv("HF_HUB_CACHE", raising=False)
        yield stand_in


@pytest.fixture
def model(dataset: AnnData, tmp_path: Path) -> Path:
    """A model folder with names of its training profiles in it."""
    dgex.train(dataset, "ridge", tmp_path / "ridge")
    return tmp_path / "ridge"
