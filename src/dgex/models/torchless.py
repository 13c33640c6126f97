"""What is to be said where torch is missing, and what works without it."""

from __future__ import annotations

from dgex.models.catalogue import METHODS

__all__ = ["methods_without_torch", "torch_missing"]


def methods_without_torch() -> list[str]:
    """The methods whose modules can be loaded where torch cannot; all of them where it can."""
    found = []
    for name, entry in METHODS.items():
        try:
            entry.load()
        except ModuleNotFoundError:
            continue
        found.append(name)
    return found


def torch_missing(error: ModuleNotFoundError) -> str:
    """One line for a torch that cannot be imported."""
    return (
        f"torch is missing ({error.msg}), and this needs it; without it there are --method "
        f"{', '.join(methods_without_torch())}; pip install torch brings it (https://pytorch.org has builds for GPUs)"
    )
