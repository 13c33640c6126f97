"""Colours and type of all figures: one look, readable on paper, on screen and by colour-blind eyes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["INK", "LINES", "MUTED", "PALETTE", "PAPER", "SHADE", "house_style"]

# Four of Okabe and Ito's colours (https://jfly.uni-koeln.de/color/), and three where theirs are too faint on white: all
# stay apart without red, green or blue cones, and stand out from white and from a dark page (tests/report).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#786C3C", "#8454E4", "#FC2454")
# A second sign beside colour, for prints in grey.
LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
# These three occur nowhere else: an embedded figure takes the page's own ink and ground instead (`report.svg`).
INK, MUTED, PAPER = "#1b2127", "#5b6771", "#fefefe"
SHADE = "#8a949c"

_STYLE: dict[Any, Any] = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"],
    "font.size": 11,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 11,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": PAPER,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "figure.facecolor": PAPER,
    "figure.dpi": 150,
    "grid.color": SHADE,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",  # text stays text: small, sharp, found by a search
    "svg.hashsalt": "dgex",  # same figure, same file
    "text.color": INK,
    "text.parse_math": False,  # a "$" in a name is a "$"
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the style while a figure is made or written; the caller's own matplotlib settings come back after."""
    import matplotlib  # here, so that a page that only needs a colour loads no matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield
