"""The campaign of faults of `fuzz/faults.py`, a few of each kind: small, and the same every time but for the clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz"


@pytest.mark.skipif(sys.platform != "linux", reason="kills by what Linux tells of processes and files")
def test_faults_leave_nothing_wrong_and_what_follows_is_equal() -> None:
    """In a process of its own, which forks: threads of other tests do not survive that."""
    command = [sys.executable, str(FUZZ / "faults.py"), "--quick", "--json"]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    told = json.loads(done.stdout or "{}")
    assert told.get("findings") == [], done.stderr
    assert told["counts"] == {"parts": {"kill": 1, "short write": 1, "flipped": 1}}
