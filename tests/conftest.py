"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real matrices; tests that need it are skipped where DGEX_TEST_DATA is not set."""
    folder = os.environ.get("DGEX_TEST_DATA")
    if not folder:
        pytest.skip("DGEX_TEST_DATA is not set: the real matrices are not part of the repository")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"DGEX_TEST_DATA points at {folder}, which is no folder")
    return path
