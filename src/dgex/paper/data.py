"""The first stage of a study: one dataset with its platforms, from any of the sources."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dgex import io
from dgex.atomic import json_dump
from dgex.dataset.platforms import Platform, check_platforms
from dgex.dataset.roles import check_dataset, named_sets
from dgex.dataset.split import split_samples
from dgex.datasets.simulated.simulate import simulate
from dgex.errors import DataError, FileError, ModelError, SettingsError, first
from dgex.genes import texts
from dgex.paper.draws import checked, draws
from dgex.paper.plan import Plan
from dgex.prepare.pipeline import prepare
from dgex.progress import note
from dgex.records import read_json

__all__ = [
    "ARRAYS",
    "DATA",
    "DESCRIPTION",
    "Described",
    "describe",
    "keep_described",
    "make_data",
    "open_described",
    "platforms_of",
    "raw_folder",
]

DATA, ARRAYS = "data.h5ad", "arrays.h5ad"
FACTS = "title", "profiles", "landmarks", "targets", "unit", "fingerprint", "record"
DESCRIPTION = "data.json"
# Of the RNA-Seq profiles, the share that selects models: 462 of 3,383 in the paper.
VALIDATES = 462 / 3383
PAIR = "-va", "-te"
# Of GSE92743, what the dataset is made of.
MATRICES = "affymetrix", "gtex_rnaseq", "gtex_l1000", "gene_info", "inst_info"


class Described:
    """A study's dataset: where it is, its platforms, and what the page tells of it.

    Attributes
    ----------
    path : Path
    platforms : list of Platform
    facts : dict
        `profiles` (by split), `landmarks`, `targets`, `fingerprint`, `unit`, `title`, `record` (what prepare did).
    genes : list of str
        The target genes, in order.
    drawn : dict of test set to dict
        What a bootstrap draws anew there: `over` (profiles, or a column of `obs`), `units` (how many) and `members`
        (the group of each profile; None where profiles are drawn). Empty in a study from before these were kept.
    """

    def __init__(
        self,
        path: Path,
        platforms: Sequence[Platform],
        facts: dict[str, Any],
        genes: Sequence[str],
        drawn: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        self.path, self.platforms, self.facts, self.genes = path, list(platforms), facts, list(genes)
        self.drawn = drawn or {}

    @property
    def validation(self) -> list[str]:
        """The sets that models are selected on, one a platform."""
        return [platform.validation for platform in self.platforms]

    @property
    def sets(self) -> list[str]:
        """All sets that errors are measured on."""
        return [name for platform in self.platforms for name in (platform.validation, platform.test)]


def open_described(folder: Path, plan: Plan) -> Described | None:
    """What `make_data` left in `folder`; None before it is finished.

    Raises
    ------
    ModelError
        The description is damaged.
    """
    path = folder / DESCRIPTION
    if not path.exists():
        return None
    try:
        stored = read_json(path)
        platforms = [Platform(**platform) for platform in stored["platforms"]]
        check_platforms(platforms)  # their names become those of folders
        facts = {name: stored["facts"][name] for name in FACTS}
        drawn = checked(stored.get("drawn", {}), facts["profiles"])
        where = Path(plan.data) if stored["given"] else folder / DATA
        return Described(where, platforms, facts, stored["genes"], drawn)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} is damaged ({type(error).__name__}: {error}); remove it to describe the data anew"
        ) from None


def make_data(folder: Path, plan: Plan) -> Described:
    """Make the dataset of a study, or take the one that is given, and describe it in `data.json`.

    Raises
    ------
    FileError, DataError, SettingsError, GeneError
        The source is missing, cannot be read, or is no dataset with sets to select on and to test on.
    """
    output = folder / DATA
    if plan.data == "simulated":
        title, platforms = "a simulated compendium", _simulated(folder, output, plan)
    elif plan.data == "gse92743":
        title, platforms = "CMap's public compendium GSE92743", _public(output, plan)
    elif plan.data == "paper":
        title, platforms = "the paper's own files", _original(output, plan)
    else:
        output, platforms = _given(folder, output, plan)
        title = Path(plan.data).name + (f" and {Path(plan.rnaseq).name}" if plan.rnaseq else "")
    facts, genes = describe(output)
    check_platforms(platforms)
    described = Described(output, platforms, {"title": title, **facts}, genes, draws(output, platforms, plan))
    note("dataset: " + ", ".join(f"{name} {count:,}" for name, count in facts["profiles"].items()))
    keep_described(described, folder)
    return described


def keep_described(described: Described, folder: Path) -> None:
    """Write a dataset's description, by which a page needs no dataset."""
    description = {
        "given": described.path != folder / DATA,
        "platforms": [vars(platform) for platform in described.platforms],
        "facts": described.facts,
        "genes": described.genes,
        "drawn": described.drawn,
    }
    json_dump(description, folder / DESCRIPTION)


