"""A model of a public compendium in one command: brought, prepared, trained, judged and described; each stage once."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

from dgex.aliases import PathLike
from dgex.atomic import json_dump
from dgex.datasets.public.download import RECORD, download
from dgex.datasets.public.fetch import Patience
from dgex.datasets.public.gse92743 import arrays_alone
from dgex.datasets.public.sources import find
from dgex.errors import FileError, ModelError, SettingsError
from dgex.evaluation.evaluate import evaluate
from dgex.fitting.calibrate import calibrate
from dgex.fitting.output import KEPT, copied
from dgex.fitting.train import train
from dgex.models.base import Estimator
from dgex.models.catalogue import new, usual
from dgex.models.folder import load, place, save
from dgex.places import check_inputs
from dgex.prepare.pipeline import prepare
from dgex.progress import note, processes
from dgex.records import read_json
from dgex.shared import RECIPES
from dgex.work import differences

__all__ = ["train_public"]

_FILES = {"gse92743": ("affymetrix", "gene_info")}
# Values come quantile-normalised over all genes; ranked once more, the landmark genes among themselves, the model takes
# panels of any scale and is judged as it will be used. No table says of which study an array is: the split is random.
_OPTIONS = {"dedup": 1.0, "dedup_over": "compendium", "quantile": "inductive", "seed": 0}
_BASELINE, _TEST = "ols", "test"


def train_public(
    name: str,
    method: str | None,
    output: PathLike,
    *,
    raw: PathLike | None = None,
    overwrite: bool = False,
    patience: Patience | None = None,
    **options: Any,
) -> Estimator:
    """Make a model of a public compendium, from the download to the card; called again, go on where it stopped.

    Its files are brought (`dgex.download`), or, where `raw` holds them already, checked; a dataset is prepared (linear
    arrays of `gse92743`: near-duplicates out, quantile-normalised, split 80/10/10 at random), a model is trained on it
    and measured on the test profiles beside linear regression, which judge how far its values can be trusted, too. The
    card names the data, their citation and licence. Whatever stage is finished is not done again.

    Parameters
    ----------
    name : str
        A compendium that there is a recipe for: `gse92743`.
    method : str, optional
        As for `dgex.train`: `auto` unless told.
    output : path
        The model folder.
    raw : path, optional
        Folder of the files, of the dataset made of them, of linear regression and of the evaluation;
        `OUTPUT.data` unless told. It may serve for several models.
    overwrite : bool
        Train anew where `output` exists; files and dataset stay.
    patience : Patience, optional
        Of the download.
    **options
        Further arguments of `dgex.train` and settings of the method.

    Returns
    -------
    Estimator
        Fitted, with the test profiles among `metrics_["sets"]`.

    Raises
    ------
    SettingsError
        No such recipe, or several processes.
    FileError, DataError, GeneError, ModelError
        As `dgex.download`, `dgex.prepare` and `dgex.train`; a dataset in `raw` that was made otherwise.

    Examples
    --------
    >>> import dgex
    >>> dgex.train_public("gse92743", "residual", "models/gse92743")  # doctest: +SKIP

    References
    ----------
    Subramanian et al., Cell 171 (2017) 1437.
    """
    if name not in RECIPES:
        raise SettingsError(f"no recipe makes a model of {name!r}", accepted=RECIPES)
    if processes() > 1:
        raise SettingsError(
            "a recipe is for one process", accepted="dgex train on the dataset it has made, by torchrun"
        )
    target = Path(output)
    folder = Path(raw) if raw is not None else target.with_name(f"{target.name}.data")
    settings = {key: value for key, value in options.items() if key not in signature(train).parameters}
    new(method or usual(settings), settings)  # refused before gigabytes are brought
    place(target).refuse_other()
    check_inputs(target, [folder])
    download(name, folder, only=_FILES[name], patience=patience)
    dataset = _dataset(name, folder)
    model = train(dataset, method, target, overwrite=overwrite, resume=not overwrite, **options)
    if getattr(model, "interrupted_", False):
        raise KeyboardInterrupt
    if _TEST in model.metrics_["sets"]:
        note(f"{target} is measured and described already")
        return model
    train(dataset, _BASELINE, folder / _BASELINE, resume=(folder / _BASELINE).exists())
    _judge(model, name, dataset, folder)

    def keep_checkpoint(new: Path) -> None:
        if (target / KEPT).is_dir():
            copied(target / KEPT, new / KEPT)

    save(model, target, overwrite=True, beside=keep_checkpoint)
    return model


def _dataset(name: str, folder: Path) -> Path:
    """The dataset of the files in `folder`; one that is there must be of the same files and made alike."""
    dataset, said = folder / f"{name}.h5ad", folder / f"{name}.json"
    served = read_json(folder / RECORD)["sources"][name]["files"]
    now = {**_OPTIONS, **{key: served[key]["sha256"] for key in _FILES[name]}}
    if dataset.exists():
        if not said.exists():
            raise FileError(f"{dataset} is in the way: no {said.name} tells what it was made of; move it elsewhere")
        differ = differences(read_json(said), now)
        if differ:
            raise ModelError(f"{dataset} was made otherwise ({'; '.join(differ)}); remove it, or give another folder")
        note(f"{dataset} is there already")
        return dataset
    json_dump(now, said)  # before the dataset, which is never there without it
    matrix, genes = arrays_alone(folder)
    prepare(matrix, dataset, genes=genes, **_OPTIONS)  # type: ignore[arg-type]
    return dataset


def _judge(model: Estimator, name: str, dataset: Path, folder: Path) -> None:
    """Measure the model on the test profiles, let them tell what its values are worth, and say of what it is made."""
    found = evaluate({model.kind: model, "LR": load(folder / _BASELINE)}, dataset, _TEST, baseline="LR")
    found.save(folder / "evaluation", overwrite=True)
    calibrate(model, dataset, split=_TEST)
    rows: dict[Any, dict[Any, Any]] = {row["model"]: row for row in found.overall.to_dict("records")}
    row, base = rows[model.kind], rows["LR"]["error"]
    measured = {"overall": float(row["error"]), "sd": float(row["sd"]), "profiles": int(row["profiles"])}
    model.metrics_["sets"][_TEST] = measured
    low, gain, high = (f"{row[column]:.1%}" for column in ("improvement_low", "improvement", "improvement_high"))
    better = "a tie with" if bool(row["tie"]) else f"{gain} ({low} to {high}) better than"
    source = find(name)
    model.metrics_["data"] |= {
        "source": source.title,
        "citation": source.citation,
        "licence": source.licence,
        "on_test_profiles": f"{better} linear regression, {base:.4f}; studies may be on both sides of the split",
    }
