"""What a file or a model folder holds, in words: the library side of `dgex info`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dgex import notebook
from dgex.dataset.metadata import column_words
from dgex.errors import SettingsError, first
from dgex.gene_ids import ID_WORDS
from dgex.genes import match_genes
from dgex.remote.places import Remote, located

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from dgex.confidence.confidence import Confidence
    from dgex.io.base import ExpressionFile
    from dgex.models.base import Estimator
    from dgex.renamed import Aliases, AliasTable
from dgex.aliases import PathLike

__all__ = ["Info", "in_words", "info", "lines"]

_MOST_COLUMNS = 30  # of metadata, told in words


class Info(dict[str, Any]):
    """What a file or a model holds: plain values and nested dicts, fit for JSON; printed, and shown in a notebook."""

    def __str__(self) -> str:
        return "\n".join(lines(self))

    def _repr_html_(self) -> str:
        return html_lines(self)


def info(
    path: PathLike | AnnData,
    *,
    genes: Sequence[PathLike] | None = None,
    model: PathLike | None = None,
    orientation: str = "auto",
    format: str | None = None,
    layer: str | None = None,
    aliases: AliasTable | None = None,
    verify: bool = False,
) -> Info:
    """Tell what a matrix, a dataset or a model folder holds.

    Parameters
    ----------
    path : path or AnnData
        What to describe; a matrix is read once, in blocks.
    genes : paths, optional
        Gene table whose landmark genes are looked up in the matrix. Of a model: names of target genes, comma separated,
        or a file of one a line, of which is told how well they are inferred.
    model : path, optional
        Model folder whose landmark genes are looked up in the matrix.
    orientation, format, layer
        How to read the matrix, see `dgex.open`.
    aliases : path or mapping, optional
        Older names of genes, for those that do not match otherwise; see `dgex.renamed.read_aliases`.
    verify : bool
        Compare a matrix that dgex wrote block by block with its checksums instead, or parts that were sealed with their
        digests, and tell what came of it.

    Returns
    -------
    Info
        A dict of plain values and nested dicts, fit for JSON; `print` lays it out and a notebook shows it as a table.

    Raises
    ------
    FileError, DataError
        With `verify`, a block that differs from its checksum, or parts that are missing or damaged: which profiles.

    Examples
    --------
    >>> import dgex
    >>> dgex.simulate("c.h5ad", samples=60, landmarks=5, targets=10)
    >>> about = dgex.info("c.h5ad")
    >>> about["what it is"], about["roles"]
    ('a matrix (AnnData h5ad), 60 samples, 15 genes (symbols), log2 of expression', {'target': 10, 'landmark': 5})
    """
    place = located(path) if isinstance(path, str | os.PathLike) else path
    if isinstance(place, Path):
        from dgex.models.folder import is_model

        if verify:
            return Info(path=str(path), checksums=_verified(place, format))
        if is_model(place):
            return Info(_model(place, genes))
    elif verify:
        raise SettingsError("verify compares files with their checksums", found="values in memory", accepted="a path")
    import pandas as pd

    from dgex import io
    from dgex.dataset.describe import described
    from dgex.dataset.studies import split_by, split_words
    from dgex.renamed import read_aliases

    older = read_aliases(aliases)
    wanted = dict(_wanted(genes, model))
    reading: dict[str, Any] = {"orientation": orientation, "format": format, "layer": layer}
    if wanted:
        reading["genes"] = pd.concat(wanted.values())
    with io.open(place, **reading, allow_missing=True, allow_repeats=True) as source:
        description = described(source, place)
        found = {name: _found(frame, source, older) for name, frame in wanted.items()}
        how = {} if split_by(source.uns) is None else {"how it was split": split_words(source.uns, source.obs)}
    return Info({"what it is": in_words(description), **how, **description, **found})


_SCALES = {"log2": "log2 of expression", "linear": "linear", "standardized": "standardised"}


def _verified(place: Path, format: str | None) -> str:
    """What came of comparing a file, or parts that were sealed, with the checksums written with them."""
    from dgex.io.parts import MANIFEST

    if (place / MANIFEST).is_file():
        from dgex.inference.seal import verify

        whole = verify(place)
        return f"all agree: {whole['parts']:,} parts of {whole['profiles']:,} profiles, {whole['files']:,} files"
    from dgex.io.verified import told

    return told(place, format)


def in_words(description: dict[str, Any]) -> str:
    """What a file is, in one line: `DepMap expression, 1,684 samples, 19,205 genes (symbols), log2 of expression`."""
    notes = description["notes"]
    record = description.get("record")
    ours = isinstance(record, dict) and record.get("kind") == "dataset"
    kind = notes.get("kind") or ("a dataset of dgex" if ours else f"a matrix ({description['format']})")
    ids = ID_WORDS.get(description["gene_ids"], "")
    scale = description.get("unit") or description["scale"]
    return ", ".join(
        part
        for part in (
            kind,
            f"{description['samples']:,} sample{'s' if description['samples'] != 1 else ''}",
            f"{description['genes']:,} genes" + (f" ({ids}s)" if ids else ""),
            _SCALES.get(str(scale), str(scale or "")),
        )
        if part
    )


def _wanted(genes: Sequence[PathLike] | None, model: PathLike | None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Genes to look up in a file, by what to call them."""
    if genes:
        from dgex.gene_table import read_gene_table

        frame = read_gene_table(list(genes)).frame
        for role in ("landmark", "target"):
            yield f"{role}s in the gene table", frame[frame["role"] == role]
    if model is not None:
        from dgex.models.folder import load

        yield "landmarks of the model", load(model).landmark_genes()


