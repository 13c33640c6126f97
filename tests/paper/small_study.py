"""Settings of a study of seconds: few profiles, four networks of two epochs."""

from __future__ import annotations

from typing import Any

SMALL: dict[str, Any] = {
    "samples": 240,
    "rnaseq_samples": 80,
    "landmarks": 12,
    "targets": 15,
    "hidden": (6, 8),
    "layers": (1,),
    "dropout": (0.0, 0.25),
    "epochs": 2,
    "attributed": 4,
    "methods": ("ols", "lasso", "ridge", "knn-ge", "knn", "kernel", "auto"),
}
NETWORKS = 4
