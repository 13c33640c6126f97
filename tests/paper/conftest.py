"""One finished study for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_study import SMALL

import dgex


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study that nothing interrupted; not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "study"
    dgex.reproduce(folder, **SMALL)
    return folder
