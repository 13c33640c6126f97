"""What there is of memory, on the host and on a GPU, what training needs of it, and what would fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from dgex.arrays.host import fits_host, host_memory
from dgex.arrays.maps import map_of
from dgex.errors import SettingsError
from dgex.progress import note
from dgex.training.machine.architecture import Architecture

__all__ = ["DescentFootprint", "Footprint", "choose_placement", "free_memory", "predicting"]

_ON_CPU = "device='cpu'"
_BLOCK = 8192  # profiles that are evaluated at once
_DOUBLES = 1 << 24  # elements of a float64 working copy while errors are measured


# ---- the host


# ---- a GPU


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on a CUDA device, with what PyTorch holds in reserve."""
    reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + reserve


@dataclass(frozen=True)
class Footprint:
    """What training a network takes of a device besides its data.

    Attributes
    ----------
    sizes : tuple of int
        Landmark genes, units of each hidden layer, target genes.
    batch_size : int
        Profiles a step.
    parts : int
        Of how many networks that share the targets this is one.
    """

    sizes: tuple[int, ...]
    batch_size: int
    parts: int = 1

    @property
    def bytes(self) -> int:
        """An estimate, rather too high than too low.

        Of each weight 8 bytes (float32 with its momentum) and 4 for a copy on its way to the host, or for bfloat16
        and a gradient. Of a batch, in float32: inputs and targets twice (one pair waits), of each hidden layer five
        matrices (units, mask, inputs of the next layer, two of the error signal), of the targets three. Errors are
        measured on 8,192 profiles at a time: two layers that follow each other in float32, and four float64 matrices
        of 2^24 values at most. A tenth and 256 MiB are added for what allocators and libraries take.
        """
        sizes = self.sizes
        network = Architecture.chain(sizes)
        batch = 4 * self.batch_size * (2 * (sizes[0] + sizes[-1]) + 5 * network.units + 3 * sizes[-1])
        measuring = 4 * _BLOCK * (network.widest + sizes[-1]) + 4 * 8 * min(_DOUBLES, _BLOCK * sizes[-1])
        return int(1.1 * (12 * network.parameters + batch + measuring)) + (256 << 20)

    def require(self, device: torch.device) -> None:
        """Refuse a network that a CUDA device has no room to train, before anything is put there.

        Raises
        ------
        SettingsError
            Says what is needed, what is free and what would fit.
        """
        if device.type == "cuda" and self.bytes > (free := free_memory(device)):
            raise SettingsError(self._too_small(device, f"{_gib(free)} are free", free))

    @contextmanager
    def watched(self, device: torch.device) -> Iterator[None]:
        """Turn a GPU that runs out of memory inside the block into the error of `require`."""
        try:
            yield
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            free = free_memory(device)
            state = f"memory ran out although {_gib(free)} are free without it (does somebody else use the device?)"
            raise SettingsError(self._too_small(device, state, min(free, self.bytes - 1))) from None

    def _too_small(self, device: torch.device, state: str, free: int) -> str:
        return (
            f"the network {'-'.join(map(str, self.sizes))} with batches of {self.batch_size:,} needs about "
            f"{_gib(self.bytes)} on {device}, where {state}; what would fit: "
            f"{', '.join([*self._ways(free), _ON_CPU])}"
        )

    def _asked(self, hidden: tuple[int, ...]) -> tuple[int, ...]:
        """The setting that makes these hidden layers."""
        return hidden

    def _ways(self, free: int) -> list[str]:
        """What would fit into `free` bytes when one thing is changed: widths, targets at a time, or profiles a step."""
        first, *hidden, last = self.sizes

        def narrower(width: int) -> Footprint:
            return replace(self, sizes=(first, *(min(width, units) for units in hidden), last))

        def parts(targets: int) -> Footprint:
            return replace(self, sizes=(first, *hidden, targets))

        def smaller(batch: int) -> Footprint:
            return replace(self, batch_size=batch)

        ways = []
        if width := _most(max(hidden), lambda n: narrower(n).bytes <= free):
            ways.append(f"hidden={self._asked(narrower(width).sizes[1:-1])}")
        if targets := _most(last, lambda n: parts(n).bytes <= free):
            ways.append(f"target_parts={-(-last * self.parts // targets)}")
        if batch := _most(self.batch_size, lambda n: smaller(n).bytes <= free):
            ways.append(f"batch_size={batch}")
        return ways


