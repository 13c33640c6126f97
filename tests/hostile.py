"""What the hostile sets share: files elsewhere that must stay as they are, and refusals of one line."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np

import dgex
from dgex.errors import DgexError

SECRET = b"0123456789abcdef" * 64


def listing(folder: Path) -> dict[str, str]:
    """Every file below a folder and its digest, or its size where it is mostly a hole."""

    def digest(path: Path) -> str:
        if not path.is_file():
            return "no file"
        size = path.stat().st_size
        return f"{size} bytes" if size > 1 << 28 else hashlib.sha256(path.read_bytes()).hexdigest()

    return {str(path.relative_to(folder)): digest(path) for path in sorted(folder.rglob("*"))}


def refused_or_harmless(path: Path, secret: bytes = SECRET, open: Callable[[Path], object] = dgex.read) -> str:
    """Read a file: its refusal if it is one of one line, else the empty string; nothing of `secret` may come out."""
    before = listing(path.parent)
    try:
        found = open(path)
    except DgexError as error:
        said = str(error)
        assert said.isprintable(), said
        assert 0 < len(said) < 1000
        return said
    finally:
        assert listing(path.parent) == before
    values = np.ascontiguousarray(getattr(found, "X", np.zeros(0)))
    assert secret[:16] not in values.tobytes()
    return ""


def listening(path: Path) -> None:
    """Make a socket."""
    here = os.getcwd()
    os.chdir(path.parent)  # an address of a socket is a hundred characters at most
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)
