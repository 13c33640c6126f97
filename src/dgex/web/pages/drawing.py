"""Figures of the pages as SVG: a map of profiles, and one gene in all profiles. Colours come from the style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from dgex.arrays.index import evenly

__all__ = ["gene_drawing", "map_drawing"]

_WIDE, _HIGH, _EDGE = 760.0, 470.0, 46.0
_MOST = 400  # profiles of a gene that are drawn


def map_drawing(told: Mapping[str, Any], names: Sequence[str], unlike: Sequence[bool], marked: int) -> str:
    """Training profiles as dots, the visitor's as diamonds; `marked` is the one that has a ring."""
    own, theirs = np.asarray(told["own"], np.float64), np.asarray(told["training"], np.float64).reshape(-1, 2)
    everything = np.concatenate([own, theirs])
    low, high = everything.min(axis=0), everything.max(axis=0)
    span = np.where(high > low, high - low, 1.0)

    def at(point: Any) -> tuple[float, float]:
        x, y = (np.asarray(point, np.float64) - low) / span
        return _EDGE + x * (_WIDE - 2 * _EDGE), _HIGH - _EDGE - y * (_HIGH - 2 * _EDGE)

    def circle(point: Any, radius: float, kind: str = "") -> str:
        x, y = at(point)
        return f'<circle{kind} cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'

    dots = "".join(circle(point, 2.6) for point in theirs)
    marks = []
    for place, point in enumerate(own):
        x, y = at(point)
        near = told["nearest_study"][place] or told["nearest"][place]
        kind = ' class="far"' if unlike[place] else ""
        title = f"{names[place]}; nearest: {near}"
        marks.append(
            f'<path{kind} d="M{x:.1f} {y - 5.5:.1f}l5.5 5.5-5.5 5.5-5.5-5.5z"><title>{escape(title)}</title></path>'
        )
    ring = circle(own[marked], 11, ' class="ring"') if marked < len(own) else ""
    shares = [f"{share:.0%}" for share in told["axes"]] + ["0%"]
    title = f"Map of {len(own):,} profiles among {told['total']:,} training profiles"
    return (
        f'<svg class="map" viewBox="0 0 {_WIDE:.0f} {_HIGH:.0f}" role="img" aria-label="{title}">'
        f'<path class="axis" d="M{_EDGE} 12V{_HIGH - _EDGE + 18}H{_WIDE - 12}"/>'
        f'<text x="{_WIDE / 2}" y="{_HIGH - 6}" text-anchor="middle">first direction ({shares[0]} of the variance '
        f"of landmark "
        f'genes)</text><text transform="translate(16 {_HIGH / 2}) rotate(-90)" text-anchor="middle">second direction '
        f'({shares[1]})</text><g class="theirs">{dots}</g>'
        f"{_labels(told['studies'], at)}<g class=own>{''.join(marks)}</g>{ring}</svg>"
    )


def _labels(studies: Sequence[Mapping[str, Any]], at: Any) -> str:
    """Names of the largest studies at their middles; one that would lie on another is left out."""
    taken: list[tuple[float, float, float]] = []
    out = []
    for study in studies:
        text = study["name"] if len(study["name"]) <= 22 else study["name"][:21] + "…"
        x, y = at((study["x"], study["y"]))
        half = 3.4 * len(text)
        x = min(max(x, _EDGE + half), _WIDE - 8 - half)
        if any(abs(y - other) < 15 and abs(x - place) < half + width for place, other, width in taken):
            continue
        taken.append((x, y, half))
        out.append(f'<text class="study" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(text)}</text>')
    return "".join(out)


def gene_drawing(values: np.ndarray, half: np.ndarray, names: Sequence[str], marked: int, label: str) -> str:
    """Values of a gene in all profiles, in order of size, with their intervals."""
    order = np.argsort(values, kind="stable")
    order = order[evenly(len(order), _MOST)]
    if marked not in order:
        order[np.searchsorted(values[order], values[marked]).clip(0, len(order) - 1)] = marked
    wide = np.nan_to_num(half[order], nan=0.0)
    low, high = float((values[order] - wide).min()), float((values[order] + wide).max())
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    top, bottom = 14.0, 330.0

    def y(value: float) -> float:
        return bottom - (value - low) / ((high - low) or 1.0) * (bottom - top)

    step = (_WIDE - _EDGE - 24) / len(order)
    grid = "".join(
        f'<path class="grid" d="M{_EDGE} {y(tick):.1f}H{_WIDE - 12}"/>'
        f'<text x="{_EDGE - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in ticks
    )
    bars, dots = [], []
    for place, profile in enumerate(order.tolist()):
        x, value, width = _EDGE + 6 + (place + 0.5) * step, float(values[profile]), float(wide[place])
        if width:
            bars.append(f'<path d="M{x:.1f} {y(value - width):.1f}V{y(value + width):.1f}"/>')
        kind = ' class="marked" r="6"' if profile == marked else ' r="3"'
        title = f"{names[profile]}: {value:.2f}" + (f" ({value - width:.2f} to {value + width:.2f})" if width else "")
        dots.append(f'<circle{kind} cx="{x:.1f}" cy="{y(value):.1f}"><title>{escape(title)}</title></circle>')
    return (
        f'<svg class="gene" viewBox="0 0 {_WIDE:.0f} 362" role="img" aria-label="{escape(label)}">{grid}'
        f'<g class="bars">{"".join(bars)}</g><g class="dots">{"".join(dots)}</g>'
        f'<text x="{_WIDE / 2}" y="354" text-anchor="middle">profiles, from the lowest value to the '
        f"highest</text></svg>"
    )


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers that span the values."""
    span = (high - low) or 1.0
    size = 10.0 ** math.floor(math.log10(span / 4))
    size *= next(factor for factor in (1, 2, 2.5, 5, 10) if span / (factor * size) <= 6)
    return [round(at * size, 10) for at in range(math.floor(low / size), math.ceil(high / size) + 1)]
