"""What `model.json` must look like, checked in one place before anything uses it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from dgex.errors import ModelError, first

__all__ = ["check_fields", "check_format", "shown"]

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ROLES = ("landmark", "target")


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _are_texts(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(isinstance(item, str) for item in value.values()))


def _is_mapping_or_null(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def _are_metrics(value: Any) -> bool:
    """Overall error and its spread by set, and what is told of the data."""
    if not isinstance(value, dict) or not isinstance(value.get("data", {}), dict):
        return False
    sets = value.get("sets", {})
    return isinstance(sets, dict) and all(
        isinstance(e, dict) and _are_numbers(e, "overall", "sd") for e in sets.values()
    )


def _are_numbers(entry: Any, *names: str) -> bool:
    return isinstance(entry, dict) and all(type(entry.get(name)) in (int, float) for name in names)


def _are_genes(value: Any) -> bool:
    """Columns of text, one entry a gene, every gene with a role."""
    if not isinstance(value, dict) or not {"names", "role"} <= value.keys():
        return False
    columns = list(value.values())
    if not all(isinstance(column, list) and len(column) == len(value["names"]) for column in columns):
        return False
    texts = all(isinstance(item, str) for column in columns for item in column)
    return texts and set(value["role"]) == set(_ROLES)


#: Field, whether it has to be there, what it holds, in words and as a test.
_FIELDS: tuple[tuple[str, bool, str, Callable[[Any], bool]], ...] = (
    ("kind", True, "text", _is_text),
    ("settings", True, "an object", _is_mapping),
    ("state", True, "an object", _is_mapping),
    ("metrics", True, "an object with 'sets' of numbers", _are_metrics),
    ("fingerprint", True, "text", _is_text),
    ("sha256", True, "64 hexadecimal digits", _is_digest),
    ("checksum", False, "64 hexadecimal digits", _is_digest),
    ("genes", True, "lists of text alike in length: names, role (landmark, target) and more", _are_genes),
    ("dgex", False, "text", _is_text),
    ("package", False, "text", _is_text),
    ("normalization", False, "an object of texts or null", _are_texts),
    ("training", False, "an object or null", _is_mapping_or_null),
    ("confidence", False, "an object or null", _is_mapping_or_null),
    ("training_index", False, "an object or null", _is_mapping_or_null),
)


def check_format(said: Any, path: object) -> int:
    """Return the format of a description, which may be newer than ours.

    Raises
    ------
    ModelError
        It describes no model.
    """
    if not isinstance(said, dict) or "format" not in said:
        raise ModelError(f"{path} does not describe a dgex model")
    number = said["format"]
    if type(number) is not int or number < 1:
        raise ModelError(f"{path}: format", found=shown(number), accepted="a whole number, 1 or more")
    return number


def check_fields(said: dict[str, Any], path: object) -> None:
    """Check every field of a description in a format of ours.

    Raises
    ------
    ModelError
    """
    missing = [name for name, needed, *_ in _FIELDS if needed and name not in said]
    if missing:
        raise ModelError(f"{path} was changed or is incomplete: it has no {first(missing)}")
    for name, _, words, holds in _FIELDS:
        if name in said and not holds(said[name]):
            raise ModelError(f"{path} was changed or is incomplete: {name}", found=shown(said[name]), accepted=words)


def shown(value: Any) -> str:
    """A value as an error shows it."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
