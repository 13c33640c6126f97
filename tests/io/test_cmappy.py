"""cmapPy reads what is written here; runs where an interpreter with cmapPy 4.0.1 is given."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from dgex import io

PYTHON = os.environ.get("DGEX_CMAPPY_PYTHON")
SCRIPT = Path(__file__).parent / "make_cmappy_fixtures.py"


@pytest.mark.skipif(not PYTHON, reason="DGEX_CMAPPY_PYTHON names no interpreter with cmapPy 4.0.1 and its old numpy")
def test_cmappy_reads_our_files(tiny: AnnData, tmp_path: Path) -> None:
    tiny.obs["note"] = tiny.obs["note"].replace("ü", "u")  # cmapPy knows ASCII alone
    tiny.obs["big"] = np.arange(7, dtype=np.int64) + 2**40
    files = {
        "plain.gctx": {},
        "gzip.gctx": {"compression": "gzip"},
        "chunked.gctx": {"chunks": (2, 3)},
        "new.gct": {},
        "old.gct": {"version": "1.2"},
    }
    for name, options in files.items():
        io.write(tiny, tmp_path / name, **options)
    paths = [str(tmp_path / name) for name in files]
    done = subprocess.run([str(PYTHON), str(SCRIPT), "--read", *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    for path in paths:
        assert seen[path]["genes"] == tiny.var_names.tolist()
        assert seen[path]["samples"] == tiny.obs_names.tolist()
        values = np.array(seen[path]["values"], np.float32).T
        if path.endswith(".gct"):  # cmapPy takes -666 for missing in the matrix of a GCT too
            values = np.nan_to_num(values, nan=-666)
        np.testing.assert_array_equal(values, tiny.X)
        if path.endswith("old.gct"):
            continue
        dose = list(seen[path]["sample_metadata"]["dose"].values())
        assert dose == pytest.approx([0.5, None, 2, 3, 4, 5, 1e-7])
        assert list(seen[path]["gene_metadata"]["entrez"].values()) == tiny.var["entrez"].tolist()
        assert list(seen[path]["sample_metadata"]["note"].values())[:3] == ["x y", None, "u"]
        assert list(seen[path]["sample_metadata"]["big"].values()) == tiny.obs["big"].tolist()
