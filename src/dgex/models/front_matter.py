"""What a hub reads of a model: the head of its card, in YAML, and its `config.json`.

Every value is written as JSON, which YAML reads as it is, so that no name of a set or a gene can become anything else.
"""

from __future__ import annotations

import json
import re
from typing import Any

from dgex.errors import printable
from dgex.models.catalogue import known

__all__ = ["body_of", "config", "front_matter", "licence_of", "with_licence"]

_BLOCK = re.compile(r"\A\s*---[ \t]*\n(.*?\n)---[ \t]*(?:\n+|\Z)", re.DOTALL)
_LICENCE = re.compile(r"^license:[ \t]*[\"']?([^\"'\n#]*)[\"']?[ \t]*$", re.MULTILINE)
_ITS_LINES = re.compile(r"^license:.*\n(?:(?:[ \t]+|- ).*\n)*", re.MULTILINE)
_CMAP = "pr_"  # columns of genes as the Connectivity Map names them begin so


def front_matter(description: dict[str, Any], licence: str | None = None) -> str:
    """The head of a card: library, tags, measure and results; a licence where one was given, since none is assumed.

    Parameters
    ----------
    description : dict
        The content of `model.json`.
    licence : str, optional
        An SPDX identifier.
    """
    fields: dict[str, Any] = {} if licence is None else {"license": licence.lower()}
    fields |= {"library_name": "dgex", "tags": _tags(description)}
    results = _results(description)
    if results:
        entry = known(description["kind"])
        name = entry.title if entry is not None else description["kind"]
        fields |= {"metrics": ["mae"], "model-index": [{"name": name, "results": results}]}
    return "\n".join(["---", *(f"{key}: {_written(value)}" for key, value in fields.items()), "---", "", ""])


def _tags(description: dict[str, Any]) -> list[str]:
    tags = ["dgex", "gene-expression", "transcriptomics", description["kind"]]
    if any(str(column).startswith(_CMAP) for column in description["genes"]):
        tags.append("L1000")
    return list(dict.fromkeys(tags))


def _results(description: dict[str, Any]) -> list[dict[str, Any]]:
    """Overall errors by set, as a leaderboard reads them."""
    normalization = description["normalization"] or {}
    unit = "units of the data" if normalization.get("standardize", "none") == "none" else "standardised units"
    return [
        {
            "task": {"type": "tabular-regression", "name": "inference of target genes from landmark genes"},
            "dataset": {"type": "gene-expression", "name": str(name)},
            "metrics": [
                {"type": "mae", "name": f"overall error ({unit})", "value": round(float(values["overall"]), 6)}
            ],
        }
        for name, values in description["metrics"].get("sets", {}).items()
    ]


def _written(value: Any) -> str:
    text = json.dumps(_plain(value), ensure_ascii=False)
    return re.sub("[\ufffe\uffff]", "?", text)  # the only characters left that YAML does not take


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return printable(value) if isinstance(value, str) else value


def body_of(card: str) -> str:
    """A card without its head.

    >>> body_of('---\\nlibrary_name: "dgex"\\n---\\n\\n# A model')
    '# A model'
    """
    return _BLOCK.sub("", card)


def licence_of(card: str) -> str | None:
    """The licence that the head of a card names, if any.

    >>> licence_of("---\\nlicense: cc-by-4.0\\n---\\n")
    'cc-by-4.0'
    """
    head = _BLOCK.match(card)
    found = _LICENCE.search(head[1]) if head else None
    return (found[1].strip() or None) if found else None


def with_licence(card: str, licence: str, description: dict[str, Any]) -> str:
    """A card, as somebody edited it, under a licence; a head is made for one that has none."""
    head = _BLOCK.match(card)
    if head is None:
        return front_matter(description, licence) + card
    return f"---\nlicense: {json.dumps(licence.lower())}\n{_ITS_LINES.sub('', head[1])}---\n\n{body_of(card)}"


def config(description: dict[str, Any]) -> dict[str, Any]:
    """What `config.json` holds: by asking for this file a hub counts downloads."""
    roles = description["genes"]["role"]
    return {
        "model_type": "dgex",
        "kind": description["kind"],
        "format": description["format"],
        "landmarks": roles.count("landmark"),
        "targets": roles.count("target"),
    }
