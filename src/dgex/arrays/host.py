"""How much memory this process may use, and what is to be worked on from disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["HOST_SHARE", "fits_host", "host_memory"]

HOST_SHARE = 0.6  # of the host's memory that matrices may take; the rest is for the network and everybody else


def host_memory() -> int:
    """Bytes of memory that this process can ever have.

    What the machine has, or what its control groups or its limits (`ulimit -d`, `ulimit -v`) allow.
    """
    import resource  # which not every system has; nobody else here needs it

    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    own = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    groups = _group_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return min([most, *(limit for limit in own if limit != resource.RLIM_INFINITY), *groups])


def _group_limits(membership: Path, root: Path) -> Iterator[int]:
    """Limits of the control groups around this process, of version 2 (memory.max) and 1 (limit_in_bytes)."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            base, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        inside = Path(path.lstrip("/"))
        for folder in (inside, *inside.parents):  # a container sees its own group at the root
            try:
                yield int((base / folder / name).read_text())
            except (OSError, ValueError):  # not there, or "max"
                continue


def fits_host(size: int) -> bool:
    """Tell whether matrices of `size` bytes are held in memory, or worked on from disk."""
    return size <= HOST_SHARE * host_memory()
