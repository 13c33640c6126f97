"""A small example to try everything on: simulated, or of people's measured cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from anndata import AnnData

import dgex.io
from dgex.aliases import PathLike
from dgex.datasets.public.download import download
from dgex.datasets.public.fetch import Patience
from dgex.datasets.public.sources import find
from dgex.datasets.simulated.example import PROFILES, place, simulated, written
from dgex.errors import DataError, SettingsError
from dgex.panels.select import select_landmarks
from dgex.places import check_output
from dgex.progress import note

__all__ = ["example"]

_SOURCE, _FILE = "1000g", "gene_rpkm"
_GENES, _LANDMARKS = 2000, 200  # the genes that vary most, and how many of them a panel measures
_EXPRESSED = 1.0  # RPKM that half of the profiles reach in a gene that is kept


def example(
    output: PathLike = "dgex-example",
    *,
    real: bool = False,
    seed: int = 0,
    raw: PathLike | None = None,
    manifest: PathLike | None = None,
    patience: Patience | None = None,
    overwrite: bool = False,
) -> Path:
    """Make a small example: simulated, offline and in a second, or `real`, of a public data set.

    The simulated one is the same every time; its panel is of a study that is not in the compendium, as that of a
    laboratory would be. The real one brings Geuvadis (RNA-Seq of the lymphoblastoid cells of 462 people, 91 MB,
    checked by its published MD5): 438 whole profiles of the 2,000 genes that vary most among those expressed, log2(RPKM
    + 1), the 200 of them that tell most of the others as landmark genes, chosen without the 24 people of the panel.

    Parameters
    ----------
    output : path
        Folder to write: `compendium.h5ad` (whole profiles; simulated about 1,000 of 100 landmark and 400 target genes,
        with the columns `study` and `tissue`; real ones are of one study and have none), `panel.csv` (24 further
        profiles at most, landmark genes only) and `measured.csv` (all genes of these, to compare with what is
        inferred). All values are log2 expression.
    real : bool
        Bring measured profiles.
    seed : int
        Seed of the draws; of real ones, whose profiles make the panel.
    raw : path, optional
        Folder for what is brought, `OUTPUT.data` unless told; what is there already is checked and used.
    manifest : path, optional
        Where else the data set lies, see `dgex.download`.
    patience : Patience, optional
        Of the download.
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
    SettingsError, FileError, DataError
        `raw` without `real`; as `dgex.download`; a file that holds too few people.

    Examples
    --------
    >>> import dgex
    >>> folder = dgex.example("first-steps")
    >>> sorted(path.name for path in folder.glob("*.csv"))
    ['measured.csv', 'panel.csv']
    >>> dgex.read(folder / "panel.csv").n_vars
    100
    >>> dgex.example("cells", real=True)  # doctest: +SKIP

    References
    ----------
    Lappalainen et al., Nature 501 (2013) 506.
    """
    if not real:
        if raw is not None or manifest is not None:
            raise SettingsError("raw and manifest are of real=True; the simulated example needs neither")
        return simulated(output, seed=seed, overwrite=overwrite)
    folder = Path(output)
    place(folder).refuse_other()
    check_output(folder, overwrite, folder=True)
    home = Path(raw) if raw is not None else folder.with_name(f"{folder.name}.data")
    path = download(_SOURCE, home, only=[_FILE], manifest=manifest, patience=patience)[_FILE]
    people = _varying(dgex.io.read(path))
    order = np.random.default_rng(seed).permutation(people.n_obs)
    new, whole = people[np.sort(order[:PROFILES])].copy(), people[np.sort(order[PROFILES:])].copy()
    size = min(_LANDMARKS, whole.n_vars // 2)
    chosen = select_landmarks(whole, size=size, against=(), sizes=(size,), splits=1, scale="log2", seed=seed).panel
    whole.var["role"] = np.where(whole.var_names.isin(chosen), "landmark", "target")
    source = find(_SOURCE)
    note(f"{source.title}: {source.citation}; {source.licence}")
    return written(folder, whole, new, {"seed": seed, "source": source.citation}, overwrite)


def _varying(people: AnnData) -> AnnData:
    """The genes that vary most among those expressed, on the scale log2(x + 1)."""
    if people.n_obs < 2 * PROFILES:
        raise DataError("people of the data set", found=people.n_obs, accepted=f"{2 * PROFILES} or more")
    linear = np.asarray(people.X)
    expressed = np.flatnonzero(np.median(linear, axis=0) >= _EXPRESSED)
    values = np.log2(linear[:, expressed] + 1, dtype=np.float32)
    most = np.sort(np.argsort(-values.var(axis=0, dtype=np.float64), kind="stable")[:_GENES])
    kept = people[:, expressed[most]].copy()
    kept.X, kept.obs, kept.var = values[:, most], kept.obs[[]], kept.var[[]]
    return kept
