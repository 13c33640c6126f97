"""Text that gzip packed is unpacked as the standard library does it, whatever the pieces."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest

from dgex.inputs import Unpacked

TEXT = "".join(f"{value}\n" for value in np.random.default_rng(0).normal(size=40_000)).encode()


def unpacked(path: Path, size: int) -> bytes:
    with Unpacked(path) as stream:
        return b"".join(iter(lambda: stream.read(size), b""))


@pytest.mark.parametrize("size", [1000, 1 << 16, (1 << 20) + 1, 8 << 20])
@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(TEXT),
        gzip.compress(TEXT[:70_000]) + gzip.compress(b"") + gzip.compress(TEXT[70_000:]),
        gzip.compress(TEXT) + bytes(100_000),
        TEXT,
    ],
    ids=["one part", "three parts", "zeros after it", "not packed"],
)
def test_the_same_bytes_come_whatever_the_pieces(tmp_path: Path, packed: bytes, size: int) -> None:
    (tmp_path / "x").write_bytes(packed)
    assert unpacked(tmp_path / "x", size) == TEXT
    with Unpacked(tmp_path / "x") as stream:
        assert len(stream.read(300_000)) == 300_000
        assert stream.read() == TEXT[300_000:]


def test_what_is_damaged_is_told(tmp_path: Path) -> None:
    whole = gzip.compress(TEXT)
    damaged = whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:]  # of the checksum
    for packed, error in (
        *((whole[:end], EOFError) for end in (5, 1000, len(whole) - 8, len(whole) - 1)),
        (damaged, zlib.error),
        (whole + b"and more", gzip.BadGzipFile),
        (whole + b"\x1f", gzip.BadGzipFile),
    ):
        (tmp_path / "x.gz").write_bytes(packed)
        with pytest.raises(error):
            unpacked(tmp_path / "x.gz", 1 << 20)
