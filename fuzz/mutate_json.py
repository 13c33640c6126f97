"""Damage to JSON: one value changed, dropped, added, copied or renamed."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from mutate_text import TOKENS

__all__ = ["change_json", "json_file"]

JSON_TOKENS = (
    *(None, True, 0, -1, 1.5, 10**30, float("nan"), float("inf"), "", "x", [], {}, [[]], {"": None}, ["x"] * 3, [None]),
    *(*TOKENS[:12], "\ud800", "pickle", "|O", "<f8", "../victim", "json:[", [1] * 2000, {"dtype": "|O"}, -(2**63)),
)
_DEEP, _DIGITS = "\x01deep", "\x01digits"  # become what json.dumps itself refuses to write


def change_json(text: str, rng: Random) -> str:
    """Change, drop, add, copy or rename one value somewhere in a JSON text."""
    root = [json.loads(text)]
    places = [(root, 0)] if rng.random() < 0.03 else list(_places(root[0])) or [(root, 0)]
    holder, key = rng.choice(places)
    what = rng.randrange(10)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[rng.choice(TOKENS)] = holder.pop(key)
    elif what == 2:
        other, there = rng.choice(places)
        holder[key] = other[there] if not isinstance(other[there], list | dict) else len(other[there])
    elif what == 3 and isinstance(holder[key], list):
        holder[key] = holder[key][: rng.randrange(len(holder[key]) + 1)]
    elif what == 4 and isinstance(holder[key], int | float):
        holder[key] = holder[key] * rng.choice((-1, 0, 2, 10**6, 0.5)) + rng.choice((0, 1))
    elif what == 5:
        holder[key] = rng.choice((_DEEP, _DIGITS))
    elif what == 6:
        holder[key] = [holder[key]]
    else:
        holder[key] = rng.choice(JSON_TOKENS)
    changed = json.dumps(root[0] if root else None)
    for token, value in ((_DEEP, "[" * 100_000 + "]" * 100_000), (_DIGITS, "7" * 5000)):
        changed = changed.replace(json.dumps(token), value)
    return changed


def _places(node: object) -> list[tuple[dict | list, str | int]]:  # type: ignore[type-arg]
    """Every place of a value in nested lists and dicts, long lists by their ends."""
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list):
        items = list(enumerate(node))[:5]
    else:
        return []
    return [place for key, value in items for place in ((node, key), *_places(value))]


def json_file(path: Path, rng: Random) -> str:
    path.write_text(change_json(path.read_text("utf-8"), rng), "utf-8")
    return "a JSON value"
