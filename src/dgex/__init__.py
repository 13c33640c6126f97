"""dgex: measure a thousand genes, get the transcriptome, and know how far to trust each value.

Everything public is an attribute of this package and is loaded when it is first used, so that
`import dgex` stays light: neither PyTorch nor matplotlib is imported by it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dgex._version import __version__

if TYPE_CHECKING:
    from dgex.datasets.download import download
    from dgex.datasets.simulate import simulate
    from dgex.errors import DgexError
    from dgex.evaluation import Evaluation, evaluate
    from dgex.gene_table import read_gene_table
    from dgex.genes import id_type
    from dgex.inference import infer
    from dgex.interpretation import Interpretation, interpret
    from dgex.io import convert, create, describe, open, read, write
    from dgex.models.cmap import convert_weights
    from dgex.models.fitting import train
    from dgex.models.folder import load
    from dgex.models.grid import train_grid
    from dgex.models.lasso import Lasso
    from dgex.models.linear import OLS, Ridge
    from dgex.models.neighbours import KNNGE, SampleKNN
    from dgex.models.network import DGEX
    from dgex.paper.reproduce import reproduce
    from dgex.prepare.pipeline import prepare as prepare
    from dgex.tour import demo

_HOME = {
    "DGEX": "dgex.models.network",
    "DgexError": "dgex.errors",
    "Evaluation": "dgex.evaluation",
    "Interpretation": "dgex.interpretation",
    "KNNGE": "dgex.models.neighbours",
    "Lasso": "dgex.models.lasso",
    "OLS": "dgex.models.linear",
    "Ridge": "dgex.models.linear",
    "SampleKNN": "dgex.models.neighbours",
    "convert": "dgex.io",
    "convert_weights": "dgex.models.cmap",
    "create": "dgex.io",
    "demo": "dgex.tour",
    "describe": "dgex.io",
    "download": "dgex.datasets.download",
    "evaluate": "dgex.evaluation",
    "id_type": "dgex.genes",
    "infer": "dgex.inference",
    "interpret": "dgex.interpretation",
    "load": "dgex.models.folder",
    "open": "dgex.io",
    "read": "dgex.io",
    "read_gene_table": "dgex.gene_table",
    "reproduce": "dgex.paper.reproduce",
    "simulate": "dgex.datasets.simulate",
    "train": "dgex.models.fitting",
    "train_grid": "dgex.models.grid",
    "write": "dgex.io",
}

__all__ = [
    "DGEX",
    "KNNGE",
    "OLS",
    "DgexError",
    "Evaluation",
    "Interpretation",
    "Lasso",
    "Ridge",
    "SampleKNN",
    "__version__",
    "convert",
    "convert_weights",
    "create",
    "demo",
    "describe",
    "download",
    "evaluate",
    "id_type",
    "infer",
    "interpret",
    "load",
    "open",
    "prepare",
    "read",
    "read_gene_table",
    "reproduce",
    "simulate",
    "train",
    "train_grid",
    "write",
]


def __getattr__(name: str) -> Any:
    if name == "prepare":  # a room that can be called
        return importlib.import_module("dgex.prepare")
    if name not in _HOME:
        raise AttributeError(f"module 'dgex' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
