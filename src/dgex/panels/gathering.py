"""From what was chosen and measured to the tables of a result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dgex.genes import texts
from dgex.panels.comparing import OURS, Comparing
from dgex.panels.forward import Chosen
from dgex.panels.job import Job
from dgex.panels.result import PanelChoice
from dgex.panels.view import View
from dgex.panels.within import Within

__all__ = ["gathered"]

GOING = 20  # genes told that could go
INFORMANTS = 3  # genes of the panel told beside each gene


def gathered(
    job: Job, view: View, chosen: Chosen, wanted: int, comparing: Comparing, settings: dict[str, Any]
) -> PanelChoice:
    """Lay out the tables.

    Parameters
    ----------
    job : Job
    view : View
        The first split.
    chosen : Chosen
        The panel and the genes that would come next.
    wanted : int
        Genes of the panel.
    comparing : Comparing
    settings : dict
    """
    names = job.profiles.var.index.to_numpy(dtype=object)
    panel, after = chosen.genes[:wanted], chosen.genes[wanted:]
    within = Within(view, panel, job.weights, job.penalty)
    told = within.informants(INFORMANTS)
    words = np.array([";".join(names[at] for at in row if at >= 0) for row in told], dtype=object)
    kept = np.isin(panel, job.keep if job.start is None else job.start)
    of_panel = pd.DataFrame(
        {
            "gene": names[panel],
            "rank": np.arange(1, wanted + 1),
            "gain": chosen.gains[:wanted],
            "kept": kept,
            "cost": within.costs(),
            "also_inferred_from": words[panel],
        }
    )
    candidates = pd.DataFrame(
        {
            "gene": names[after],
            "rank": np.arange(wanted + 1, wanted + 1 + len(after)),
            "gain": chosen.gains[wanted:],
            "also_inferred_from": words[after],
        }
    )
    going = within.going(min(GOING, wanted - 1))
    gone = pd.DataFrame({"gene": names[going.genes], "order": np.arange(1, len(going.genes) + 1), "cost": going.costs})
    genes = comparing.genes()
    outside = ~view.facts.constant
    outside[panel] = False
    genes["inferred_from"] = words
    genes = genes[outside].reset_index(drop=True)
    if "pearson" not in genes:  # everything is in the panel
        genes["pearson"] = np.nan
    role = np.full(len(names), "target", dtype=object)
    role[view.facts.constant] = "other"
    role[panel] = "landmark"
    ranks = pd.array([pd.NA] * len(names), dtype="Int64")
    ranks[panel] = np.arange(1, wanted + 1)
    gains = np.full(len(names), np.nan)
    gains[panel] = chosen.gains[:wanted]
    words[view.facts.constant] = ""
    table = pd.DataFrame(
        {"gene": names, "role": role, "rank": ranks, "gain": gains, "also_inferred_from": words}
    ).sort_values("rank", kind="stable", na_position="last")
    for name in ("symbol", "ensembl", "entrez"):
        if name in job.profiles.var:
            table[name] = texts(job.profiles.var[name]).to_numpy()[table.index]
    rest = [name for name in genes if str(name).endswith(" error") and not str(name).startswith((OURS, "training"))]
    settings = settings | {"rivals_by_gene": [str(name).removesuffix(" error") for name in rest]}
    curve, splits = comparing.curve(), comparing.by_split()
    return PanelChoice(of_panel, curve, genes, candidates, gone, table.reset_index(drop=True), splits, settings)
