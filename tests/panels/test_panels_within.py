"""A panel from within: closed forms against regressions that are solved anew."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
from panel_matrices import raw, unexplained

from dgex.panels.matrix import Profiles
from dgex.panels.measurable import Limits
from dgex.panels.view import View
from dgex.panels.within import Within

PANEL = np.array([3, 17, 8, 25, 11, 30])


@pytest.fixture
def view() -> View:
    profiles = Profiles(raw(), ExitStack())
    return View.of(profiles, profiles.split(None, 0, (0.8, 0.1, 0.1)), None, Limits())


def lost(Z: np.ndarray, panel: np.ndarray, gene: int, of: np.ndarray) -> float:
    """What the genes `of` lose when one of the panel goes, as a share of the variance of all genes."""
    ones, penalty = np.ones(Z.shape[1]), 0.003 * len(Z)
    left = panel[panel != gene]
    more = unexplained(Z, left.tolist(), ones, penalty, of) - unexplained(Z, panel.tolist(), ones, penalty, of)
    return more / (Z.shape[1] * len(Z))


def test_costs_are_what_a_panel_without_the_gene_explains_less(view: View) -> None:
    Z = view.values(view.rows("train"))
    outside = np.setdiff1d(np.arange(Z.shape[1]), PANEL)
    costs = Within(view, PANEL, np.ones(Z.shape[1])).costs()
    assert costs == pytest.approx([lost(Z, PANEL, gene, outside) for gene in PANEL], rel=1e-3)


def test_genes_go_in_the_order_of_what_is_lost(view: View) -> None:
    Z = view.values(view.rows("train"))
    going = Within(view, PANEL, np.ones(Z.shape[1])).going(4)
    panel = PANEL
    for gene, cost in zip(going.genes, going.costs):
        outside = np.setdiff1d(np.arange(Z.shape[1]), panel)
        all_costs = [lost(Z, panel, other, outside) for other in panel]
        assert gene == panel[int(np.argmin(all_costs))]
        assert cost == pytest.approx(min(all_costs), rel=1e-3)
        panel = panel[panel != gene]


def test_genes_are_told_by_those_of_the_largest_coefficients(view: View) -> None:
    Z = view.values(view.rows("train")).astype(np.float64)
    told = Within(view, PANEL, np.ones(Z.shape[1])).informants(2)
    for gene in (0, 3, 8):  # outside, inside, inside
        others = PANEL[gene != PANEL]
        S = Z[:, others]
        coef = np.linalg.solve(S.T @ S + 0.003 * len(Z) * np.eye(len(others)), S.T @ Z[:, gene])
        assert told[gene].tolist() == others[np.argsort(-np.abs(coef))[:2]].tolist()
