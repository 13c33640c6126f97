"""Figures that notebooks draw by themselves."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

from dgex.report.style import house_style

__all__ = ["Shown"]

_DPI = 100


class Shown(Figure):
    """A figure that pyplot knows nothing of: nobody needs to close it, and where it ends a cell it is drawn."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with house_style():
            self.savefig(buffer, format="png", dpi=_DPI)
        return buffer.getvalue()
