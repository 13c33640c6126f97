"""`dgex.reproduce`: the paper's whole study with one call, killed and started again as often as one likes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dgex.aliases import PathLike
from dgex.atomic import json_dump
from dgex.digests import of_file, of_names
from dgex.errors import ModelError, SettingsError
from dgex.locks import alone, clear_dead
from dgex.paper.checks import check_source
from dgex.paper.data import DESCRIPTION
from dgex.paper.folder import INPUTS, PLAN, place
from dgex.paper.plan import PATHS, resolve
from dgex.paper.results import Results
from dgex.paper.stages import STAGES, run_stages
from dgex.paper.study import Study, read_record
from dgex.places import check_output
from dgex.progress import note
from dgex.records import read_json
from dgex.work import differences

__all__ = ["reproduce"]


def reproduce(
    output: PathLike = "study",
    *,
    scale: str = "demo",
    stages: Sequence[str] | None = None,
    overwrite: bool = False,
    **changes: Any,
) -> Results:
    """Run the study of Chen et al. 2016, and leave one page with its tables and figures beside the published numbers.

    The same call goes on where an earlier one was cut short: the dataset, every model, every epoch of a network that
    has a checkpoint, and everything that was measured are kept. Methods may be added to a study that is there.

    Parameters
    ----------
    output : path
        Folder to fill: `data.h5ad`, `models/`, `networks/` (the grid), `measured/` (errors of every gene by every
        model, which outlive the models), `interpretation/`, `l1000/`, `study.json`, `times.json` and `report.html`.
    scale : {"demo", "paper"}
        Sizes of the simulated compendium and of the networks: minutes on two cores, or full size for a GPU.
    stages : sequence of str, optional
        Stages to run, in their order: data, baselines, networks, halves, interpretation, retraining, inference, page.
        All without it. The page tells what is missing.
    overwrite : bool
        Begin anew: what an earlier study left in `output` is removed, and nothing else.
    **changes
        Settings of `dgex.paper.plan.Plan` that differ from those of the scale: `data` (`simulated`, `gse92743`,
        `paper`, a dataset or a raw matrix), `raw` (the folder of the raw files), `rnaseq`, `platforms`, `group`,
        `standardize`, `epochs`, `hidden`, `layers`, `dropout`, `methods`, `cmap`, `l1000`, `seed`, `device` …

    Returns
    -------
    Results
        What was measured: `rows`, `table`, `selected`, `best` of every platform.

    Raises
    ------
    SettingsError
        An unknown scale, stage or setting.
    ModelError
        `output` holds a study with other settings.
    OutputExistsError
        `output` holds something else.
    FileError, DataError, GeneError
        As the stages.

    Examples
    --------
    >>> import dgex
    >>> found = dgex.reproduce("study")  # doctest: +SKIP
    >>> found.table(found.data.platforms[0])  # doctest: +SKIP
    """
    plan = resolve(scale, changes)
    wanted = list(STAGES) if stages is None else list(stages)
    unknown = [name for name in wanted if name not in STAGES]
    if unknown or not wanted:
        raise SettingsError(f"unknown stage {', '.join(unknown) or '(none)'}", accepted=STAGES)
    study = Study(Path(output), plan)
    _check_inputs(study)
    if not (study.folder / DESCRIPTION).exists() or overwrite:
        check_source(plan)
    with alone(study.folder, "dgex reproduce"):
        place(study.folder).refuse_other()
        check_output(study.folder / PLAN, overwrite=True)
        clear_dead(study.folder)
        _claim(study, overwrite)
        run_stages(study, wanted)
        return study.results


def _check_inputs(study: Study) -> None:
    """Refuse inputs that lie in the folder of the study, which writes and may remove there."""
    home = study.folder.resolve()
    for name, path in study.plan.paths().items():
        if home in path.resolve().parents:
            raise SettingsError(f"{name} {path} lies in {study.folder}, where the study writes; give another folder")


def _claim(study: Study, overwrite: bool) -> None:
    """Make the folder ours: new, or one with the same plan to go on with."""
    marker = study.folder / PLAN
    if marker.exists() and overwrite:
        place(study.folder).clear()
    if marker.exists():
        held, now = _held(marker), study.plan.state()
        differ = _other_inputs(study) if (study.folder / INPUTS).exists() else []
        more = [name for name in now["methods"] if name not in held.get("methods", [])]
        if more and set(held.get("methods", [])) <= set(now["methods"]):  # each is trained and measured alone
            held["methods"] = now["methods"]
        else:
            more = []
        differ += differences(held, now, lambda name, one, other: _same(name, one) == _same(name, other))
        if differ and not (study.folder / DESCRIPTION).exists():  # nothing was made yet
            place(study.folder).clear()
        elif differ:
            raise ModelError(
                f"{study.folder} holds a study with other settings ({'; '.join(differ)}); give another folder, the "
                "same settings, or overwrite=True to begin anew"
            )
        else:
            note(f"going on with the study in {study.folder}" + (f", now with {', '.join(more)} too" if more else ""))
            if more:
                place(study.folder).begin(now)
            return
    work = place(study.folder)
    work.own(INPUTS)
    json_dump(_digests(study), study.folder / INPUTS)
    work.begin(study.plan.state())


def _digests(study: Study) -> dict[str, str]:
    """What tells whether an input is still the same: all of a file, names and sizes of a folder of raw files."""
    digests = {}
    for name, path in study.plan.paths().items():
        if path.is_file() or path.suffix == ".zarr":
            digests[name] = of_file(path)
        elif path.is_dir():
            listed = sorted((str(p.relative_to(path)), p.stat().st_size) for p in path.rglob("*") if p.is_file())
            digests[name] = of_names(listed)
    return digests


def _other_inputs(study: Study) -> list[str]:
    """Inputs that are there but are not those the study began with."""
    held, now = read_record(study.folder / INPUTS), _digests(study)
    return [f"{name}: another content of {getattr(study.plan, name)}" for name in now if held.get(name) != now[name]]


def _same(name: str, value: Any) -> Any:
    """A setting as it is compared: a file may lie elsewhere by now; what it holds is compared by `_other_inputs`."""
    return Path(value).name if name in PATHS and isinstance(value, str) else value


def _held(marker: Path) -> dict[str, Any]:
    try:
        return dict(read_json(marker))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{marker} is damaged ({error}); overwrite=True begins anew") from None
