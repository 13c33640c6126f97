"""On which scale an input is, and by what it was measured, decided once for all of its profiles."""

from __future__ import annotations

import numpy as np

from dgex.dataset.normalization import Normalization
from dgex.dataset.platforms import measured_by
from dgex.dataset.scale import Scale, decide_scale, settled
from dgex.errors import DataError, SettingsError
from dgex.io.base import ExpressionFile
from dgex.progress import hint, note

__all__ = ["platform_of", "scale_of"]


def scale_of(data: ExpressionFile, ours: Normalization | None, asked: str, own: bool) -> Scale | None:
    """The scale, `asked` or found; refused where it is doubtful or not the model's. None for a model of bare values."""
    if ours is None:
        if asked != "auto":
            raise SettingsError("the model was fitted on bare values and knows no scale; only scale='auto' works")
        return None
    scale = decide_scale(data, asked)
    other = "log2" if scale.linear else "linear"
    note(f"{data.name}: {scale} ({scale.why}); if that is wrong, scale={other!r} says so")
    if ours.scale == "any":  # ranks, or values that were standardised before
        return scale
    settled(scale, data.name)
    if scale.kind == "standardized" and not own:
        raise DataError(
            f"the input is standardized ({scale.why}), and the model takes values as they were measured; "
            "scale='log2' takes them as log2 expression, standardize='own' standardises them anew"
        )
    if ours.log2 == "always" and scale.kind == "log2" and scale.by_range:
        raise DataError(
            f"the model was prepared with log2='always' and the input looks logged already ({scale}); scale='linear' "
            "logs it, scale='log2' takes it as it is"
        )
    if scale.linear and scale.minimum < 0 and ours.scale == "log2":
        raise DataError(
            f"the input is on the linear scale and holds values below zero ({scale}), which have no logarithm; "
            "scale='log2' takes it as it is"
        )
    ours.rescale(np.zeros((0, 0), np.float32), scale)  # refuses logarithms for a model of linear values
    return scale


def platform_of(data: ExpressionFile, ours: Normalization | None, scale: Scale | None) -> str:
    """`"rnaseq"` where the model's dataset had a rule of its own for equal values of RNA-Seq and the input is some."""
    if ours is None or scale is None or not ours.rnaseq_ties:
        return ""
    rnaseq = bool((measured_by(data.obs, data.var, scale, str(data.notes.get("kind", ""))) == "rnaseq").all())
    hint(f"equal values are ranked by the rule of {'RNA-Seq (dense ranks)' if rnaseq else 'arrays'}")
    return "rnaseq" if rnaseq else ""