@dataclass(frozen=True)
class DescentFootprint(Footprint):
    """What training by autograd and an optimiser takes of a device besides its data; `sizes` as `Shape.chain`.

    Attributes
    ----------
    residual : bool
        Whether the first two of the hidden sizes are the stem and the first block: only one of them can be chosen.
    skip, averaging : bool
        Whether there is a matrix from the landmarks to the targets, and a second copy of all weights.
    """

    residual: bool = True
    skip: bool = False
    averaging: bool = False

    @property
    def bytes(self) -> int:
        """An estimate, rather too high than too low.

        Of each weight 16 bytes (float32 with its gradient and two moments), 4 for bfloat16 copies, 4 for a copy on its
        way to the host, and 4 for the mean of weights. Of a batch, in float32: inputs and targets three times, of each
        hidden layer eight matrices, of the outputs six. Errors are measured as for `Footprint`.
        """
        sizes = self.sizes
        network = Architecture.chain(sizes)
        weights = network.parameters + (sizes[0] * sizes[-1] if self.skip else 0)
        batch = 4 * self.batch_size * (3 * (sizes[0] + sizes[-1]) + 8 * network.units + 6 * sizes[-1])
        measuring = 4 * _BLOCK * (3 * network.widest + sizes[-1]) + 4 * 8 * min(_DOUBLES, _BLOCK * sizes[-1])
        return int(1.1 * ((28 if self.averaging else 24) * weights + batch + measuring)) + (256 << 20)

    def _asked(self, hidden: tuple[int, ...]) -> tuple[int, ...]:
        return hidden[1:] if self.residual else hidden

    def _ways(self, free: int) -> list[str]:
        return [way for way in super()._ways(free) if not way.startswith("target_parts")]


@contextmanager
def predicting(device: torch.device) -> Iterator[None]:
    """Turn a GPU that runs out of memory while a network predicts into an error that says what helps."""
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        free = _gib(free_memory(device))
        raise SettingsError(f"the network finds no room on {device}, where {free} are free; use --device cpu") from None


def _most(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest number below `limit` that fits, 0 where none does; what fits, fits when it is smaller too."""
    low, high = 0, limit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _gib(size: float) -> str:
    return f"{size / (1 << 30):,.1f} GiB"


# ---- where the data lie


def choose_placement(wanted: str, matrices: Sequence[np.ndarray], device: torch.device, needs: Footprint) -> str:
    """Choose between matrices on the "device", in host "memory" and on "disk", and say why.

    Parameters
    ----------
    wanted : str
        One of these, or "auto": on disk where a memory map is larger than the host's memory can hold and the device
        holds it neither, on the device where they fit beside what training needs there, else in memory.
    matrices : sequence of ndarray
        Training and evaluation matrices.
    device : torch.device
        Where the network is trained.
    needs : Footprint
        What the network takes of it.
    """
    if wanted != "auto":
        return wanted
    size = sum(matrix.nbytes for matrix in matrices)
    too_large = any(map_of(matrix) is not None for matrix in matrices) and not fits_host(size)
    if device.type != "cuda":
        if too_large:
            note(f"training from disk: {_gib(size)} of profiles, {_gib(host_memory())} of memory")
        return "disk" if too_large else "device"
    room = free_memory(device) - needs.bytes
    chosen = "device" if size <= room else "disk" if too_large else "memory"
    where = {"device": f"moved to {device}", "memory": "stay in memory", "disk": "are read from disk"}[chosen]
    note(f"{_gib(size)} of profiles {where}: {_gib(max(0, room))} are free there beside the network")
    return chosen
