"""The page of an inference: what is known of its genes and profiles, gathered when all is inferred."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dgex.aliases import PathLike
from dgex.atomic import atomic_folder, json_dump
from dgex.errors import SettingsError
from dgex.inference.output import profile_columns
from dgex.inference.plan import Plan, record
from dgex.io.base import ExpressionFile
from dgex.places import claim
from dgex.progress import note
from dgex.work import Work

if TYPE_CHECKING:
    from dgex.report.inferred import InferredProfiles

__all__ = ["claimed", "summed_up", "write_report"]


def place(folder: PathLike) -> Work:
    """A folder of a report of an inference, as a place that may be written to."""
    return Work(folder, "inference.json", "a report of an inference")


@contextmanager
def claimed(report: PathLike, output: PathLike | None, overwrite: bool, inputs: list[Any]) -> Iterator[Path]:
    """Have the folder of a report to oneself.

    Raises
    ------
    SettingsError
        It is the output, in it, or holds it.
    OutputExistsError, FileError
        As `dgex.places.claim`, and where the folder holds something else.
    """
    folder = Path(report)
    if output is not None:
        one, other = folder.resolve(), Path(output).resolve()
        if one == other or one in other.parents or other in one.parents:
            raise SettingsError("report", found=report, accepted=f"a folder apart from the output {output}")
    place(folder).refuse_other()
    with claim(folder, "dgex infer", overwrite=overwrite, inputs=inputs, folder=True):
        yield folder


def summed_up(work: Plan, data: ExpressionFile) -> InferredProfiles:
    """What is known of a result, after the last block."""
    from dgex.report.inferred import InferredProfiles  # draws: who wants no page need not wait for it

    known, made = work.model.confidence_, record(work, data.name)["dgex"]
    found, total = int(work.present.sum()), len(work.present)
    scale = {} if work.scale is None else {"Scale": f"{work.scale} ({work.scale.why})"}
    facts = {
        "File": data.name,
        "Profiles": f"{len(data.obs):,}",
        "Genes or probes in it": f"{len(data.var):,}",
        **scale,
        "Values of the result": work.unit,
        "Genes of the result": ", ".join(f"{count:,} {origin}" for origin, count in made["genes"].items()),
    }
    names = ("made_by", "model", "fingerprint", "units", "measured", "interval")
    details = {name.replace("_", " ").capitalize(): made[name] for name in names if made.get(name) is not None}
    if work.shift is not None:
        details["Standardised"] = "by the input's own statistics"
    missing = float(np.mean(~work.present))
    return InferredProfiles(
        work.var,
        profile_columns(work, data.obs),
        "" if known is None else str(known.judged["words"]),
        work.unit,
        found,
        total,
        None if known is None or not missing else float(known.missing.factor(missing)) - 1,
        work.likeness.doubted,
        tuple(work.said),
        str(work.check) if work.check.profiles else "",
        facts,
        details,
    )


def write_report(work: Plan, data: ExpressionFile, folder: Path, overwrite: bool) -> None:
    """Write the folder: `report.html`, the tables `genes.csv` and `profiles.csv`, and `inference.json`."""
    told = summed_up(work, data)
    with atomic_folder(folder, overwrite) as temporary:
        told.page(f"Inference of {data.name}").save(temporary / "report.html")
        told.genes.to_csv(temporary / "genes.csv", index_label="gene", float_format="%.6g")
        profiles = told.profiles[[n for n in ("distance", "unlike") if n in told.profiles]]
        profiles.to_csv(temporary / "profiles.csv", index_label="profile", float_format="%.6g")
        json_dump({**record(work, data.name)["dgex"], "warnings": list(told.warnings)}, temporary / "inference.json")
    note(f"report: {folder / 'report.html'}")