def _simulated(folder: Path, output: Path, plan: Plan) -> list[Platform]:
    """Arrays to train on, RNA-Seq as the second platform: an eighth of its studies selects, the others test."""
    platforms = [Platform("Arrays", "validation", "test", "GEO-te"), Platform("RNA-Seq", "RNA-va", "RNA-te", "GTEx-te")]
    if output.exists():
        return platforms
    sizes = {name: getattr(plan, name) for name in ("samples", "landmarks", "targets", "duplicates", "seed")}
    raw = folder / "simulated.h5ad"
    if not raw.exists():
        simulate(raw, rnaseq=plan.rnaseq_samples, **sizes)
    with io.open(raw) as world:
        arrays = (world.obs["set"] == "compendium").to_numpy()
        rows = np.flatnonzero(~arrays)
        parts = _parted(world.obs.iloc[rows], "study", plan.seed)
        for name, part in parts.items():
            _copy(world, rows[part], folder / f"{name}.h5ad")
        _copy(world, np.flatnonzero(arrays), folder / ARRAYS)
    raw.unlink()
    inputs = [folder / ARRAYS, *(f"{name}={folder / f'{name}.h5ad'}" for name in parts)]
    _prepare(inputs, output, plan, dedup=1.0)
    return platforms


def _public(output: Path, plan: Plan) -> list[Platform]:
    from dgex.datasets.public.download import RECORD, files
    from dgex.datasets.public.gse92743 import prepare_gse92743

    where: Any = raw_folder(plan)
    if (where / RECORD).exists():  # what was downloaded must be what came then
        where = files(where, "gse92743", only=MATRICES)
    return list(prepare_gse92743(where, output, seed=plan.seed, overwrite=True))


def _original(output: Path, plan: Plan) -> list[Platform]:
    from dgex.datasets.public.original import prepare_original

    return list(prepare_original(raw_folder(plan), output, seed=plan.seed, overwrite=True))


def raw_folder(plan: Plan) -> Path:
    """The folder of the raw files of a source that needs one."""
    if not plan.raw:
        brings = "; dgex download gse92743 DIR brings them" if plan.data == "gse92743" else ""
        raise SettingsError(f"data {plan.data} needs the folder of its files: raw=DIR{brings}")
    if not Path(plan.raw).is_dir():
        raise FileError(f"no folder at {plan.raw}", accepted=f"the folder that holds the files of {plan.data}")
    return Path(plan.raw)


def _given(folder: Path, output: Path, plan: Plan) -> tuple[Path, list[Platform]]:
    """A dataset as it is, or raw matrices that are prepared here."""
    path = Path(plan.data)
    with io.open(path) as source:
        ready = "split" in source.obs
    if ready:
        return path, platforms_of(path, plan)
    inputs: list[Any] = [path]
    if plan.rnaseq:
        with io.open(plan.rnaseq) as other:
            parts = _parted(other.obs, plan.group, plan.seed, share=0.5)
            for name, part in parts.items():
                _copy(other, part, folder / f"{name}.h5ad")
        inputs += [f"{name}={folder / f'{name}.h5ad'}" for name in parts]
    _prepare(inputs, output, plan, group=plan.group or None, constant="drop")
    return output, platforms_of(output, plan)


def _prepare(inputs: Sequence[Any], output: Path, plan: Plan, **settings: Any) -> None:
    """Joint quantile normalisation and standardising, unless the dataset is there already."""
    if not output.exists():
        how: dict[str, Any] = {"standardize": plan.standardize, "ties": plan.ties, "seed": plan.seed}
        prepare(inputs, output, quantile=True, **how, **settings)