def _found(wanted: pd.DataFrame, source: ExpressionFile, aliases: Aliases | None) -> str:
    """Say how many of the wanted genes are there, by which identifiers, and which are missing, perhaps why."""
    from dgex.renamed import causes, looked_up

    (match,) = looked_up([wanted], [match_genes(wanted, source.var)], source.var, aliases, source.name)
    text = f"{int(match.found.sum()):,} of {len(wanted):,} ({match.how})"
    if match.found.all():
        return text
    lacking = wanted[~match.found]
    return f"{text}; missing {first(lacking.index)}{causes(lacking, source.var, aliases)}"


def _model(folder: Path, genes: Sequence[PathLike] | None = None) -> dict[str, Any]:
    from dgex.models.card import chosen
    from dgex.models.folder import load
    from dgex.models.origin import Origin

    model, origin = load(folder), None if isinstance(folder, Remote) else Origin.read(folder)
    normalization = model.normalization_
    return {
        "model": model.kind,
        "from": None if origin is None else str(origin),
        "landmark genes": f"{model.n_features_in_:,} ({first(model.landmarks_, 3)})",
        "target genes": f"{model.n_targets_:,} ({first(model.targets_, 3)})",
        "settings": model.get_params(deep=False),
        "chosen on validation": chosen(model),
        "judged": getattr(model, "expected_", None),
        "trained on": model.metrics_.get("data", {}),
        "overall error": {name: f"{v['overall']:.4f} ± {v['sd']:.4f}" for name, v in model.metrics_["sets"].items()}
        if model.metrics_.get("sets")
        else "not measured",
        "normalisation": {k: v for k, v in normalization.state().items() if not isinstance(v, list | dict)}
        if normalization is not None
        else "none",
        "trust": _trust(model),
        "fingerprint of the training data": model.fingerprint_,
        "genes": _worth(model, genes) if genes else None,
    }


def _trust(model: Estimator) -> dict[str, Any] | str:
    known = model.confidence_
    if known is None:
        return "unknown; dgex calibrate MODEL DATA finds it out"
    words = known.state()["trust"]
    return {"judged by": known.judged["words"], **{word: count for word, count in words.items() if count}}


def _worth(model: Estimator, genes: Sequence[PathLike]) -> dict[str, str]:
    """How well each of some target genes is inferred, in words."""
    frame, known, told = model.target_genes(), model.confidence_, {}
    for name in (name for part in genes for name in _names(part)):
        at = np.flatnonzero((frame.index == name) | (frame == name).any(axis=1))
        if not len(at):
            told[name] = (
                "a landmark gene: it must be measured" if name in model.landmarks_ else "not a gene of the model"
            )
        for place in map(int, at):
            told[str(frame.index[place])] = "unknown" if known is None else _in_numbers(model, known, place)
    return told


def _in_numbers(model: Estimator, known: Confidence, place: int) -> str:
    row, ours = known.accuracy.iloc[place], model.normalization_
    std = 1.0 if ours is None or ours.target_std is None else float(ours.target_std[place])
    unit = "" if std == 1.0 else " in the unit before standardising"
    return (
        f"trust {known.trust[place]}: error {row.error * std:.3f} ({row.error_low * std:.3f} to "
        f"{row.error_high * std:.3f}){unit}, correlation {row.r:.2f} ({row.r_low:.2f} to {row.r_high:.2f}), variance "
        f"explained {row.variance:.0%}, rank recall {row.recall:.3f}"
    )


def _names(part: PathLike) -> list[str]:
    """Names at commas, or those in a file."""
    from dgex.prepare.panel import read_names

    if located(part).is_file():
        return read_names(part, "gene")
    return [name.strip() for name in str(part).split(",") if name.strip()]


def lines(description: dict[str, Any], indent: int = 0) -> list[str]:
    """Lay a summary out as text, one value a line, nested values indented; what is not known is left out."""
    known = _known(description)
    width = max((len(key) for key, value in known.items() if not isinstance(value, dict)), default=0)
    text = []
    for key, value in known.items():
        name = key if indent else key.replace("_", " ")
        if isinstance(value, dict):
            text += [f"{' ' * indent}{name}", *lines(value, indent + 2)]
        else:
            text.append(f"{' ' * indent}{name.ljust(width)}  {_shown(value)}")
    return text


def html_lines(description: dict[str, Any]) -> str:
    """The same as a table for a notebook, what is nested folded away in its cell."""
    return notebook.facts(
        (
            key.replace("_", " "),
            notebook.Folded(f"{len(value):,} entries", html_lines(value), key.endswith("_metadata"))
            if isinstance(value, dict)
            else _shown(value),
        )
        for key, value in _known(description).items()
    )


def _known(description: dict[str, Any]) -> dict[str, Any]:
    """What there is to tell; metadata in words."""
    known = {str(key): value for key, value in description.items() if value is not None and not _empty(value)}
    for key, rows in (("gene_metadata", "genes"), ("sample_metadata", "samples")):
        if key in known and rows in known:
            columns = list(known[key].items())
            known[key] = {name: column_words(held, known[rows]) for name, held in columns[:_MOST_COLUMNS]}
            if len(columns) > _MOST_COLUMNS:
                known[key]["and more"] = f"{len(columns) - _MOST_COLUMNS:,} columns"
    return known


def _empty(value: Any) -> bool:
    return isinstance(value, str | dict) and not value


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} values, {' x '.join(f'{n:,}' for n in value.shape)}"
    if isinstance(value, list | tuple):
        return first(value, 6)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
