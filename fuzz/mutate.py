"""Damage to one input, drawn by a seed: of its bytes, or of its fields, values, attributes and metadata."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import mutate_stores as stores
from mutate_json import json_file
from mutate_text import TOKENS, text_file, toml_file

__all__ = ["mutate"]

BYTES = (b"\0", b"\xff", b"\x80", b"\n", b"\t", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff\xff\xff\xff\xff")


def mutate(path: Path, others: list[Path], rng: Random) -> list[str]:
    """Damage the file or folder at `path`; `others` are further seeds of its kind, to splice from.

    Returns
    -------
    list of str
        What was done, in order.
    """
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        done.append(_folder(path, others, rng) if path.is_dir() else _file(path, others, rng))
    return done


def _file(path: Path, others: list[Path], rng: Random) -> str:
    """Damage one file in the way that its name suggests, or any of its bytes."""
    structured = _STRUCTURED.get(path.suffix)
    if path.name.endswith(".gz"):
        if rng.random() < 0.7:
            return _packed(path, others, rng)
    elif structured is not None and rng.random() < 0.75:
        try:
            return structured(path, rng)
        except Exception as error:  # damaged beyond what can be edited: its bytes still can
            return f"{type(error).__name__}, so {_bytes(path, others, rng)}"
    return _bytes(path, others, rng)


def _folder(path: Path, others: list[Path], rng: Random) -> str:
    """Damage one file of a folder, or the folder."""
    files = sorted(item for item in path.rglob("*") if item.is_file())
    if not files:
        return "nothing"
    chosen = rng.choice(files)
    if (path / "model.json").is_file() and rng.random() < 0.8:  # else rarely the one that matters
        chosen = path / rng.choice(("model.json", "model.json", "model.safetensors"))
    what = rng.random()
    if what < 0.05:
        chosen.unlink()
        return f"remove {chosen.name}"
    if what < 0.1:
        chosen.unlink()
        chosen.mkdir()
        return f"a folder for {chosen.name}"
    if what < 0.15:
        chosen.write_bytes(rng.choice(files).read_bytes())
        return f"another file for {chosen.name}"
    if what < 0.25 and (path / ".zmetadata").is_file():
        (path / ".zmetadata").unlink()
        return "remove .zmetadata"
    if not chosen.is_file():
        return "nothing"
    said = f"{chosen.relative_to(path)}: {_file(chosen, others, rng)}"
    if (path / "model.json").is_file() and rng.random() < 0.85:
        stores.seal(path)
    return said


# ---- bytes


def _bytes(path: Path, others: list[Path], rng: Random) -> str:
    content = path.read_bytes()
    files = [item for item in others if item.is_file()]
    change = rng.choice((_flip, _flip, _truncate, _cut, _repeat, _insert, _splice))
    other = rng.choice(files).read_bytes() if files and change is _splice else content
    path.write_bytes(change(content, rng) if change is not _splice else _splice(content, rng, other))
    return change.__name__.strip("_")


def _flip(content: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(content: bytes, rng: Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _span(content: bytes, rng: Random) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.choice((1, 4, 16, 256, 4096)))


def _cut(content: bytes, rng: Random) -> bytes:
    start, stop = _span(content, rng)
    return content[:start] + content[stop:]


def _repeat(content: bytes, rng: Random) -> bytes:
    start, stop = _span(content, rng)
    return content[:stop] + content[start:stop] * rng.choice((1, 2, 50)) + content[stop:]


def _insert(content: bytes, rng: Random) -> bytes:
    start, stop = _span(content, rng)
    token = rng.choice(BYTES) if rng.random() < 0.5 else rng.choice(TOKENS).encode()
    return content[:start] + token + content[start if rng.random() < 0.5 else stop :]


def _splice(content: bytes, rng: Random, other: bytes = b"") -> bytes:
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]


def _packed(path: Path, others: list[Path], rng: Random) -> str:
    """Damage what is compressed, and compress it again."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, ValueError, zlib.error):
        return _bytes(path, others, rng)
    path.write_bytes(content)
    said = text_file(path, rng) if rng.random() < 0.8 else _bytes(path, [], rng)
    path.write_bytes(gzip.compress(path.read_bytes(), 1, mtime=0))
    return f"inside gzip: {said}"


_STRUCTURED: dict[str, Callable[[Path, Random], str]] = {
    **dict.fromkeys((".gct", ".csv", ".tsv", ".txt"), text_file),
    **dict.fromkeys((".json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"), json_file),
    **dict.fromkeys((".gctx", ".h5ad"), stores.hdf),
    **dict.fromkeys((".parquet", ".pq"), stores.parquet),
    ".safetensors": stores.safetensors,
    ".toml": toml_file,
    "": json_file,  # .zarray and its like have no suffix
}
