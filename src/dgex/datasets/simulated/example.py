"""A small example to try everything on: a compendium of whole profiles, and a panel that lacks most genes."""

from __future__ import annotations

from pathlib import Path

from anndata import AnnData

import dgex.io
from dgex.aliases import PathLike
from dgex.atomic import atomic_folder, json_dump
from dgex.datasets.simulated.simulate import simulate
from dgex.places import check_output
from dgex.progress import note
from dgex.work import Work

__all__ = ["COMPENDIUM", "MEASURED", "PANEL", "PROFILES", "place", "simulated", "written"]

COMPENDIUM, PANEL, MEASURED = "compendium.h5ad", "panel.csv", "measured.csv"
_MARKER = "example.json"
PROFILES = 24  #: of the panel at most


def simulated(output: PathLike, *, seed: int = 0, overwrite: bool = False) -> Path:
    """Make the simulated example of `dgex.example`: offline, in a second, the same every time.

    The panel's profiles are of a study that is not in the compendium, as those of a laboratory would be.
    """
    place(output).refuse_other()
    check_output(Path(output), overwrite, folder=True)
    drawn = simulate(samples=1024, landmarks=100, targets=400, seed=seed)
    assert drawn is not None
    sizes = drawn.obs["study"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    apart = (drawn.obs["study"] == sizes.index[max(0, int((sizes >= PROFILES).sum()) - 1)]).to_numpy()
    whole, new = drawn[~apart].copy(), drawn[apart][:PROFILES].copy()
    whole.obs, new.obs = whole.obs[["tissue", "study"]], new.obs[[]]
    return written(output, whole, new, {"seed": seed}, overwrite)


def written(output: PathLike, whole: AnnData, new: AnnData, said: dict[str, object], overwrite: bool) -> Path:
    """Write the files of an example: whole profiles, new ones by their landmark genes, and all genes of these."""
    folder, landmarks = Path(output), (whole.var["role"] == "landmark").to_numpy()
    whole.var, new.var = whole.var[["role"]], new.var[[]]
    panel = new[:, landmarks].copy()
    for part in (whole, new, panel):
        part.uns = {}
    with atomic_folder(folder, overwrite) as temporary:
        for name, part in ((COMPENDIUM, whole), (PANEL, panel), (MEASURED, new)):
            dgex.io.write(part, temporary / name)
        json_dump({**said, "profiles": whole.n_obs, "panel": panel.n_obs}, temporary / _MARKER)
    note(f"{whole.n_obs:,} whole profiles of {whole.n_vars:,} genes -> {folder / COMPENDIUM}")
    note(f"{panel.n_obs} further profiles, {panel.n_vars} landmark genes only -> {folder / PANEL}")
    note(f"all genes of these, to compare -> {folder / MEASURED}")
    return folder


def place(folder: PathLike) -> Work:
    """A folder of an example as a place that may be replaced."""
    return Work(folder, _MARKER, "an example")
