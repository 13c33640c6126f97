"""What the figures of a comparison show, in words."""

from __future__ import annotations

from matplotlib.figure import Figure

__all__ = ["caption", "kind_of"]

_WORDS = {
    "error-share": "how many target genes are inferred with at most so much error; higher is better.",
    "pearson-share": "how many target genes follow their measured values at least so well; higher is better.",
    "original-share": "the same errors in the unit that values were measured in.",
    "errors": "every dot is a target gene, above the diagonal where the error is smaller.",
    "error-density": "how the errors spread over the target genes; further left is better.",
    "pearson-density": "how the correlations of inferred with measured values spread; further right is better.",
    "learning": "overall error after every epoch; the dot marks the best.",
}


def caption(name: str, figure: Figure) -> str:
    """The title of a figure and what it shows, by its file name."""
    title = (str(figure.axes[0].get_title(loc="left")) if figure.axes else "").replace("\n", " ") or name
    words = next((text for kind, text in _WORDS.items() if name.startswith(f"{kind}-")), "")
    return f"{title}: {words}" if words else title


def kind_of(name: str) -> str:
    """What sort of figure a file name tells of; "" for none of a comparison."""
    return next((kind for kind in _WORDS if name.startswith(f"{kind}-")), "")
