"""Which methods suit the number of profiles and the machine, and what each is expected to cost."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from dgex.arrays.host import HOST_SHARE, host_memory
from dgex.errors import SettingsError
from dgex.models.base import Estimator
from dgex.models.catalogue import METHODS, method, new
from dgex.training.machine.ceiling import measured_ceiling
from dgex.training.machine.device import pick_device

__all__ = ["Member", "rate", "suitable"]

# Training profiles from which networks bring something beside kernels, on a CPU and on a GPU.
NETWORKS = {"cpu": 3000, "cuda": 500}
# Training profiles from which the paper's network is a member too.
PAPER = 20_000
# Training profiles beyond which a kernel of all of them takes minutes, and the centers then.
KERNEL, CENTERS = {"cpu": 20_000, "cuda": 100_000}, {"cpu": 6000, "cuda": 40_000}


class Member(NamedTuple):
    """A method with its settings, not fitted."""

    kind: str
    settings: dict[str, Any]

    def new(self, **further: Any) -> Estimator:
        """An estimator with these settings, and further ones where it takes them."""
        return new(self.kind, self.settings | further)


def suitable(names: tuple[str, ...] | None, profiles: int, device: str, seed: int) -> list[Member]:
    """The members, cheapest first as far as that is known.

    Parameters
    ----------
    names : tuple of str, optional
        Kinds of methods; None takes ridge regression, the kernel, nearest genes, and networks where there are
        profiles enough for them.
    profiles : int
        Training profiles.
    device : str
        "cpu", "cuda", "cuda:N" or "auto", for methods that take one.
    seed : int
        For methods that take one.

    Raises
    ------
    SettingsError
        No members, one that is named twice, or `auto` itself; a device that is not there.
    """
    where = pick_device(device).type
    if names is None:
        chosen = ["ridge", "kernel", "knn-ge"]
        if profiles >= NETWORKS[where] and "residual" in METHODS:
            chosen.append("residual")
        if profiles >= PAPER and where == "cuda":
            chosen.append("dgex")
    else:
        chosen = list(names)
    if not chosen or len(set(chosen)) < len(chosen) or "auto" in chosen:
        raise SettingsError("auto members", found=", ".join(chosen), accepted="methods, each once and not auto itself")
    members = []
    for kind in chosen:
        takes = set(method(kind).load()().get_params(deep=False))
        settings: dict[str, Any] = {k: v for k, v in (("device", device), ("seed", seed)) if k in takes}
        if kind == "kernel" and profiles > KERNEL[where]:
            settings["centers"] = CENTERS[where] if where == "cuda" else min(CENTERS[where], _centers_that_fit())
        members.append(Member(kind, settings))
    return members


def _centers_that_fit() -> int:
    """Centers whose three square matrices take a quarter of the memory there is for matrices."""
    return max(2, int((HOST_SHARE * host_memory() / 48) ** 0.5))


def rate(device: str) -> float:
    """Floating-point operations a second in a matrix product of float32 on the device, measured once."""
    return measured_ceiling(pick_device(device), "float32", torch.get_num_threads()).operations_per_s
