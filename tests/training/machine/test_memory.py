"""Memory: limits of the host, what fits a GPU and what is proposed where it does not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from dgex.arrays import host as host_room
from dgex.arrays.host import fits_host, host_memory
from dgex.errors import SettingsError
from dgex.training.machine import memory
from dgex.training.machine.memory import Footprint, choose_placement

GPU = torch.device("cuda:0")
PAPER = Footprint((943, 9000, 9000, 9000, 9520), 200)


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: size)


def host(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(memory, "host_memory", lambda: size)
    monkeypatch.setattr(host_room, "host_memory", lambda: size)


def test_needs_hold_the_weights_and_grow_with_everything() -> None:
    weights = 943 * 9000 + 2 * 9000 * 9000 + 9000 * 9520 + 3 * 9000 + 9520
    assert PAPER.bytes > weights * (8 + 4)
    larger = [
        Footprint((943, 9000, 9001, 9000, 9520), 200),
        Footprint(PAPER.sizes, 201),
    ]
    assert all(other.bytes > PAPER.bytes for other in larger)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("sizes", [PAPER.sizes, (943, 9000, 300, 9520), (20, 30000, 50000)])
def test_what_is_proposed_fits_and_the_next_larger_does_not(
    monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...], share: float
) -> None:
    needs = Footprint(sizes, 4000)
    room = int(share * needs.bytes)
    free(monkeypatch, room)
    with pytest.raises(SettingsError, match=r"needs about .* GiB on cuda:0, where .* GiB are free; ") as found:
        needs.require(GPU)
    said = str(found.value)
    assert "\n" not in said
    assert said.endswith("device='cpu'")
    first, *hidden, last = sizes

    def size(hidden: list[int], last: int = last, batch: int = 4000) -> int:
        return Footprint((first, *hidden, last), batch).bytes

    proposals = dict(re.findall(r"([a-z_]+)=\(?(\d+(?:, \d+)*)", said))
    if "hidden" in proposals:
        widths = [int(n) for n in proposals["hidden"].split(",")]
        assert size(widths) <= room < size([min(max(widths) + 1, n) for n in hidden])
    else:
        assert size([1] * len(hidden)) > room
    if "target_parts" in proposals:
        parts = int(proposals["target_parts"])
        assert size(hidden, -(-last // parts)) <= room < size(hidden, -(-last // (parts - 1)))
    else:
        assert size(hidden, 1) > room
    if "batch_size" in proposals:
        batch = int(proposals["batch_size"])
        assert size(hidden, batch=batch) <= room < size(hidden, batch=batch + 1)
    else:
        assert size(hidden, batch=1) > room


def test_a_network_that_fits_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, PAPER.bytes)
    PAPER.require(GPU)
    free(monkeypatch, 0)
    PAPER.require(torch.device("cpu"))


def test_running_out_of_memory_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 100 << 30)  # somebody else took it meanwhile and gave it back
    with (
        pytest.raises(SettingsError, match=r"memory ran out .*; what would fit: hidden=") as found,
        PAPER.watched(GPU),
    ):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20 MiB")
    assert "\n" not in str(found.value)
    with pytest.raises(SettingsError, match="finds no room on cuda:0"), memory.predicting(GPU):
        raise torch.cuda.OutOfMemoryError
    with pytest.raises(RuntimeError, match="something else"), PAPER.watched(GPU):
        raise RuntimeError("something else")


@pytest.mark.parametrize(
    ("lines", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "4000", "memory.max": "9000"}, 4000),
        ("0::/elsewhere\n", {"memory.max": "5000"}, 5000),  # a container sees its group at the root
        ("7:cpu,memory:/x\n2:pids:/x\n", {"memory/x/memory.limit_in_bytes": "3000", "x/memory.max": "1"}, 3000),
        ("3:pids:/x\n", {"memory.max": "1"}, None),
    ],
)
def test_limits_of_control_groups(tmp_path: Path, lines: str, files: dict[str, str], expected: int | None) -> None:
    (tmp_path / "cgroup").write_text(lines)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert min(host_room._group_limits(tmp_path / "cgroup", tmp_path), default=None) == expected
    assert not list(host_room._group_limits(tmp_path / "not-there", tmp_path))


def test_this_machine_has_memory() -> None:
    assert 0 < host_memory() < 1 << 50
    assert fits_host(1)
    assert not fits_host(host_memory())


def test_limits_of_the_process_count(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    limits = {resource.RLIMIT_DATA: 5000, resource.RLIMIT_AS: resource.RLIM_INFINITY}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limits[kind], resource.RLIM_INFINITY))
    assert host_memory() == 5000
    assert not fits_host(4000)


def test_placement_follows_what_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="dgex")
    array = np.zeros((1000, 10), np.float32)
    array.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", np.float32, "r", shape=array.shape)[10:]
    needs, cpu = Footprint((4, 5, 6), 20), torch.device("cpu")

    def chosen(matrix: np.ndarray, device: torch.device, wanted: str = "auto") -> str:
        return choose_placement(wanted, [matrix], device, needs)

    host(monkeypatch, 1 << 30)
    assert [chosen(m, cpu) for m in (array, mapped)] == ["device", "device"]
    assert not caplog.text  # what everybody expects needs no words
    free(monkeypatch, needs.bytes + array.nbytes)
    assert [chosen(m, GPU) for m in (array, mapped)] == ["device", "device"]
    free(monkeypatch, needs.bytes + array.nbytes // 2)
    assert [chosen(m, GPU) for m in (array, mapped)] == ["memory", "memory"]
    assert "of profiles stay in memory" in caplog.text
    host(monkeypatch, array.nbytes)
    assert [chosen(m, GPU) for m in (array, mapped)] == ["memory", "disk"]
    assert [chosen(m, cpu) for m in (array, mapped)] == ["device", "disk"]
    assert "training from disk" in caplog.text
    assert [chosen(array, GPU, wanted) for wanted in ("device", "memory", "disk")] == ["device", "memory", "disk"]


@pytest.mark.gpu
def test_a_gpu_too_small_for_the_network() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    device = torch.device("cuda")
    assert 0 < memory.free_memory(device) <= torch.cuda.get_device_properties(device).total_memory
    with pytest.raises(SettingsError, match="what would fit: hidden="):
        Footprint((1000, 300_000, 300_000, 1000), 200).require(device)
    with pytest.raises(SettingsError, match="finds no room"), memory.predicting(device):
        torch.empty(1 << 45, dtype=torch.uint8, device=device)