def platforms_of(path: Path, plan: Plan) -> list[Platform]:
    """The platforms of a dataset that were asked for; else validation and test, and every pair NAME-va and NAME-te."""
    with io.open(path) as source:
        check_dataset(source)
        present = texts(source.obs["split"]).unique().tolist()
        named = named_sets(source)
    if plan.platforms:
        wanted = [Platform(*platform) for platform in plan.platforms]
    else:
        stems = [name.removesuffix(PAIR[0]) for name in named if name.endswith(PAIR[0])]
        wanted = [Platform(stem, stem + PAIR[0], stem + PAIR[1]) for stem in stems if stem + PAIR[1] in named]
        if "validation" in present and "test" in present:
            wanted.insert(0, Platform(_named(plan, [p.name for p in wanted]), "validation", "test"))
    absent = [name for platform in wanted for name in (platform.validation, platform.test) if name not in present]
    if absent or not wanted:
        raise DataError(
            f"{path} has no set {first(absent) if absent else 'to select on and to test on'}; found {first(present)}",
            accepted="validation and test, pairs NAME-va and NAME-te, or platforms=[(name, validation, test)]",
        )
    return wanted


def _named(plan: Plan, taken: Sequence[str]) -> str:
    """A platform's name from that of its file."""
    name = re.sub(r"[^A-Za-z0-9_.+ -]+", "-", Path(plan.data).stem).strip("-._ ")
    try:
        check_platforms([Platform(name, "validation", "test"), *(Platform(t, f"{t}-va", f"{t}-te") for t in taken)])
    except SettingsError:
        return "data"
    return name


def _parted(obs: pd.DataFrame, group: str, seed: int, share: float = VALIDATES) -> dict[str, np.ndarray]:
    """Rows of the second platform that select models and rows that test them, parted by `group` where there is one."""
    if group and group not in obs:
        raise DataError(f"no column {group!r} in obs of the second platform; found {first(obs.columns) or 'none'}")
    groups = obs[group].to_numpy(dtype=object) if group else None
    labels = split_samples(len(obs), (1.0 - share, share, 0.0), seed=seed, groups=groups)
    parts = {"RNA-va": np.flatnonzero(labels == "validation"), "RNA-te": np.flatnonzero(labels == "train")}
    if not all(len(rows) for rows in parts.values()):
        raise DataError(f"{len(obs):,} profiles of the second platform cannot be parted into two sets; more are needed")
    return parts


def _copy(source: io.ExpressionFile, rows: np.ndarray, path: Path, block: int = 4096) -> None:
    """Write some profiles of an open file to one of their own."""
    if path.exists():
        return
    with io.create(path, source.obs.iloc[rows], source.var) as sink:
        for _, values in source.iter_blocks(block, samples=rows):
            sink.append(values)


def describe(path: Path) -> tuple[dict[str, Any], list[str]]:
    """What a page tells of a dataset, with a fingerprint of names, sets, roles and 64 profiles; its target genes."""
    with io.open(path) as source:
        split, role = texts(source.obs["split"]), texts(source.var["role"])
        sets = texts(source.obs["set"]) if "set" in source.obs else split
        columns = [source.obs.index.astype(str), split, sets, source.var.index.astype(str), role]
        digest = hashlib.sha256("\0".join("\n".join(column) for column in columns).encode())
        spread = np.unique(np.linspace(0, len(split) - 1, 64).astype(int))
        for _, values in source.iter_blocks(64, samples=spread):
            digest.update(np.ascontiguousarray(values, dtype=np.float32).tobytes())
        record = source.uns.get("dgex", {})
        facts = {
            "profiles": {name: int(count) for name, count in split.value_counts(sort=False).items()},
            "landmarks": int((role == "landmark").sum()),
            "targets": int((role == "target").sum()),
            "unit": "standard deviations" if "std" in source.varm else "",
            "fingerprint": digest.hexdigest(),
            "record": {name: _plain(record[name]) for name in ("options", "duplicates", "samples") if name in record},
        }
        return facts, source.var.index[(role == "target").to_numpy()].astype(str).tolist()


def _plain(value: Any) -> Any:
    """What a record holds that a page can tell: no long lists, no arrays."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items() if k != "dropped_samples"}
    if hasattr(value, "tolist"):
        return value.tolist()
    return value
