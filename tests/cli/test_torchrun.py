"""`torchrun -m dgex train` as a user meets it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from together import values

from dgex.cli.app import run
from dgex.fitting.train import train
from dgex.models.folder import load
from dgex.training.processes.group import Group
from dgex.training.run.history import read_history

pytestmark = pytest.mark.xdist_group("ranks")  # their server starts once

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "dgex"]


def torchrun(*arguments: object) -> subprocess.Popen[str]:
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*TORCHRUN, *map(str, arguments)], env=os.environ | {"OMP_NUM_THREADS": "1"}, **told)


def worker(launcher: subprocess.Popen[str], rank: int) -> int:
    """Process id of a rank."""
    for child in Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split():
        if f"\0LOCAL_RANK={rank}\0" in Path(f"/proc/{child}/environ").read_text():
            return int(child)
    raise AssertionError(f"no process of rank {rank}")


def command_line(group: Group, command: list[str]) -> tuple[int, str, str]:
    """Exit code of a command in one process of several, what it printed and what it said."""
    sys.argv[1:] = command
    code, printed, said = 0, io.StringIO(), io.StringIO()
    with redirect_stdout(printed), redirect_stderr(said):
        try:
            run()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return code, printed.getvalue(), said.getvalue()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the processes by /proc")
def test_a_lost_rank_ends_the_run_and_resuming_finishes_it(dataset_file: Path) -> None:
    model, history = dataset_file.parent / "m", dataset_file.parent / "m.checkpoint" / "history.jsonl"
    settings = ["--hidden", "16,8", "--batch-size", 50, "--device", "cpu", "--epochs"]
    running = torchrun("train", dataset_file, model, *settings, 100_000)
    deadline = time.monotonic() + 60
    while not (history.exists() and history.read_text().count("\n") >= 3) and time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):  # leaves the processor to the processes, unlike a busy loop
            running.wait(0.02)
            break
    os.kill(worker(running, 1), signal.SIGKILL)
    printed, said = running.communicate(timeout=60)
    assert (running.returncode, printed) == (1, "")
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert "another rank of the 2 was lost" in errors[0]
    assert f"the checkpoint in {model}.checkpoint is whole: resume=True (--resume)" in errors[0]
    assert os.sep + os.path.join("dgex", "training") not in said  # no traceback of ours
    assert not model.exists()

    epochs = len(read_history(history)) + 2
    command = ["train", dataset_file, model, *settings, epochs, "--resume"]
    ended = values(2, command_line, [str(word) for word in command])  # quicker than another torchrun
    assert [code for code, *_ in ended] == [0, 0], ended
    assert "".join(printed for _, printed, _ in ended) == f"{model}\n"
    assert "".join(said for *_, said in ended).count("2 processes on 1 host over gloo") == 1
    alone = train(dataset_file, hidden=(16, 8), batch_size=50, device="cpu", epochs=epochs)
    for name, value in load_file(model / "model.safetensors").items():
        if name in alone._arrays():
            np.testing.assert_allclose(value, alone._arrays()[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["auto", "kernel"])
def test_other_methods_are_left_to_the_first(method: str, dataset_file: Path) -> None:
    """As one process trains them; the networks within `auto` wait for nobody."""
    model = dataset_file.parent / f"first-{method}"
    command = ["train", str(dataset_file), str(model), "--method", method]
    (code, printed, said), *others = values(2, command_line, command)
    assert (code, printed) == (0, f"{model}\n")
    assert f"{method} is trained by the first of 2 processes alone" in said
    assert [other[:2] for other in others] == [(0, "")]
    assert load(model).kind == method
