"""Devices: those that are there are taken, others are named."""

from __future__ import annotations

import pytest
import torch

from dgex.errors import SettingsError
from dgex.training.machine.device import pick_device


def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda n: f"Accelerator {'AB'[n]}")


def test_devices_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    two_gpus(monkeypatch)
    for name in ("cpu", "cuda", "cuda:0", "cuda:1"):
        assert pick_device(name) == torch.device(name)
    assert pick_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:2", "cuda:999"])
def test_a_gpu_beyond_the_last_names_those_there_are(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    two_gpus(monkeypatch)
    with pytest.raises(SettingsError, match=rf"found '{name}', accepted .*cuda:0 \(Accelerator A\), cuda:1 \(Acc"):
        pick_device(name)


@pytest.mark.parametrize("name", ["tpu", "cuda:", "cuda:x", "cuda:-1", "cuda:01", "CUDA", ""])
def test_what_is_no_device(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    two_gpus(monkeypatch)
    with pytest.raises(SettingsError, match=r"device: found .*accepted 'auto', 'cpu', 'cuda' or 'cuda:N'"):
        pick_device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_no_gpu_at_all(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match=f"found '{name}', but PyTorch sees no CUDA device here"):
        pick_device(name)
