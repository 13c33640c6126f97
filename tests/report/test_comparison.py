from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dgex.report.columns import LABELS
from dgex.report.comparison import Comparison, file_name


@pytest.fixture
def comparison() -> Comparison:
    rng = np.random.default_rng(0)
    genes = [f"G{i}" for i in range(40)]
    overall, per_gene = [], []
    for split in ("test", "GTEx te"):
        for model in ("training mean", "LR", "D-GEX/x"):
            mae = rng.random(40)
            trivial = model == "training mean"
            frame = pd.DataFrame({"gene": genes, "model": model, "split": split, "mae": mae, "rmse": mae + 0.1})
            frame["pearson"] = frame["spearman"] = np.nan if trivial else rng.random(40)
            per_gene.append(frame)
            row = dict.fromkeys([n for n in LABELS if n != "interval"], 0.5) | {
                "split": split,
                "model": model,
                "kind": "k",
                "genes": 40,
                "profiles": 9,
            }
            row |= {"improvement_low": 0.4, "improvement_high": 0.6, "tie": False, "difference": -0.1}
            row |= {"error": mae.mean(), "better": np.nan if model == "LR" else 0.5}
            overall.append(row | ({"pearson_mean": np.nan, "pearson_median": np.nan} if trivial else {}))
    histories = {"D-GEX/x": pd.DataFrame({"epoch": [1, 2], "train.error": [2, 1], "va.error": [4, 3], "loss": 9})}
    return Comparison(
        pd.DataFrame(overall), pd.concat(per_gene), "LR", "training mean", "sd", histories, {"Data": "d.h5ad"}
    )


def test_every_figure_has_a_safe_name(comparison):
    assert set(comparison.figures()) == {
        "error-share-test", "pearson-share-test", "error-density-test", "pearson-density-test", "errors-test-D-GEX-x",
        "error-share-GTEx-te", "pearson-share-GTEx-te", "error-density-GTEx-te", "pearson-density-GTEx-te",
        "errors-GTEx-te-D-GEX-x", "learning-D-GEX-x",
    }  # fmt: skip
    assert file_name("../..") == "unnamed"


def test_a_model_has_one_colour_in_all_figures(comparison):
    figures = comparison.figures()
    (line,) = [x for x in figures["error-density-test"].axes[0].lines if str(x.get_label()).startswith("D-GEX")]
    (same,) = [x for x in figures["pearson-density-test"].axes[0].lines if str(x.get_label()).startswith("D-GEX")]
    (share,) = [x for x in figures["error-share-test"].axes[0].lines if str(x.get_label()).startswith("D-GEX")]
    dots = figures["errors-test-D-GEX-x"].axes[0].collections[0]
    from matplotlib.colors import to_hex

    assert to_hex(dots.get_facecolor()[0]) == line.get_color().lower() == same.get_color().lower()
    assert share.get_color() == line.get_color()


def test_a_learning_curve_a_set(comparison):
    labels = [x.get_label() for x in comparison.figures()["learning-D-GEX-x"].axes[0].lines]
    assert sum(str(label).startswith(("train  ", "va  ")) for label in labels) == 2


def test_wide_keeps_order_and_values(comparison):
    wide = comparison.wide("test", "mae")
    assert wide.columns.tolist() == ["training mean", "LR", "D-GEX/x"]
    part = comparison.per_gene.query("split == 'test' and model == 'LR'")
    assert wide["LR"].tolist() == part["mae"].tolist()
    assert wide.index.tolist() == part["gene"].tolist()


def test_page_and_text_tell_of_every_split_and_model(comparison):
    html, text = comparison.page().html(), comparison.text()
    for words in ("test: 9 profiles, 40 target genes", "GTEx te: 9 profiles", "D-GEX/x", "training mean"):
        assert words in html
        assert words in text
    assert html.count('<table class="sortable">') == 3
    assert html.count("<figure>") == 9
    assert html.count('<figure class="plot">') == 2
    assert "d.h5ad" in html


def test_a_notebook_shows_a_row_a_model_and_split(comparison):
    shown = comparison.html()
    assert shown.count("<table>") == len(comparison.splits) == 2
    assert shown.count(">training mean</th>") == 2
