"""Figures that results give: those of their page, the caller's to keep, unknown to pyplot."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt

import dgex


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    raw = dgex.simulate(samples=120, landmarks=6, targets=8, seed=0)
    names = [*raw.var_names[:-1], "$<script>$"]
    raw.var_names = names
    data = dgex.prepare(raw.copy(), seed=0)
    model = dgex.train(data, "ols")
    return {
        "evaluation": dgex.evaluate({"LR": model}, data).comparison(),
        "explanation": dgex.explain(model, raw[:1], genes=["$<script>$"]),
        "panel": dgex.select_landmarks(raw.copy(), size=3, sizes=[3], splits=1),
    }


def without_ids(page: Any) -> str:
    """A page without what matplotlib calls its clip paths, which is drawn anew for every figure."""
    return re.sub(r"\bp[0-9a-f]{10}\b", "clip", page.html())


@pytest.mark.parametrize("name", ["evaluation", "explanation", "panel"])
def test_figures_are_those_of_the_page_and_the_caller_s_own(results: dict[str, Any], name: str) -> None:
    result, open_before, settings_before = results[name], plt.get_fignums(), dict(mpl.rcParams)
    figures = result.figures()
    assert without_ids(result.page(figures=figures)) == without_ids(result.page())
    first = next(iter(figures.values()))
    assert first._repr_png_().startswith(b"\x89PNG")
    first.savefig(buffer := io.BytesIO(), format="pdf")
    assert buffer.getvalue().startswith(b"%PDF")
    first.axes[0].set_title("mine")
    assert next(iter(result.figures().values())).axes[0].get_title() != "mine"
    assert plt.get_fignums() == open_before
    assert dict(mpl.rcParams) == settings_before
