"""Work dealt to several processes: what they tell each other, and the same models as one process makes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import dgex
from dgex.training.ranks import alone, from_first, share, world

# What every rank does: a network in three parts, then a grid.
WORK = """
import sys
import numpy as np
import dgex
data = dgex.read("data.h5ad")
X, Y = (np.asarray(data[:, (data.var["role"] == role).to_numpy()].X) for role in ("landmark", "target"))
settings = dict(learning_rate=0.02, batch_size=30, epochs=3, device="cpu")
model = dgex.DGEX(hidden=(6,), target_parts=3, partition="cluster", **settings)
model.fit(X, Y, {"va": (X[:40], Y[:40])}, checkpoint_dir=sys.argv[1] + "/checkpoint")
model.save(sys.argv[1] + "/model-" + sys.argv[2])
dgex.train_grid("data.h5ad", sys.argv[1] + "/grid", {"hidden": [4, 6], "dropout": [0, 0.2]}, **settings)
"""


def processes(folder: Path, code: str, size: int = 2, *arguments: object) -> list[tuple[int, str]]:
    """Run `code` as `size` ranks; return their exit codes and what they wrote to stderr."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(size), "OMP_NUM_THREADS": "1"}
    told["PYTHONPATH"] = str(Path(dgex.__file__).parents[1])
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments), str(rank)],
            env=os.environ | told | {"RANK": str(rank)},
            cwd=folder,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for rank in range(size)
    ]
    return [(process.wait(), said) for process in running for _, said in [process.communicate(timeout=120)]]


def test_one_process_is_all() -> None:
    assert world() == (0, 1)
    assert share("a", "") == ["a"]
    assert from_first(lambda: 3, "") == 3


def test_alone_is_one_process_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert world() == (2, 4)
    with alone():
        assert world() == (0, 1)
    assert world() == (2, 4)


def test_ranks_hear_each_other_and_the_error_of_the_first(tmp_path: Path) -> None:
    code = """
from dgex.errors import DgexError
from dgex.training.ranks import from_first, share, world
rank = world()[0]
assert share(rank * 10, "") == [0, 10]
assert from_first(lambda: 7 if rank == 0 else 1 / 0, "") == 7
def fail(): raise DgexError("no room")
try:
    from_first(fail, "")
except DgexError as error:
    assert str(error) == "no room"
else:
    raise SystemExit("nothing was raised")
"""
    assert [found for found, _ in processes(tmp_path, code)] == [0, 0]


def test_a_rank_that_is_gone_is_told(tmp_path: Path) -> None:
    code = """
import os
from dgex.training.ranks import share, world
share(None, "")
if world()[0] == 1:
    os._exit(9)
share(None, "everything is in the folder")
"""
    (lost, said), (gone, _) = processes(tmp_path, code)
    assert (lost, gone) == (1, 9)
    assert "DgexError: another of the 2 processes is gone" in said
    assert "everything is in the folder" in said


def test_parts_and_grids_over_two_processes_are_those_of_one(dataset_file: Path) -> None:
    folder = dataset_file.parent
    for name, size in (("one", 1), ("two", 2)):
        (folder / name).mkdir()
        assert [code for code, _ in processes(folder, WORK, size, folder / name)] == [0] * size
    model = (folder / "one" / "model-0" / "model.safetensors").read_bytes()
    for rank in (0, 1):
        assert (folder / "two" / f"model-{rank}" / "model.safetensors").read_bytes() == model
    one, two = (
        {path.parent.name: path.read_bytes() for path in (folder / name / "grid").glob("*/model.safetensors")}
        for name in ("one", "two")
    )
    assert len(one) == 4
    assert one == two
    assert (folder / "two" / "grid" / "grid.tsv").read_text().count("finished") == 4
