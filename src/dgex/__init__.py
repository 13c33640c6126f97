"""dgex: measure a thousand genes, get the transcriptome, and know how far to trust each value.

Everything public is an attribute of this package and is loaded when it is first used, so that
`import dgex` stays light: neither PyTorch nor matplotlib is imported by it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dgex._version import __version__

if TYPE_CHECKING:
    from dgex import io as io
    from dgex import settings as settings
    from dgex.adapting.adapt import adapt
    from dgex.dataset.describe import describe
    from dgex.datasets.public.download import download
    from dgex.datasets.simulated.simulate import simulate
    from dgex.errors import DgexError, SettingsError
    from dgex.evaluation.evaluate import evaluate
    from dgex.evaluation.result import Evaluation
    from dgex.fitting.calibrate import calibrate
    from dgex.fitting.grid import train_grid
    from dgex.fitting.train import train
    from dgex.gene_table import read_gene_table
    from dgex.genes import id_type
    from dgex.hub.pull import pull
    from dgex.hub.push import push
    from dgex.inference.infer import infer
    from dgex.inference.seal import seal
    from dgex.interpretation.explain import explain
    from dgex.interpretation.explanation import Explanation
    from dgex.interpretation.interpret import interpret
    from dgex.interpretation.interpretation import Interpretation
    from dgex.io import convert, create, open, read, write
    from dgex.models.base import Estimator
    from dgex.models.folder import load
    from dgex.models.kernel.ridge import KernelRidge
    from dgex.models.linear.lasso import Lasso
    from dgex.models.linear.regression import OLS, Ridge
    from dgex.models.neighbours import KNNGE, SampleKNN
    from dgex.models.network.dgex import DGEX
    from dgex.models.network.residual import Residual
    from dgex.models.published import convert_weights
    from dgex.models.sample_lasso import SampleLasso
    from dgex.panels.result import PanelChoice
    from dgex.panels.select import select_landmarks
    from dgex.paper.reproduce import reproduce
    from dgex.prepare.pipeline import prepare as prepare
    from dgex.shared.bring import download_model
    from dgex.shared.example import example
    from dgex.shared.make import train_public
    from dgex.summary import Info, info
    from dgex.tour import demo
    from dgex.web.serve import serve

_HOME = {
    "DGEX": "dgex.models.network.dgex",
    "DgexError": "dgex.errors",
    "Estimator": "dgex.models.base",
    "Evaluation": "dgex.evaluation.result",
    "Explanation": "dgex.interpretation.explanation",
    "Info": "dgex.summary",
    "Interpretation": "dgex.interpretation.interpretation",
    "KNNGE": "dgex.models.neighbours",
    "KernelRidge": "dgex.models.kernel.ridge",
    "Lasso": "dgex.models.linear.lasso",
    "OLS": "dgex.models.linear.regression",
    "PanelChoice": "dgex.panels.result",
    "Residual": "dgex.models.network.residual",
    "Ridge": "dgex.models.linear.regression",
    "SampleKNN": "dgex.models.neighbours",
    "SampleLasso": "dgex.models.sample_lasso",
    "SettingsError": "dgex.errors",
    "adapt": "dgex.adapting.adapt",
    "calibrate": "dgex.fitting.calibrate",
    "convert": "dgex.io",
    "convert_weights": "dgex.models.published",
    "create": "dgex.io",
    "demo": "dgex.tour",
    "describe": "dgex.dataset.describe",
    "download": "dgex.datasets.public.download",
    "download_model": "dgex.shared.bring",
    "evaluate": "dgex.evaluation.evaluate",
    "example": "dgex.shared.example",
    "explain": "dgex.interpretation.explain",
    "id_type": "dgex.genes",
    "infer": "dgex.inference.infer",
    "info": "dgex.summary",
    "interpret": "dgex.interpretation.interpret",
    "load": "dgex.models.folder",
    "open": "dgex.io",
    "pull": "dgex.hub.pull",
    "push": "dgex.hub.push",
    "read": "dgex.io",
    "read_gene_table": "dgex.gene_table",
    "reproduce": "dgex.paper.reproduce",
    "seal": "dgex.inference.seal",
    "select_landmarks": "dgex.panels.select",
    "serve": "dgex.web.serve",
    "simulate": "dgex.datasets.simulated.simulate",
    "train": "dgex.fitting.train",
    "train_grid": "dgex.fitting.grid",
    "train_public": "dgex.shared.make",
    "write": "dgex.io",
}

_ROOMS = ("io", "prepare", "settings")  # the second can be called

__all__ = [
    "DGEX",
    "KNNGE",
    "OLS",
    "DgexError",
    "Estimator",
    "Evaluation",
    "Explanation",
    "Info",
    "Interpretation",
    "KernelRidge",
    "Lasso",
    "PanelChoice",
    "Residual",
    "Ridge",
    "SampleKNN",
    "SampleLasso",
    "SettingsError",
    "__version__",
    "adapt",
    "calibrate",
    "convert",
    "convert_weights",
    "create",
    "demo",
    "describe",
    "download",
    "download_model",
    "evaluate",
    "example",
    "explain",
    "id_type",
    "infer",
    "info",
    "interpret",
    "load",
    "open",
    "prepare",
    "pull",
    "push",
    "read",
    "read_gene_table",
    "reproduce",
    "seal",
    "select_landmarks",
    "serve",
    "simulate",
    "train",
    "train_grid",
    "train_public",
    "write",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"dgex.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'dgex' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
