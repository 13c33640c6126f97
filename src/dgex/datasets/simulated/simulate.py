"""A simulated compendium: tissues, programmes, nonlinear regulation, studies, platforms and noise, of any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
from anndata import AnnData

import dgex.io
from dgex.aliases import PathLike
from dgex.datasets.simulated.compendium import Compendium, Settings, check_whole
from dgex.places import claim
from dgex.progress import bar
from dgex.remote.sending import sends

__all__ = ["simulate"]

Array = np.ndarray


@sends("output")
def simulate(
    output: PathLike | None = None,
    *,
    samples: int = 2000,
    landmarks: int = 200,
    targets: int = 800,
    rnaseq: int = 0,
    tissues: int = 20,
    programmes: int | None = None,
    circuits: int | None = None,
    nonlinear: float = 0.7,
    studies: int | None = None,
    chips: int = 2,
    batch: float = 1.0,
    noise: float = 1.0,
    duplicates: float = 0.0,
    seed: int = 0,
    block: int = 4096,
    overwrite: bool = False,
) -> AnnData | None:
    """Draw a compendium of expression profiles with known regulation.

    Programmes (latent factors) follow the tissue and the study. Landmark genes follow programmes; target genes follow
    circuits that combine programmes and landmark genes: added, saturating (Hill), together (AND) or one without the
    other (XOR). Studies and chips shift and scale genes, arrays have a floor and a ceiling, RNA-Seq counts reads.
    `docs/simulation.md` has the equations. Values are raw log2 values, 4 to 15 for arrays and 0 to 15 for RNA-Seq.

    The result depends on the settings other than `output`, `block` and `overwrite` only: each run of 256 samples, each
    study and the genes have random streams of their own, derived from `seed`. The genes do not depend on the number of
    samples, so two seeds give two worlds and two sizes two samples of one world.

    Parameters
    ----------
    output : path, optional
        File to write, its format by the suffix. Without it the compendium comes back in memory.
    samples : int
        Number of array profiles.
    landmarks, targets : int
        Number of landmark genes (two at least) and of target genes.
    rnaseq : int
        Number of further RNA-Seq profiles of the same genes, of other studies; `obs["set"]` is ``"rnaseq"`` for them
        and ``"compendium"`` for the arrays.
    tissues : int
        Number of tissues.
    programmes : int, optional
        Number of programmes, two at least; one in 12 landmark genes when not given.
    circuits : int, optional
        Number of circuits that target genes share; twice the number of programmes when not given.
    nonlinear : float
        Share of the circuits that are not linear, 0 to 1: half of these saturate, half combine (AND, XOR).
    studies : int, optional
        Number of studies of the arrays; one in 40 samples when not given. RNA-Seq studies keep the same mean size.
    chips : int
        Number of kinds of array, each with its own gene-wise shift and scale; a study uses one.
    batch, noise : float
        Factors on the effects of studies and chips, and on unexplained variation; 0 switches them off.
    duplicates : float
        Share of the samples, 0 to 0.5, that repeat another one exactly or nearly (Euclidean distance over all genes
        about 0.25); ``obs["duplicate_of"]`` names the original.
    seed : int
        Seed of all draws.
    block : int
        Samples written at a time.
    overwrite : bool
        Replace an existing `output`.

    Returns
    -------
    AnnData or None
        Profiles x genes (landmark genes first), float32; None when written to `output`. ``obs`` has `tissue`, `study`,
        `platform`, `chip`, `set` and `duplicate_of` (when there are duplicates). ``var`` has `role` and the truth:
        `kind` (linear, saturating, combinatorial), `gate` (sum, hill, and, xor), `circuit` (the main one), its
        `regulators` (for landmark genes their programmes, strongest first), `base`, `amplitude` and `noise_sd` (log2
        units). The settings are in ``uns["dgex"]["simulation"]``.

    Raises
    ------
    SettingsError
        A setting outside its range.
    OutputExistsError
        `output` exists and `overwrite` is false.
    FileError
        `output` cannot be written.

    Examples
    --------
    >>> import dgex
    >>> dgex.simulate(samples=100, landmarks=10, targets=20, rnaseq=30).obs["set"].value_counts().to_dict()
    {'compendium': 100, 'rnaseq': 30}
    """
    check_whole("block", block, 1)
    check_whole("samples", samples, 1)
    check_whole("landmarks", landmarks, 2)
    programmes = max(2, landmarks // 12) if programmes is None else programmes
    check_whole("programmes", programmes, 2)
    settings = Settings(
        samples=samples,
        landmarks=landmarks,
        targets=targets,
        rnaseq=rnaseq,
        tissues=tissues,
        programmes=programmes,
        circuits=2 * programmes if circuits is None else circuits,
        nonlinear=nonlinear,
        studies=max(1, samples // 40) if studies is None else studies,
        chips=chips,
        batch=batch,
        noise=noise,
        duplicates=duplicates,
        seed=seed,
    )
    settings.check()
    compendium = Compendium(settings)
    obs, var = compendium.obs(), compendium.regulation.table()
    uns = {"dgex": {"simulation": asdict(settings)}}
    if output is None:
        X = np.empty((len(obs), len(var)), np.float32)
        done = 0
        for chunk in compendium.chunks():
            X[done : done + len(chunk)] = chunk
            done += len(chunk)
        return AnnData(X=X, obs=obs, var=var, uns=uns)
    with (
        claim(output, "dgex simulate", overwrite=overwrite),
        dgex.io.create(output, obs, var, uns=uns, overwrite=overwrite) as writer,
        bar(len(obs), "simulate") as progress,
    ):
        for rows in _reblock(compendium.chunks(), block):
            writer.append(rows)
            progress.advance(len(rows))
    return None


def _reblock(chunks: Iterator[Array], block: int) -> Iterator[Array]:
    """Join and cut chunks into blocks of exactly `block` rows, the last one aside."""
    blocks: list[Array] = []
    rows = 0
    for chunk in chunks:
        while rows + len(chunk) >= block:
            take = block - rows
            yield np.concatenate([*blocks, chunk[:take]])
            blocks, rows, chunk = [], 0, chunk[take:]
        if len(chunk):
            blocks.append(chunk)
            rows += len(chunk)
    if blocks:
        yield np.concatenate(blocks)
