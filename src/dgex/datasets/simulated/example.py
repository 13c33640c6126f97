"""A small example to try everything on: a compendium of whole profiles, and a panel that lacks most genes."""

from __future__ import annotations

from pathlib import Path

import dgex.io
from dgex.aliases import PathLike
from dgex.atomic import atomic_folder, json_dump
from dgex.datasets.simulated.simulate import simulate
from dgex.places import check_output
from dgex.progress import note
from dgex.work import Work

__all__ = ["COMPENDIUM", "MEASURED", "PANEL", "example", "place"]

COMPENDIUM, PANEL, MEASURED = "compendium.h5ad", "panel.csv", "measured.csv"
_MARKER = "example.json"
_PROFILES = 24  # of the panel at most


def example(output: PathLike = "dgex-example", *, seed: int = 0, overwrite: bool = False) -> Path:
    """Make a small simulated example: offline, in a second, the same every time.

    The panel's profiles are of a study that is not in the compendium, as those of a laboratory would be.

    Parameters
    ----------
    output : path
        Folder to write: `compendium.h5ad` (about 1,000 whole profiles of 100 landmark and 400 target genes, log2
        expression, with the columns `study` and `tissue`), `panel.csv` (some 24 further profiles, landmark genes only)
        and `measured.csv` (all genes of the same profiles, to compare with what is inferred).
    seed : int
        Seed of the draws.
    overwrite : bool
        Replace an example that is there.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputExistsError
        The folder exists and `overwrite` is False, or it holds something else.
    SettingsError, FileError

    Examples
    --------
    >>> import dgex
    >>> folder = dgex.example("first-steps")
    >>> sorted(path.name for path in folder.glob("*.csv"))
    ['measured.csv', 'panel.csv']
    >>> dgex.read(folder / "panel.csv").n_vars
    100
    """
    folder = Path(output)
    place(folder).refuse_other()
    check_output(folder, overwrite, folder=True)
    drawn = simulate(samples=1024, landmarks=100, targets=400, seed=seed)
    assert drawn is not None
    sizes = drawn.obs["study"].value_counts()  # falling
    apart = (drawn.obs["study"] == sizes.index[max(0, int((sizes >= _PROFILES).sum()) - 1)]).to_numpy()
    whole, new = drawn[~apart].copy(), drawn[apart][:_PROFILES].copy()
    whole.obs, whole.var = whole.obs[["tissue", "study"]], whole.var[["role"]]
    new.obs, new.var = new.obs[[]], new.var[["role"]]
    panel = new[:, new.var["role"] == "landmark"].copy()
    panel.var, new.var = panel.var[[]], new.var[[]]
    panel.uns, new.uns = {}, {}
    with atomic_folder(folder, overwrite) as temporary:
        for name, part in ((COMPENDIUM, whole), (PANEL, panel), (MEASURED, new)):
            dgex.io.write(part, temporary / name)
        json_dump({"seed": seed, "profiles": whole.n_obs, "panel": panel.n_obs}, temporary / _MARKER)
    note(f"{whole.n_obs:,} whole profiles of {whole.n_vars} genes -> {folder / COMPENDIUM}")
    note(f"{panel.n_obs} further profiles, {panel.n_vars} landmark genes only -> {folder / PANEL}")
    note(f"all genes of these, to compare -> {folder / MEASURED}")
    return folder


def place(folder: PathLike) -> Work:
    """A folder of an example as a place that may be replaced."""
    return Work(folder, _MARKER, "an example")
