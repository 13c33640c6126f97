"""Ordered genes: kinds of identifier, gene tables, roles, and alignment by name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dgex.errors import FileError, GeneError, first

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ID_COLUMNS",
    "ROLES",
    "Alignment",
    "GeneTable",
    "align",
    "id_type",
    "normalize_ids",
    "read_gene_table",
    "strip_version",
]

ROLES = ("landmark", "target", "other")

_PATTERNS = {
    "ensembl": re.compile(r"^ENS[A-Z]*G[R]?\d{9,}(\.\d+)?(_PAR_Y)?$"),
    "affymetrix": re.compile(r"^(AFFX-.+|\d+(_[a-z])*_at|[A-Za-z0-9.-]+(_[a-z])*_at|L\d+_at)$"),
    "entrez": re.compile(r"^\d+(\.0)?$"),
    "symbol": re.compile(r"^[A-Za-z][A-Za-z0-9@_.\-/]*$"),
}

# Columns of gene metadata that hold identifiers, by kind; names as CMap, AnnData users and RNA-Seq tables write them.
ID_COLUMNS: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "gene_symbol", "pr_gene_symbol", "hugo_symbol", "gene_name", "gene_symbols"),
    "ensembl": ("ensembl", "ensembl_id", "ensembl_gene_id", "gene_id_ensembl", "gene_ids", "gene_id"),
    "entrez": ("entrez", "entrez_id", "entrez_gene_id", "pr_gene_id", "gene_id", "ncbi_gene_id"),
    "affymetrix": ("probe", "probe_id", "pr_id", "affymetrix"),
}


def strip_version(names: Iterable[str]) -> list[str]:
    """Drop the version of Ensembl ids (`ENSG00000175063.12` becomes `ENSG00000175063`); leave others alone."""
    return [
        name.split(".", 1)[0] if name.startswith("ENS") and _PATTERNS["ensembl"].match(name) else name for name in names
    ]


def id_type(names: Iterable[object]) -> str:
    """Recognise the kind of identifier that most of `names` are.

    Returns
    -------
    str
        `"ensembl"`, `"affymetrix"`, `"entrez"`, `"symbol"`, or `"other"` when no kind fits half of them.
    """
    sample = [str(name) for name in names]
    if len(sample) > 2000:
        sample = sample[:: len(sample) // 2000]
    if not sample:
        return "other"
    counts = dict.fromkeys(_PATTERNS, 0)
    for name in sample:
        for kind, pattern in _PATTERNS.items():  # the most specific pattern comes first
            if pattern.match(name):
                counts[kind] += 1
                break
    kind = max(counts, key=lambda key: counts[key])
    return kind if counts[kind] * 2 >= len(sample) else "other"


def normalize_ids(values: Iterable[object]) -> list[str]:
    """Make identifiers comparable: text, no blanks around, no Ensembl version, Entrez ids without `.0`."""
    texts = []
    for value in values:
        if value is None or (isinstance(value, float) and not np.isfinite(value)):
            texts.append("")
            continue
        text = str(int(value)) if isinstance(value, float | np.floating) else str(value).strip()
        if text.endswith(".0") and text[:-2].isdigit():
            text = text[:-2]
        texts.append("" if text in {"nan", "None", "-666", "<NA>", "na", "NA"} else text)
    return strip_version(texts)


def id_columns(var: pd.DataFrame) -> dict[str, list[str]]:
    """Find every set of identifiers in gene metadata: the index first, then the columns known to hold ids.

    Returns
    -------
    dict
        Label of the source (`"names"` for the index, else the column) to its normalised identifiers.
    """
    found = {"names": normalize_ids(var.index)}
    known = {name for names in ID_COLUMNS.values() for name in names}
    for column in var.columns:
        if str(column).lower() in known:
            found[str(column)] = normalize_ids(var[column])
    return found


@dataclass(frozen=True)
class Alignment:
    """Where wanted genes stand in a file or matrix.

    Attributes
    ----------
    index : ndarray of int
        For every wanted gene its position among the genes at hand, -1 where it is missing.
    missing : list of str
        Names of the wanted genes that were not found.
    matched_by : str
        The identifiers that matched, `wanted -> at hand`, for example `names -> pr_gene_symbol`.
    """

    index: np.ndarray
    missing: list[str]
    matched_by: str

    @property
    def found(self) -> int:
        """How many wanted genes were found."""
        return int((self.index >= 0).sum())


def align(wanted: pd.DataFrame, var: pd.DataFrame) -> Alignment:
    """Match wanted genes with the genes at hand by name, never by position.

    Every kind of identifier on one side is tried against every one on the other; the pair that matches
    most genes is taken, and genes it leaves out are looked up by the other pairs. Ensembl versions are ignored.
    An identifier that stands for several genes at hand does not match by itself.

    Parameters
    ----------
    wanted, var : DataFrame
        Genes as rows; the index holds names, columns such as `ensembl` or `pr_gene_symbol` hold other ids.

    Returns
    -------
    Alignment
    """
    theirs = {label: _unique_positions(ids) for label, ids in id_columns(var).items()}
    pairs = []
    for label, ids in id_columns(wanted).items():
        for other, positions in theirs.items():
            index = np.array([positions.get(name, -1) if name else -1 for name in ids], dtype=np.int64)
            pairs.append((int((index >= 0).sum()), f"{label} -> {other}", index))
    pairs.sort(key=lambda pair: -pair[0])  # stable: the index comes before the columns on ties
    _, matched_by, index = pairs[0]
    index = index.copy()
    taken = set(index[index >= 0].tolist())
    for count, _, other_index in pairs[1:]:
        if count == 0 or (index >= 0).all():
            break
        for position in np.flatnonzero((index < 0) & (other_index >= 0)):
            if int(other_index[position]) not in taken:
                index[position] = other_index[position]
                taken.add(int(other_index[position]))
    missing = [str(name) for name, at in zip(wanted.index, index) if at < 0]
    return Alignment(index, missing, matched_by)


def _unique_positions(ids: Sequence[str]) -> dict[str, int]:
    positions: dict[str, int] = {}
    repeated = set()
    for position, name in enumerate(ids):
        if name in positions:
            repeated.add(name)
        elif name:
            positions[name] = position
    for name in repeated:
        del positions[name]
    return positions


@dataclass(frozen=True)
class GeneTable:
    """Genes with their roles and identifiers.

    Attributes
    ----------
    frame : DataFrame
        One row a gene, in order; index = gene name (unique), columns `role`, and where known `symbol`,
        `ensembl`, `entrez` and `probes` (list of probe ids).
    """

    frame: pd.DataFrame

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def landmarks(self) -> list[str]:
        """Names of the landmark genes, in order."""
        return self.frame.index[self.frame["role"] == "landmark"].tolist()

    @property
    def targets(self) -> list[str]:
        """Names of the target genes, in order."""
        return self.frame.index[self.frame["role"] == "target"].tolist()

    def lookup(self) -> dict[str, dict[str, int]]:
        """For every kind of identifier, the row of each id; ids of several rows belong to the first.

        The first row wins because tables list landmark genes first: a probe or gene that is both is a landmark.
        """
        found: dict[str, dict[str, int]] = {"names": {}}
        for label in ("symbol", "ensembl", "entrez"):
            if label in self.frame:
                found[label] = {}
        for label, rows in found.items():
            ids = normalize_ids(self.frame.index if label == "names" else self.frame[label])
            for row, name in enumerate(ids):
                if name:
                    rows.setdefault(name, row)
        if "probes" in self.frame:
            rows = found["probes"] = {}
            for row, probes in enumerate(self.frame["probes"]):
                for probe in probes:
                    rows.setdefault(probe, row)
        return found


def read_gene_table(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> GeneTable:
    """Read which genes are landmarks and which are targets.

    Accepted, all tab-separated (`.gz` too):

    - one table with a header: a column of names (`gene`, `symbol`, `id`, …), `role` (landmark, target, other),
      optional `ensembl`, `entrez`, `probes` (comma separated);
    - CMap's `gene_info`: `pr_gene_id`, `pr_gene_symbol`, `pr_is_lm` (1 for landmark genes), and where it has
      the column `pr_is_bing`, inferred genes that are not in it are `other`;
    - the pair `map_lm.txt`, `map_tg.txt` of the paper: no header, symbol, Ensembl id, probe ids.

    Raises
    ------
    FileError
        A file is missing or is no such table.
    GeneError
        A name stands twice in one role, a role is unknown, or no landmark genes are left.
    """
    import pandas as pd

    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    files = [Path(path) for path in paths]
    frames = [_read_one(path) for path in files]
    if len(frames) == 2 and all("role" not in frame for frame in frames):
        landmark = next((i for i, path in enumerate(files) if "lm" in path.name or "landmark" in path.name), 0)
        frames[landmark]["role"], frames[1 - landmark]["role"] = "landmark", "target"
        frames = [frames[landmark], frames[1 - landmark]]
    elif any("role" not in frame for frame in frames):
        raise GeneError(
            f"{files[0]} has no role for its genes; accepted: a column 'role' (landmark, target, other), "
            "'pr_is_lm', or two files, landmark genes then target genes"
        )
    frame = pd.concat(frames)
    unknown = sorted(set(frame["role"]) - set(ROLES))
    if unknown:
        raise GeneError(f"unknown role {first(unknown)} in {files[0]}; accepted: {', '.join(ROLES)}")
    for role, part in frame.groupby("role"):
        twice = part.index[part.index.duplicated()]
        if len(twice):
            frame = _rename_repeats(frame, str(role))
    names = pd.Series(frame.index, dtype=str)
    clash = names.duplicated(keep="first").to_numpy()
    if clash.any():
        # The paper's target table holds 445 further probes of landmark genes under the same symbol.
        names[clash] = [f"{name}|{_suffix(frame.iloc[row])}" for row, name in zip(np.flatnonzero(clash), names[clash])]
        frame.index = pd.Index(names.to_numpy())
    if not frame.index.is_unique:
        raise GeneError(f"gene names repeated in {files[0]}: {first(frame.index[frame.index.duplicated()])}")
    if not (frame["role"] == "landmark").any():
        raise GeneError(f"no landmark genes in {', '.join(str(path) for path in files)}")
    return GeneTable(frame)


def _suffix(row: Any) -> str:
    probes = row.get("probes")
    if isinstance(probes, list) and probes:
        return str(probes[0])
    return str(row.get("ensembl") or row.get("entrez") or row["role"])


def _rename_repeats(frame: pd.DataFrame, role: str) -> pd.DataFrame:
    """Tell apart genes of one symbol by their Ensembl id (IL9R lies on X and Y, for instance)."""
    import pandas as pd

    names = frame.index.to_numpy(dtype=object).copy()
    mask = (frame["role"] == role).to_numpy() & frame.index.duplicated(keep="first")
    for row in np.flatnonzero(mask):
        names[row] = f"{names[row]}|{_suffix(frame.iloc[row])}"
    frame = frame.copy()
    frame.index = pd.Index(names)
    if (frame.index[(frame["role"] == role).to_numpy()].duplicated()).any():
        repeated = frame.index[frame.index.duplicated()]
        raise GeneError(f"{role} genes that stand twice with the same ids: {first(repeated)}")
    return frame


_RENAME = {
    "gene": "name",
    "name": "name",
    "id": "name",
    "gene_name": "symbol",
    "symbol": "symbol",
    "gene_symbol": "symbol",
    "pr_gene_symbol": "symbol",
    "hugo_symbol": "symbol",
    "ensembl": "ensembl",
    "ensembl_id": "ensembl",
    "ensembl_gene_id": "ensembl",
    "gene_id": "id?",
    "pr_gene_id": "entrez",
    "entrez": "entrez",
    "entrez_id": "entrez",
    "entrez_gene_id": "entrez",
    "probes": "probes",
    "probe": "probes",
    "role": "role",
    "pr_is_lm": "pr_is_lm",
    "pr_is_bing": "pr_is_bing",
}


def _read_one(path: Path) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise FileError(f"no gene table at {path}: the file does not exist")
    try:
        raw = pd.read_csv(path, sep="\t", header=None, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, EOFError) as error:
        raise FileError(f"{path} is no tab-separated gene table: {str(error).splitlines()[0]}") from error
    header = [str(value).strip().lower() for value in raw.iloc[0]]
    if any(name in _RENAME for name in header):
        frame = raw.iloc[1:].copy()
        frame.columns = pd.Index([_RENAME.get(name, name) for name in header])
        if "id?" in frame:
            kind = id_type(frame["id?"])
            frame = frame.rename(columns={"id?": kind if kind in {"ensembl", "entrez"} else "name"})
        if "pr_is_lm" in frame and "role" not in frame:
            landmark = frame["pr_is_lm"] == "1"
            frame["role"] = np.where(landmark, "landmark", "target")
            if "pr_is_bing" in frame and (frame["pr_is_bing"] == "1").any():
                frame.loc[~landmark & (frame["pr_is_bing"] != "1"), "role"] = "other"
    else:
        if raw.shape[1] < 2 or id_type(raw[1]) != "ensembl":
            raise FileError(
                f"{path} is no gene table: found {raw.shape[1]} columns without a known header; accepted: a header "
                "with 'gene' and 'role', CMap's gene_info, or symbol, Ensembl id, probe ids without a header"
            )
        frame = raw.iloc[:, :3].copy()
        frame.columns = pd.Index(["symbol", "ensembl", "probes"][: frame.shape[1]])
    if "probes" in frame:
        frame["probes"] = [[probe for probe in re.split(r"[,; ]+", text) if probe] for text in frame["probes"]]
    for label in ("name", "symbol", "ensembl", "entrez"):
        if label in frame:
            frame.index = pd.Index(normalize_ids(frame[label]))
            break
    else:
        raise FileError(f"{path} names no genes; accepted columns: {', '.join(sorted(_RENAME))}")
    if "name" in frame:
        kind = id_type(frame["name"])
        if kind in {"symbol", "ensembl", "entrez"} and kind not in frame:
            frame[kind] = frame["name"]
        frame = frame.drop(columns="name")
    keep = [name for name in ("symbol", "ensembl", "entrez", "probes", "role") if name in frame]
    return frame[keep]
