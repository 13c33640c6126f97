"""The model card: what a person should know before trusting a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from dgex.models.catalogue import known
from dgex.models.front_matter import front_matter

__all__ = ["card", "chosen"]


def chosen(model: Any) -> dict[str, Any]:
    """Settings of a fitted model that were left to be chosen, with what was chosen on validation.

    Examples
    --------
    >>> import dgex
    >>> data = dgex.prepare(dgex.simulate(samples=100, landmarks=5, targets=4, seed=0))
    >>> list(chosen(dgex.train(data, "ridge")))
    ['alpha']
    """
    open_ = [name for name, value in model.get_params(deep=False).items() if value is None]
    found = {name: getattr(model, f"{name}_", None) for name in open_}
    plain = {name: _plain(value) for name, value in found.items()}
    return {name: value for name, value in plain.items() if isinstance(value, int | float | str)}


def _plain(value: Any) -> Any:
    """A number or a word; of several, and of members that are models, their names."""
    if isinstance(value, list | tuple):
        return ", ".join(str(getattr(one, "kind", one)) for one in value)
    return value.item() if isinstance(value, np.generic) else value


def card(description: dict[str, Any], licence: str | None = None) -> str:
    """Write the model card of a model's description (the content of `model.json`): Markdown under a head for a hub.

    Parameters
    ----------
    description : dict
    licence : str, optional
        An SPDX identifier; the head names none unless told.
    """
    roles = description["genes"]["role"]
    names = description["genes"]["names"]
    landmarks, targets = roles.count("landmark"), roles.count("target")
    normalization = description["normalization"] or {}
    entry = known(description["kind"])
    lines = [
        f"# {entry.title if entry is not None else description['kind']}",
        "",
        f"Infers {targets:,} target genes from {landmarks:,} landmark genes. Made with dgex {description['dgex']}.",
        "",
        "```",
        "dgex infer panel.gctx THIS_FOLDER full.gctx",
        "```",
        "",
        "## What it was given",
        "",
        f"- Landmark genes: {', '.join(names[: min(5, landmarks)])}, … ({landmarks:,})",
        f"- Target genes: {', '.join(names[landmarks : landmarks + 5])}, … ({targets:,})",
        *_part_lines(description),
        *_data_lines(description["metrics"]),
        f"- Fingerprint of the training values: `{description['fingerprint'][:16]}`",
        "",
        "## How values are treated",
        "",
        *(
            [f"- {key.replace('_', ' ')}: {value}" for key, value in normalization.items() if _short(value)]
            or ["- Values are taken as they come: the model was fitted on a bare matrix."]
        ),
        "",
        "## Settings",
        "",
        *[f"- {key}: {_setting(key, value, description['state'])}" for key, value in description["settings"].items()],
        "",
        "## What was measured",
        "",
        *_metric_lines(description["metrics"], normalization.get("standardize", "none")),
        "",
        *_judged_lines(description["state"].get("expected")),
        *_trust_lines(description.get("confidence")),
        *_index_lines(description.get("training_index")),
        "## Limits",
        "",
        "An inferred value is an estimate from the landmark genes and carries no new measurement. Errors are larger "
        "on profiles unlike the training profiles (another tissue, platform or laboratory) than on a random "
        "held-out part; judge the model on a split by study, and look at the error of each gene you rely on.",
        "",
    ]
    return front_matter(description, licence) + "\n".join(lines)


def _setting(key: str, value: Any, state: dict[str, Any]) -> str:
    """A setting that was left to be chosen is told with what was chosen."""
    if value is not None:
        return ", ".join(str(v) for v in value) if isinstance(value, list | tuple) else str(value)
    if key == "standardize":
        return "yes, as genes were not" if state.get("standardized") else "no, as genes were"
    found = state.get(key, state.get("chosen", {}).get(key))
    if isinstance(found, int | float) and not isinstance(found, bool):
        return f"{found:.6g}, chosen on validation"
    if isinstance(found, list) and found:
        words = ", ".join(str(one["kind"] if isinstance(one, dict) else one) for one in found)
        return f"{words} (chosen)"
    return "the paper's rule" if key == "learning_rate" else "none"


def _short(value: Any) -> bool:
    return value is not None and not isinstance(value, list | dict) and 0 < len(str(value)) < 120


def _part_lines(description: dict[str, Any]) -> list[str]:
    parts = description["state"].get("parts", [])
    if not parts:
        return []
    how = "shared out at random" if description["settings"]["partition"] == "random" else "similar genes together"
    sizes = ", ".join(f"{part['genes']:,}" for part in parts)
    return [f"- {len(parts)} networks, one a part: {sizes} target genes, {how}"]


def _data_lines(metrics: dict[str, Any]) -> list[str]:
    data = metrics.get("data", {})
    return [f"- {key.replace('_', ' ').capitalize()}: {value}" for key, value in data.items() if _short(value)]


def _judged_lines(expected: dict[str, Any] | None) -> list[str]:
    """What members of a stack did on profiles held out, and what was made of it."""
    if not expected:
        return []
    errors = ", ".join(f"{kind} {error:.4f}" for kind, error in expected["members"].items())
    left = [f"- Left out: {kind}, {why}" for kind, why in expected["left_out"].items()]
    return [
        f"- Judged by {expected['judged']}: {errors}",
        f"- Chosen: {expected['rule']}, expected overall error {expected['error']:.4f}",
        *left,
        *([f"- {expected['further']}"] if expected.get("further") else []),
        "",
    ]


def _trust_lines(known: dict[str, Any] | None) -> list[str]:
    """How far inferred values can be trusted, where the model was judged by held-out profiles."""
    if not known:
        return []
    counts = ", ".join(f"{word} {count:,}" for word, count in known["trust"].items() if count)
    median = known["median"]
    return [
        "## What a value is worth",
        "",
        f"- Judged by {known['judged']['words']}",
        f"- Trust in its target genes: {counts}",
        f"- The median gene: correlation {median['r']:.2f}, mean absolute error {median['error']:.3f} (in the model's "
        f"unit), rank recall {median['recall']:.3f}",
        "- `dgex info THIS_FOLDER --genes TP53,MYC` tells it of single genes; every result of `dgex infer` carries it "
        "in `var`, and `--interval 0.9` adds intervals",
        "",
    ]


def _index_lines(index: dict[str, Any] | None) -> list[str]:
    """That names of training profiles lie in the model: whoever passes it on should know."""
    if not index:
        return []
    column = f", with their `{index['column']}`" if index["column"] else ""
    return [
        "## Training profiles",
        "",
        f"- Names of {index['profiles']:,} of its {index['total']:,} training profiles{column}, and where they lie "
        "among the landmark genes, are kept in it: `dgex explain THIS_FOLDER panel.gctx --gene TP53` names those near "
        "a new profile. `dgex train --no-index` leaves them out.",
        "",
    ]


def _metric_lines(metrics: dict[str, Any], standardize: str) -> list[str]:
    unit = "units of the data" if standardize == "none" else "standardised units"
    lines = [
        f"- Overall error on {name}: {values['overall']:.4f} (standard deviation over genes {values['sd']:.4f}, "
        f"{values['profiles']:,} profiles, {unit})"
        for name, values in metrics.get("sets", {}).items()
    ]
    if "seconds" in metrics:
        lines.append(f"- Fitted in {metrics['seconds']:.1f} s")
    return lines or ["- Nothing: the model was fitted without evaluation sets."]
