"""Tiny model folders by whichever dgex is imported, with what it infers by them: see README.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

import dgex

LANDMARKS, TARGETS = [f"LM{i}" for i in range(5)], [f"TG{i}" for i in range(4)]
NETWORK: dict[str, Any] = {"hidden": (4,), "epochs": 3, "batch_size": 16, "device": "cpu"}
SETTINGS: dict[str, dict[str, Any]] = {"dgex": NETWORK, "residual": NETWORK, "knn": {"n_neighbors": 3}}
KEPT = {"model.json", "model.safetensors", "config.json", "history.jsonl"}


def drawn(rng: np.random.Generator, loadings: np.ndarray, profiles: int) -> np.ndarray:
    factors = rng.normal(size=(profiles, 3))
    values = 8 + factors @ loadings + 0.2 * rng.normal(size=(profiles, 9))
    values[:, 5:] += 0.5 * np.tanh(factors[:, :1])
    return values.astype(np.float32)


def annotated(values: np.ndarray, prefix: str) -> ad.AnnData:
    names = [*LANDMARKS, *TARGETS][: values.shape[1]]
    roles = ["landmark" if name in LANDMARKS else "target" for name in names]
    obs = pd.DataFrame(index=[f"{prefix}{i}" for i in range(len(values))])
    return ad.AnnData(values, obs=obs, var=pd.DataFrame({"role": roles}, index=names))


def main(home: Path, kinds: list[str]) -> None:
    rng = np.random.default_rng(7)
    loadings = rng.normal(size=(3, 9))
    whole = annotated(drawn(rng, loadings, 60), "s")
    panel = annotated(drawn(rng, loadings, 3)[:, :5].round(3), "p")
    data = dgex.prepare(whole, seed=0)
    home.mkdir(exist_ok=True)
    for kind in kinds:
        out = home / kind
        if kind == "adapted":
            dgex.adapt(str(home / "ridge"), annotated(drawn(rng, loadings, 12), "a"), str(out))
        else:
            dgex.train(data, kind, str(out), **SETTINGS.get(kind, {}))
        full = dgex.infer(panel.copy(), str(out))
        frame = pd.DataFrame(np.asarray(full[:, TARGETS].X), index=full.obs_names, columns=TARGETS)
        for path in out.iterdir():
            if path.is_file() and path.name not in KEPT:
                path.unlink()
        frame.rename_axis("profile").to_csv(out / "inferred.csv", float_format="%.7g")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2].split(","))
