"""Fixtures shared by all tests."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dgex import progress

if TYPE_CHECKING:
    from anndata import AnnData


if importlib.util.find_spec("torch") is None:  # the newest Pythons are tested without its gigabytes

    def _skip(outcome: Any) -> None:
        report = outcome.get_result()
        told = f"{report.longrepr}{report.capstderr}"
        if report.failed and ("No module named 'torch'" in told or "torch is missing" in told):
            report.outcome, report.longrepr = "skipped", (report.nodeid, 0, "Skipped: torch is not installed")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport() -> Generator[None, Any, None]:
        _skip((yield))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report() -> Generator[None, Any, None]:
        _skip((yield))


@pytest.fixture(autouse=True)
def _quiet_again() -> Generator[None, None, None]:
    """A command that a test runs in this process makes dgex speak; the next test is to find it silent."""
    yield
    progress.enable(False)


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


@pytest.fixture(scope="session")
def compendium() -> AnnData:
    """A small simulated compendium with raw log2 values."""
    from dgex.datasets.simulated.simulate import simulate

    return simulate(samples=240, landmarks=20, targets=30, programmes=5, tissues=4, seed=1)


@pytest.fixture(scope="session")
def dataset(compendium: AnnData) -> AnnData:
    """The compendium made a dataset: standardised by training statistics and split."""
    from dgex.prepare.pipeline import prepare

    return prepare(compendium.copy(), seed=0)


@pytest.fixture
def dataset_file(dataset: AnnData, tmp_path: Path) -> Path:
    """The dataset as a file."""
    from dgex import io

    io.write(dataset, tmp_path / "data.h5ad")
    return tmp_path / "data.h5ad"
