"""One pass over a file that came."""

from __future__ import annotations

import gzip
import hashlib
import tracemalloc
from pathlib import Path

import pytest

from dgex.datasets.public.unpack import DamagedError, digest, settle
from dgex.errors import FileError

TEXT = b"gene\tvalue\n" * 3000


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(TEXT),
        gzip.compress(TEXT[:5]) + gzip.compress(b"") + gzip.compress(TEXT[5:]),
        gzip.compress(TEXT) + b"\0" * 512,  # as tapes pad it
    ],
    ids=["one member", "three members", "padded"],
)
def test_a_gzip_is_decompressed_and_both_forms_are_digested(tmp_path: Path, packed: bytes) -> None:
    came, out = tmp_path / "a.txt.gz", tmp_path / "a.txt"
    came.write_bytes(packed)
    outer, inner = settle(came, out, packed=True, checksum=f"md5:{hashlib.md5(packed).hexdigest()}")
    assert out.read_bytes() == TEXT
    assert (outer.size, outer.sha256) == (len(packed), sha(packed))
    assert (inner.size, inner.sha256) == (len(TEXT), sha(TEXT))
    assert digest(out) == inner
    assert settle(came, None, packed=True) == (outer, inner)


def damaged() -> dict[str, bytes]:
    whole = gzip.compress(TEXT)
    flipped = bytearray(whole)
    flipped[-6] ^= 1  # in the CRC
    length = bytearray(whole)
    length[-1] ^= 1
    inside = bytearray(whole)
    inside[len(whole) // 2] ^= 255
    return {
        "cut": whole[:-3],
        "cut in a second member": whole + whole[: len(whole) // 2],
        "crc": bytes(flipped),
        "length": bytes(length),
        "inside": bytes(inside),
        "a page": b"<!DOCTYPE html><html>not found</html>",
        "rubbish after it": whole + b"rubbish",
        "two bytes": whole[:2],
    }


@pytest.mark.parametrize("kind", damaged())
def test_a_damaged_gzip_is_told_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    came, out = tmp_path / "a.txt.gz.partial", tmp_path / "a.txt"
    came.write_bytes(damaged()[kind])
    for output in (out, None):
        with pytest.raises(DamagedError, match=r"^a\.txt\.gz (is damaged or no gzip file|is a gzip file that ends)"):
            settle(came, output, packed=True)
    assert not out.exists()


def test_a_checksum_is_compared(tmp_path: Path) -> None:
    came = tmp_path / "a.txt.gz"
    came.write_bytes(gzip.compress(TEXT))
    with pytest.raises(DamagedError, match=f"sha512 is .*, published is {'0' * 128}"):
        settle(came, tmp_path / "a.txt", packed=True, checksum=f"sha512:{'0' * 128}")
    assert not (tmp_path / "a.txt").exists()
    with pytest.raises(FileError, match="cannot read"):
        digest(tmp_path / "none")


def test_memory_is_bounded(tmp_path: Path) -> None:
    came = tmp_path / "zeros.gz"
    with gzip.open(came, "wb", compresslevel=1) as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        settle(came, tmp_path / "zeros", packed=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "zeros").stat().st_size == 64 << 20
    assert peak < 8 << 20
