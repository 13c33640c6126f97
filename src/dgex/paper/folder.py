"""What a study writes into its folder, and the list of it by which the folder may be emptied again."""

from __future__ import annotations

from dgex.aliases import PathLike
from dgex.paper.data import ARRAYS, DATA, DESCRIPTION
from dgex.work import Work

__all__ = [
    "INPUTS",
    "INTERPRETATION",
    "L1000",
    "MEASURED",
    "MODELS",
    "NETWORKS",
    "PLAN",
    "RETRAINED",
    "TABLES",
    "TIMES",
    "WHOLE",
    "place",
]

PLAN, INPUTS, TIMES = "study.json", "inputs.json", "times.json"
WHOLE, RETRAINED = "whole.h5ad", "retrained.json"
MEASURED, NETWORKS, MODELS = "measured", "networks", "models"
INTERPRETATION, L1000, TABLES = "interpretation", "l1000", "tables"

# Folders of models and of interpretations have lists of their own, and are added as they are made.
_FILES = (
    *(
        INPUTS,
        TIMES,
        DESCRIPTION,
        ARRAYS,
        DATA,
        WHOLE,
        RETRAINED,
        "RNA-va.h5ad",
        "RNA-te.h5ad",
        "simulated.h5ad",
        "report.html",
    ),
    *(f"{name}/" for name in (MEASURED, NETWORKS, MODELS, f"{MODELS}/halves", INTERPRETATION, L1000, TABLES)),
    *(f"{MEASURED}/*.errors", f"{TABLES}/methods-*.csv", f"{TABLES}/genes-*.csv"),
    *(f"{L1000}/{name}" for name in ("l1000.json", "inferred.gctx", "inferred.gctx.parts/")),
)


def place(folder: PathLike) -> Work:
    """The folder of a study, as a place that may be gone on in and emptied."""
    return Work(folder, PLAN, "a study of dgex reproduce", _FILES)
