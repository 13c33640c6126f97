"""Which genes to measure: choose a panel, compare it with others, and say what it tells of the rest."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from dgex._version import __version__
from dgex.aliases import PathLike
from dgex.dataset.split import SPLITS as SPLIT_NAMES
from dgex.dataset.split import checked_fractions
from dgex.errors import SettingsError
from dgex.evaluation.bootstrap import FEW
from dgex.genes import texts
from dgex.panels.comparing import Comparing, sizes_up_to
from dgex.panels.forward import Chosen
from dgex.panels.gathering import gathered
from dgex.panels.job import Job
from dgex.panels.lists import Names, excluded, listed, weights_of
from dgex.panels.matrix import Data, Profiles
from dgex.panels.measurable import Limits
from dgex.panels.result import TABLE, PanelChoice, place
from dgex.panels.rivals import Rival, rivals_of
from dgex.panels.view import PENALTY, PENALTY_LEFT_OUT, View
from dgex.places import claim
from dgex.progress import bar, note, warn

__all__ = ["CANDIDATES", "select_landmarks"]

SIZE = 400  # genes of a panel unless told
SPLITS = 5
CANDIDATES = 10  # genes told that would come next


def select_landmarks(
    data: Data,
    output: PathLike | None = None,
    *,
    size: int | None = None,
    error: float | None = None,
    keep: Names | None = None,
    add: int | None = None,
    thin: Names | None = None,
    exclude: Sequence[str] = (),
    min_level: float | None = None,
    max_unexpressed: float | None = None,
    floor: float = 0.0,
    max_batch: float | None = None,
    batch: str | None = None,
    weights: PathLike | Mapping[str, float] | None = None,
    weight: float = 10.0,
    per_group: str | None = None,
    against: Sequence[str | PathLike] | None = None,
    sizes: Sequence[int] | None = None,
    group: str | None = None,
    splits: int | None = None,
    split: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    accuracy: float = 0.5,
    penalty: float | None = None,
    scale: str = "auto",
    collapse: str = "mean",
    orientation: str = "auto",
    format: str | None = None,
    layer: str | None = None,
    overwrite: bool = False,
) -> PanelChoice:
    """Choose the genes that tell most of all others, and measure how much.

    Parameters
    ----------
    data : path or AnnData
        A dataset made by `dgex.prepare`, or a raw matrix of whole profiles in any format that it reads. Linear
        values become log2(x + 1), which is said.
    output : path, optional
        A folder for the gene table `panel.tsv`, which `dgex.prepare(genes=)` takes, the page and tables; see
        `PanelChoice.save`.
    size : int, optional
        Genes of the panel; 400 unless told, or fewer where `error` is reached before. Of `thin`: genes left.
    error : float, optional
        Stop where the overall error on the validation profiles, in standard deviations, is this or less.
    keep : path or sequence of str, optional
        Genes that must be in the panel: names, a file with one a line, or a gene table whose landmark genes are meant.
    add : int, optional
        How many genes to add to those to keep, instead of `size`.
    thin : path or sequence of str, optional
        A panel to make smaller: the genes that cost least go until `size` are left. None is added.
    exclude : sequence of str
        Genes that may not be chosen: names, patterns (`MT-*`), or files with either. They stay genes to infer.
    min_level, max_unexpressed, floor : float
        Exclude genes whose mean is below `min_level` (log2, as measured), or that are at or below `floor` in more
        than the share `max_unexpressed` of the training profiles.
    max_batch, batch
        Exclude genes of whose variance more than this share lies between the groups of the column `batch` (`group`
        unless told).
    weights : path or mapping, optional
        Genes that matter more as ones to infer: names one a line, perhaps with a number after a tab, or GMT.
    weight : float
        Of genes in `weights` without a number of their own; all others count 1.
    per_group : str, optional
        Column of studies: a gene's gain is what it adds on studies left out, in five parts, instead of on the training
        profiles.
    against : sequence of str or path, optional
        Panels to compare with: `"random"` (three draws of each size), `"variable"` (largest standard deviations),
        `"components"` (leaders of principal components), `"roles"` (landmark genes of `var["role"]`), and lists:
        `FILE` or `NAME=FILE`. `random` and `variable`, and `roles` where there are some, unless told; empty for none.
    sizes : sequence of int, optional
        Sizes of the curve; the size and its halves unless told.
    group : str, optional
        Column of `obs`: profiles of a group stay on one side of every split. A dataset's own unless told.
    splits : int, optional
        On how many splits the panels are chosen anew and compared; 5, or 1 where the matrix is too large for memory.
    split : three numbers
        Fractions of training, validation and test.
    seed : int
        Of the first split, as in `dgex.prepare`; the others count on from it.
    accuracy : float
        Genes whose inferred and measured values correlate less than this on test profiles are told as not inferable.
    penalty : float, optional
        Ridge penalty of the choice in units of a gene's variance: 0.003, and 0.1 with `per_group`.
    scale, collapse, orientation, format, layer
        As for `dgex.prepare`.
    overwrite : bool
        Replace an output that exists.

    Returns
    -------
    PanelChoice
        `.panel`, `.curve`, `.genes`, `.candidates`, `.going`, `.table()`.

    Raises
    ------
    GeneError
        Genes to keep or to thin are missing, a list fits no gene.
    DataError
        Genes to keep are constant, no gene varies, one group only with `per_group`, too few profiles.
    SettingsError
        A size beyond the genes, an error that no panel reaches, a setting outside what is accepted.
    FileError, OutputExistsError
        An input that cannot be read; an output that cannot be written, or exists.

    Notes
    -----
    The panel is chosen on the training profiles of the first split: a dataset's own, or the one that `dgex.prepare`
    makes with the same `seed`, `split` and `group`, so that its test profiles stay untouched for who trains and
    evaluates next. Ridge regression measures all panels alike, its penalty chosen on validation profiles, on genes
    that are in none of them.

    Up to 512 MiB of values are held in memory; larger matrices are read in blocks once for each pass, and beside a
    block the Gram matrix of genes, or of profiles where these are fewer, is held in float32.

    Examples
    --------
    >>> import dgex
    >>> raw = dgex.simulate(samples=200, landmarks=20, targets=60, seed=0)
    >>> found = dgex.select_landmarks(raw, size=10, against=["random"], splits=2, seed=0)
    >>> len(found.panel), found.table()["role"].value_counts().to_dict()
    (10, {'target': 70, 'landmark': 10})
    """
    _check(size, add, error, keep, thin, splits, accuracy, penalty)
    shares = tuple(float(share) for share in checked_fractions(split))
    lists = [item for item in (keep, thin, weights) if isinstance(item, str | os.PathLike)]
    limits = Limits(min_level, max_unexpressed, floor, max_batch)
    reading = {"orientation": orientation, "format": format, "layer": layer}
    with ExitStack() as stack:
        if output is not None:
            place(output).refuse_other()
            inputs = [data, *lists, *exclude, *(against or ())]
            stack.enter_context(claim(output, "dgex select-landmarks", overwrite=overwrite, inputs=inputs, folder=True))
        profiles = Profiles(data, stack, scale=scale, collapse=collapse, **reading)
        var = profiles.var
        rivals = rivals_of(_usual(profiles) if against is None else list(against), var)
        own = profiles.own_split()
        group = group or (own[1] if own else None)
        if max_batch is not None and not (batch or group):
            raise SettingsError("max_batch needs batches", accepted="batch=COLUMN or group=COLUMN of obs")
        job = Job(
            profiles,
            limits,
            (batch or group) if max_batch is not None else None,
            excluded(exclude, var) if exclude else np.zeros(len(var), bool),
            np.empty(0, np.int64) if keep is None else listed(keep, var, "keep"),
            None if thin is None else listed(thin, var, "thin"),
            weights_of(weights, var, weight),
            penalty,
            per_group,
            group,
        )
        wanted = _wanted(size, add, job)
        view = job.view(own[0] if own else profiles.split(group, seed, shares))
        if wanted >= len(view.rows("train")):
            warn(
                f"a panel of {wanted:,} genes is chosen on {len(view.rows('train')):,} training profiles: genes beyond "
                "their number add next to nothing that these profiles could tell"
            )
        chosen = job.chosen(view, wanted, CANDIDATES)
        if error is not None:
            wanted = job.until(view, chosen, error, wanted)
        varying = int((~view.facts.constant).sum())
        if wanted >= varying:
            raise SettingsError("size", found=wanted, accepted=f"fewer than {varying:,}: no other gene varies")
        count = splits or (SPLITS if profiles.held else 1)
        others = [profiles.split(group, seed + number, shares) for number in range(1, count)]
        comparing = _compare(job, view, chosen, rivals, _sizes(sizes, wanted, rivals), others, seed)
        settings = {
            "dgex": __version__,
            "data": profiles.name,
            "profiles": {part: len(view.rows(part)) for part in SPLIT_NAMES},
            "genes": len(var),
            "split": f"by {group}" if group else "at random",
            "splits": count,
            "intervals": _drawn_over(comparing, group),
            "found": profiles.facts,
            "size": wanted,
            "kept": len(job.keep),
            "thinned_from": None if job.start is None else len(job.start),
            "error": error,
            "per_group": per_group,
            "penalty": penalty or (PENALTY if per_group is None else PENALTY_LEFT_OUT),
            "seed": seed,
            "accuracy": accuracy,
            "against": [rival.name for rival in rivals],
            "excluded": job.allowed(view)[1].to_dict("records"),
        }
        result = gathered(job, view, chosen, wanted, comparing, settings)
        if output is not None:
            result.save(output, overwrite=overwrite)
            note(f"wrote {output}: {wanted:,} genes; dgex prepare --genes {Path(output) / TABLE} takes them")
    return result


def _compare(
    job: Job,
    view: View,
    chosen: Chosen,
    rivals: Sequence[Rival],
    sizes: Sequence[int],
    others: Sequence[np.ndarray],
    seed: int,
) -> Comparing:
    """Measure the panel and its rivals on the first split, and panels chosen anew on the others."""
    comparing = Comparing(rivals, sizes, job.profiles.var.index, job.group or "")
    with bar(len(others) + 1, "comparing") as progress:
        comparing.add(view, chosen, job.allowed(view)[0], seed)
        progress.advance()
        for number, split in enumerate(others, start=1):
            other = job.view(split)
            comparing.add(other, job.chosen(other, max(sizes)), job.allowed(other)[0], seed + number)
            progress.advance()
    return comparing


def _usual(profiles: Profiles) -> list[str]:
    """What to compare with unless told."""
    var = profiles.var
    landmarks = int((texts(var["role"]) == "landmark").sum()) if "role" in var else 0
    return ["random", "variable", *(["roles"] if landmarks else [])]


def _wanted(size: int | None, add: int | None, job: Job) -> int:
    """How many genes the panel is to have."""
    if add is not None:
        return len(job.keep) + add
    most = len(job.profiles.var)
    if size is None and job.start is not None:
        size = max(1, len(job.start) // 2)
        note(f"thinning to {size:,} of {len(job.start):,} genes; size= says how many are left")
    if size is None:
        size = max(min(SIZE, most // 2), len(job.keep))
        if size != SIZE:
            note(f"a panel of {size:,} genes is chosen, of {most:,} in the data; size= says how many")
    if size < len(job.keep):
        raise SettingsError(
            "size", found=size, accepted=f"{len(job.keep):,}, the genes to keep, or more; thin= makes a panel smaller"
        )
    return size


def _sizes(sizes: Sequence[int] | None, wanted: int, rivals: Sequence[Rival]) -> list[int]:
    if sizes is None:
        lists = [len(rival.genes) for rival in rivals if rival.kind == "list"]
        return sorted({*sizes_up_to(wanted), *(count for count in lists if count < wanted)})
    if not sizes or min(sizes) < 1 or max(sizes) > wanted:
        raise SettingsError("sizes", found=list(sizes), accepted=f"sizes from 1 to that of the panel, {wanted:,}")
    return sorted({*map(int, sizes), wanted})


def _drawn_over(comparing: Comparing, group: str | None) -> str:
    """What intervals are over, in words."""
    units = comparing.units
    what = f"{units:,} groups of {group}" if group else f"{units:,} profiles"
    few = f" (fewer than {FEW}: 95 % is not reached)" if units < FEW else ""
    return f"over {what}{few}"


def _check(
    size: int | None,
    add: int | None,
    error: float | None,
    keep: Any,
    thin: Any,
    splits: int | None,
    accuracy: float,
    penalty: float | None,
) -> None:
    """Refuse settings that contradict each other or lie outside what is accepted."""
    for name, count in (("size", size), ("add", add), ("splits", splits)):
        if count is not None and count < 1:
            raise SettingsError(name, found=count, accepted="1 or more")
    if error is not None and not error > 0:
        raise SettingsError("error", found=error, accepted="above 0, in standard deviations of a gene")
    if not -1 <= accuracy <= 1:
        raise SettingsError("accuracy", found=accuracy, accepted="a correlation from -1 to 1")
    if penalty is not None and not 0 < penalty < np.inf:
        raise SettingsError("penalty", found=penalty, accepted="a number above 0")
    if add is not None and (keep is None or size is not None):
        raise SettingsError("add is how many genes come to those to keep", accepted="keep= with add=, without size=")
    if thin is not None and (keep is not None or error is not None):
        raise SettingsError("thin makes a panel smaller", accepted="thin= without keep= and error=")
