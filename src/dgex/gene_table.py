"""Gene tables: which genes are landmarks, which are targets, and their identifiers."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dgex.errors import FileError, GeneError, first
from dgex.gene_ids import ID_COLUMNS, canonical, id_type, normalize_ids
from dgex.genes import ROLES
from dgex.inputs import Unpacked, regular
from dgex.limits import allowed
from dgex.progress import note
from dgex.remote.fetching import at_hand
from dgex.remote.places import located

if TYPE_CHECKING:
    import pandas as pd
from dgex.aliases import PathLike

__all__ = ["GeneTable", "cells", "has_header", "read_gene_table"]


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


def read_gene_table(paths: PathLike | Sequence[PathLike], *, roles: bool = True) -> GeneTable:
    """Read which genes are landmarks and which are targets.

    Accepted, separated by tabs, commas or semicolons (`.gz` too):

    - one table with a header: a column of names (`gene`, `symbol`, `id`, …), `role` (landmark, target, other),
      optional `ensembl`, `entrez`, `probes` (comma separated);
    - CMap's `gene_info`: `pr_gene_id`, `pr_gene_symbol`, `pr_is_lm` (1 for landmark genes), and where it has
      the column `pr_is_bing`, inferred genes that are not in it are `other`; its successor `geneinfo_beta.txt` of
      CLUE with `feature_space` (landmark, best inferred, inferred: landmark, target, other);
    - the pair `map_lm.txt`, `map_tg.txt` of the paper: no header, symbol, Ensembl id, probe ids;
    - a platform's table of GEO (`GPL96.txt`, `GPL96.annot.gz`): `ID`, `Gene Symbol`, one line a probe. Probes of a
      symbol are put together; those of several genes (`A /// B`) or of none are left out.

    Parameters
    ----------
    paths : path or sequence of paths
    roles : bool
        Whether the table must say roles; False where a list of landmark genes follows: all genes are targets before.

    Raises
    ------
    FileError
        A file is missing or is no such table.
    GeneError
        A gene stands twice, a role is unknown, or no landmark genes are left.

    Examples
    --------
    >>> lines = "gene role", "TP53 landmark", "MYC target"
    >>> _ = Path("genes.tsv").write_text("".join(f"{line}\\n" for line in lines).replace(" ", chr(9)))
    >>> read_gene_table("genes.tsv").frame["role"].to_dict()
    {'TP53': 'landmark', 'MYC': 'target'}
    """
    import pandas as pd

    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    files = [at_hand(path, allowed("table")) for path in paths]
    frames = [_read_one(path) for path in files]
    if len(frames) == 2 and all("role" not in frame for frame in frames):
        landmark = next((i for i, path in enumerate(files) if "lm" in path.name or "landmark" in path.name), 0)
        frames[landmark]["role"], frames[1 - landmark]["role"] = "landmark", "target"
        frames = [frames[landmark], frames[1 - landmark]]
    elif not roles:
        frames = [frame if "role" in frame else frame.assign(role="target") for frame in frames]
    elif any("role" not in frame for frame in frames):
        raise GeneError(
            f"{files[0]} has no role for its genes",
            accepted="a column 'role' (landmark, target, other), "
            "'pr_is_lm', two files, landmark genes then target genes, or a list of landmark genes (landmarks=FILE)",
        )
    frame = pd.concat(frames)
    unknown = sorted(set(frame["role"]) - set(ROLES))
    if unknown:
        raise GeneError(f"unknown role {first(unknown)} in {files[0]}", accepted=ROLES)
    frame.index = pd.Index(_unique_names(frame))
    if roles and not (frame["role"] == "landmark").any():
        raise GeneError(f"no landmark genes in {', '.join(str(path) for path in files)}")
    return GeneTable(frame)


def _unique_names(frame: pd.DataFrame) -> list[str]:
    """Tell genes of one name apart by a probe or another id.

    The paper's target table holds 445 further probes of landmark genes under the same symbol, and IL9R twice
    (it lies on X and Y).
    """
    names: dict[str, None] = {}
    for name, (_, row) in zip(frame.index, frame.iterrows()):
        unique = name
        if name in names:
            probes = row.get("probes")
            ids = [*(probes[:1] if isinstance(probes, list) else []), row.get("ensembl"), row.get("entrez")]
            unique = next((f"{name}|{i}" for i in ids if isinstance(i, str) and i and f"{name}|{i}" not in names), "")
        if not unique:
            raise GeneError(f"gene {name} stands twice and no probe or other id tells the two apart")
        names[unique] = None
    return list(names)


_ROLE_COLUMNS = ("role", "pr_is_lm", "pr_is_bing", "feature_space")
_SPACES = {"landmark": "landmark", "best inferred": "target", "inferred": "other", "reported": "other"}  # CLUE's


def _column(name: str) -> str:
    """What a column of a gene table is: `name`, a kind of identifier, `id?`, `probes`, one of the roles, or itself."""
    plain = canonical(name)
    if name in _ROLE_COLUMNS:
        return name
    if plain in ("gene", "genes", "name", "id"):
        return "name"
    if plain in ID_COLUMNS["ensembl"] and plain in ID_COLUMNS["entrez"]:
        return "id?"
    if plain in ("probes", *ID_COLUMNS["affymetrix"]):
        return "probes"
    return next((kind for kind in ("symbol", "ensembl", "entrez") if plain in ID_COLUMNS[kind]), name)


_KNOWN = frozenset(("name", "symbol", "ensembl", "entrez", "id?", "probes", *_ROLE_COLUMNS))


def _read_one(path: Path) -> pd.DataFrame:
    import pandas as pd

    raw = cells(path, "gene table")
    header = [str(value).strip().lower() for value in raw.iloc[0]]
    names = [_column(name) for name in header]
    if not _KNOWN.isdisjoint(names):
        frame = raw.iloc[1:].copy()
        frame.columns = pd.Index(  # the first column of a kind counts
            [f"{name} {at}" if name in names[:at] else name for at, name in enumerate(names)]
        )
        if "id?" in frame:
            kind = id_type(frame["id?"])
            frame = frame.rename(columns={"id?": kind if kind in {"ensembl", "entrez"} else "name"})
        if "feature_space" in frame and "role" not in frame:
            frame["role"] = [_SPACES.get(space.strip().lower(), space) for space in frame["feature_space"]]
        elif "pr_is_lm" in frame and "role" not in frame:
            landmark = frame["pr_is_lm"] == "1"
            frame["role"] = np.where(landmark, "landmark", "target")
            if "pr_is_bing" in frame and (frame["pr_is_bing"] == "1").any():
                frame.loc[~landmark & (frame["pr_is_bing"] != "1"), "role"] = "other"
    else:
        if raw.shape[1] < 2 or id_type(raw[1]) != "ensembl":
            raise FileError(
                f"{path} is no gene table: found {raw.shape[1]} columns without a known header",
                accepted="a header "
                "with 'gene' and 'role', CMap's gene_info, or symbol, Ensembl id, probe ids without a header",
            )
        frame = raw.iloc[:, :3].copy()
        frame.columns = pd.Index(["symbol", "ensembl", "probes"][: frame.shape[1]])
    if "symbol" in frame and "name" in frame and "role" not in frame and "probes" not in frame:
        return _of_platform(frame, path)
    if "probes" in frame:
        frame["probes"] = [[probe for probe in re.split(r"[,; ]+", text) if probe] for text in frame["probes"]]
    for label in ("name", "symbol", "ensembl", "entrez"):
        if label in frame:
            frame.index = pd.Index(normalize_ids(frame[label]))
            break
    else:
        raise FileError(f"{path} names no genes; accepted columns: gene, symbol, ensembl_id, entrez_id and the like")
    if "name" in frame:
        kind = id_type(frame["name"])
        if kind in {"symbol", "ensembl", "entrez"} and kind not in frame:
            frame[kind] = frame["name"]
        frame = frame.drop(columns="name")
    keep = [name for name in ("symbol", "ensembl", "entrez", "probes", "role") if name in frame]
    if not _KNOWN.isdisjoint(names):
        _refuse_twice(frame[keep], path)
    return frame[keep]


def _refuse_twice(frame: pd.DataFrame, path: Path) -> None:
    """Refuse a gene that stands on several lines of a table with a header: nothing but its probes tells them apart."""
    ids = [frame.index.to_series(), *(frame[kind] for kind in ("ensembl", "entrez") if kind in frame)]
    twice = frame.index[np.logical_and.reduce([column.duplicated(keep=False).to_numpy() for column in ids])]
    if len(twice):
        raise GeneError(
            f"{path} lists {len(set(twice)):,} genes twice: {first(dict.fromkeys(twice), 5)}; one line a gene "
            f"is accepted, its probes in it separated by commas"
        )


def _of_platform(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """One row a gene of a table with one row a probe."""
    import pandas as pd

    symbols = pd.Series(normalize_ids(frame["symbol"]), index=frame.index)
    several = symbols.str.contains("//", regex=False) | symbols.str.contains(";", regex=False)
    known = ~several & ~symbols.isin(["", "-", "---"])
    genes = frame[known].groupby(symbols[known], sort=False)
    note(
        f"{path.name}: {len(frame):,} probes, {int(known.sum()):,} of them of {genes.ngroups:,} genes; left out "
        f"{int(several.sum()):,} of several genes, {len(frame) - int((known | several).sum()):,} of none"
    )
    made = pd.DataFrame({"symbol": list(genes.groups), "probes": genes["name"].agg(list).tolist()})
    for kind in ("ensembl", "entrez"):
        if kind in frame:
            ids = genes[kind].agg(lambda values: next((name for name in normalize_ids(values) if name), ""))
            made[kind] = ["" if "/" in name else name for name in ids]
    return made.set_axis(pd.Index(made["symbol"]))


def cells(path: Path, what: str) -> pd.DataFrame:
    """All cells of a small table of text as they are, header included; comments above it and marks of GEO left out.

    Raises
    ------
    FileError
        Naming `what` was looked for.
    """
    import pandas as pd

    if not regular(path).is_file():
        raise FileError(f"no {what} at {path}: the file does not exist")
    try:
        above, mark = _start(path)
        with Unpacked(path, allowed("table")) as stream:
            raw = pd.read_csv(stream, sep=mark, header=None, dtype=str, keep_default_na=False, skiprows=above)
    except FileError:
        raise
    except (ValueError, OSError, EOFError, zlib.error) as error:  # of pandas, of UTF-8, of gzip
        raise FileError(f"{path} is no tab-separated {what}: {str(error).splitlines()[0]}") from error
    return raw[~raw[0].str.startswith("!platform_table_end")] if raw.shape[1] > 1 else raw


def _start(path: Path) -> tuple[int, str]:
    """Lines above the header, and what separates its fields: tabs, or else commas or semicolons."""
    head = b""
    with suppress(OSError, EOFError), Unpacked(path) as stream:
        while len(head) < 1 << 18 and (part := stream.read(1 << 16)):
            head += part
    lines = head.decode("utf-8", "replace").splitlines()
    above = next((at for at, line in enumerate(lines) if not line.startswith(("#", "!", "^"))), 0)
    line = lines[above] if lines else ""
    mark = next((mark for mark in ("\t", ",", ";") if mark in line), "\t")
    header = above and lines[above - 1].startswith("#") and lines[above - 1].count(mark) == line.count(mark) > 0
    return (above - 1 if header else above), mark


def has_header(path: PathLike) -> bool:
    """Tell whether a file is anything but one half of the paper's pair: symbol, Ensembl id, probe ids, no header."""
    try:
        place = located(path)
        if not place.is_file():
            return True
        with place.open("rb") as handle:
            fields = handle.readline(4096).decode("utf-8").split("\t")
    except (UnicodeDecodeError, OSError):
        return True
    return len(fields) < 2 or id_type([fields[1].strip()]) != "ensembl"
