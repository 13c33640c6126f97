"""The published weights of the Connectivity Map's own inference, as a model of ours."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dgex import io
from dgex.dataset.normalization import Normalization
from dgex.errors import DataError, GeneError, first
from dgex.gene_ids import canonical
from dgex.gene_table import GeneTable, read_gene_table
from dgex.genes import ID_COLUMNS, align, id_type, normalize_ids, texts
from dgex.models.folder import place
from dgex.models.linear.regression import OLS
from dgex.models.matrices import fingerprint
from dgex.places import claim
from dgex.progress import note, warn
from dgex.remote.places import located
from dgex.remote.sending import sends

if TYPE_CHECKING:
    from anndata import AnnData
from dgex.aliases import PathLike

__all__ = ["OFFSETS", "convert_weights"]

#: What the constant of a regression is called among the landmark genes, in lower case.
OFFSETS = ("offset", "intercept", "(intercept)", "constant", "const", "bias")

_KINDS = ("symbol", "ensembl", "entrez")


@sends("output")
def convert_weights(
    weights: PathLike,
    output: PathLike | None = None,
    genes: GeneTable | PathLike | None = None,
    data: PathLike | AnnData | None = None,
    *,
    overwrite: bool = False,
) -> OLS:
    r"""Make a model of published regression weights, such as `GSE92743_Broad_OLS_WEIGHTS_n979x11350.gctx`.

    Parameters
    ----------
    weights : path
        A matrix of weights, GCTX or any other format: landmark genes and the constant (a row or column of the name
        `OFFSET`, or another of `OFFSETS`, in any case) on one axis, target genes on the other. Which is which is told
        by the constant.
    output : path, optional
        The model folder to write.
    genes : GeneTable or path, optional
        Gene table, such as CMap's `gene_info`, that gives the ids of the weights their symbols and other ids. Without
        it names come from the metadata of the weights' own rows and columns.
    data : path or AnnData, optional
        A standardised dataset that the model is to be used on. Landmark genes that it does not measure are then left
        out at their training mean: the intercepts become those that meet the mean training profile (see Notes), and
        target genes that it lacks are left out. Without it the model asks for every landmark gene of the weights.
    overwrite : bool
        Replace an output that exists.

    Returns
    -------
    OLS
        Works on log2 values as they are measured (CMap's level 3, `Q2NORM`, 4 to 15), not on standardised ones.
        Genes are named by symbol where it is known, else by the id in the weights.

    Raises
    ------
    GeneError
        No constant or several, or a gene table or dataset that knows none of the genes.
    DataError
        No target gene with finite weights, or `data` is not standardised.
    FileError, OutputExistsError
        A file that cannot be read or written.

    Notes
    -----
    CMap's inference is :math:`y = W x + b` on log2 values (Subramanian et al., Cell 171 (2017) 1437). Least squares
    with a constant meets the mean of its training profiles: :math:`b = \bar y - W \bar x`. With the means of the same
    compendium and landmark genes left out on both sides, that is the prediction with those genes held at their mean.

    Examples
    --------
    >>> import dgex
    >>> from pathlib import Path
    >>> _ = Path("weights.tsv").write_text("id\tOFFSET\tLM1\tLM2\nTG1\t1.0\t2.0\t0.5\nTG2\t0.0\t1.0\t1.0\n")
    >>> dgex.convert_weights("weights.tsv").predict([[1.0, 2.0]])
    array([[4., 3.]], dtype=float32)
    """
    with (
        nullcontext()
        if output is None
        else claim(output, "dgex convert-weights", overwrite=overwrite, inputs=[weights, genes, data], folder=True)
    ):
        return _converted(weights, output, genes, data, overwrite)


def _converted(
    weights: PathLike,
    output: PathLike | None,
    genes: GeneTable | PathLike | None,
    data: PathLike | AnnData | None,
    overwrite: bool,
) -> OLS:
    """As `convert_weights`, once the output is this process's own."""
    if output is not None:
        place(output).refuse_other()
    coef, intercept, landmarks, targets = _read(weights)
    table = genes if genes is None or isinstance(genes, GeneTable) else read_gene_table(genes)
    names: set[str] = set()
    landmarks, targets = (_named(frame, table, names) for frame in (landmarks, targets))
    if table is not None:
        _need_known(landmarks, targets, weights)
    if data is not None:
        coef, intercept, landmarks, targets = _fitted_to(data, coef, intercept, landmarks, targets)
    model = OLS()
    model._set_genes(landmarks, targets)
    model.coef_, model.intercept_ = np.ascontiguousarray(coef, np.float32), intercept.astype(np.float32)
    model.rank_ = None  # nobody computed it
    model.fingerprint_ = fingerprint(model.coef_, model.intercept_[:, None])
    model.normalization_ = Normalization(units="log2 expression")
    model.metrics_ = {"data": {"name": located(weights).name, "origin": "published weights, not trained here"}}
    note(f"{located(weights).name}: {len(landmarks):,} landmark genes -> {len(targets):,} target genes, and a constant")
    if output is not None:
        model.save(output, overwrite=overwrite)
    return model


def _read(path: PathLike) -> tuple[np.ndarray, np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Coefficients [targets, landmarks], intercepts, and the ids of both kinds of genes as the file has them."""
    # said, so that a matrix without samples is not suspected to be turned the wrong way
    with io.open(path, orientation="genes-in-rows", allow_missing=True) as file:
        columns, rows, values = file.obs, file.var, file.read()
    constants = {axis: _constants(frame) for axis, frame in (("columns", columns), ("rows", rows))}
    total = sum(map(len, constants.values()))
    if total != 1:
        raise GeneError(
            f"{total or 'no'} constant{'s' * (total > 1)} among the {len(columns):,} columns "
            f"({first(columns.index, 3)}) and {len(rows):,} rows ({first(rows.index, 3)}) of {path}",
            accepted=f"one of the name {', '.join(OFFSETS)}, in any case",
        )
    if constants["rows"]:
        columns, rows, values = rows, columns, values.T
    at = (constants["columns"] or constants["rows"])[0]
    genes = np.delete(np.arange(len(columns)), at)
    coef, intercept = values[genes].T, values[at]
    finite = np.isfinite(coef).all(axis=1) & np.isfinite(intercept)
    if not len(genes) or not finite.any():
        raise DataError(f"{path} holds no target gene with finite weights for {len(genes):,} landmark genes")
    if not finite.all():
        lost = rows.index[~finite]
        warn(
            f"{path}: {len(lost):,} target genes have weights that are NaN or infinite and are left out: {first(lost)}"
        )
    return coef[finite], intercept[finite], columns.iloc[genes], rows[finite]


def _constants(frame: pd.DataFrame) -> list[int]:
    """Places of the constant by its id, or by a name among the metadata."""
    texts = [frame.index, *(frame[c] for c in frame.columns if all(isinstance(value, str) for value in frame[c]))]
    for text in texts:
        places = [at for at, name in enumerate(text) if str(name).strip().lower() in OFFSETS]
        if places:
            return places
    return []


def _named(frame: pd.DataFrame, table: GeneTable | None, used: set[str]) -> pd.DataFrame:
    """Name the genes by symbol, keeping their ids; `used` holds the names that were given already."""
    ids = normalize_ids(frame.index)
    known = {kind: [""] * len(ids) for kind in _KINDS}
    kind = id_type(ids)
    if kind in known:
        known[kind] = list(ids)
    columns = {canonical(column): column for column in frame.columns}
    for other, accepted in ID_COLUMNS.items():
        held = next((columns[name] for name in accepted if name in columns), None)
        if other in known and held is not None:
            known[other] = [own or new for own, new in zip(known[other], normalize_ids(frame[held]))]
    if table is not None:
        ours = pd.DataFrame({k: values for k, values in known.items() if any(values)}, index=pd.Index(ids))
        places = align(table.frame, ours).index
        for row, at in enumerate(places):
            for other in _KINDS:
                if at >= 0 and other in table.frame and not known[other][at]:
                    known[other][at] = normalize_ids([table.frame[other].iloc[row]])[0]
    names = []
    for gene, symbol in zip(ids, known["symbol"]):
        name = symbol or gene
        name = f"{name}|{gene}" if name in used else name
        used.add(name)
        names.append(name)
    named = pd.DataFrame({k: values for k, values in known.items() if any(values)}, index=pd.Index(names, dtype=object))
    if kind == "affymetrix":
        named["probe"] = ids
    return named


def _need_known(landmarks: pd.DataFrame, targets: pd.DataFrame, weights: PathLike) -> None:
    both = pd.concat([landmarks, targets])
    symbols = both["symbol"].fillna("") if "symbol" in both else pd.Series("", index=both.index)
    unknown = int((symbols == "").sum())
    if unknown == len(both):
        raise GeneError(
            f"the gene table knows none of the {len(both):,} genes of {weights}, whose ids are such as "
            f"{first(both.index, 3)}"
        )
    if unknown:
        warn(f"{unknown:,} genes of the weights have no symbol in the gene table and keep their ids")


def _fitted_to(
    data: PathLike | AnnData,
    coef: np.ndarray,
    intercept: np.ndarray,
    landmarks: pd.DataFrame,
    targets: pd.DataFrame,
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Leave out the genes that a dataset lacks, landmark genes at their training mean."""
    with ExitStack() as stack:
        source = stack.enter_context(io.open(data))
        normalization, var = Normalization.from_dataset(source), source.var
        role = texts(var["role"]) if "role" in var else pd.Series("", index=var.index)
    if normalization.landmark_mean is None or normalization.target_mean is None:
        raise DataError("the dataset for the weights is not standardised: it knows no training means (varm['mean'])")
    here = {name: var[(role == name).to_numpy()] for name in ("landmark", "target")}
    x, y = align(landmarks, here["landmark"]).index, align(targets, here["target"]).index
    if not (x >= 0).any() or not (y >= 0).any():
        raise GeneError(
            f"of the weights' genes the dataset has {int((x >= 0).sum()):,} of {len(x):,} landmark and "
            f"{int((y >= 0).sum()):,} of {len(y):,} target genes; at least one of each is needed"
        )
    coef, intercept, targets, y = coef[y >= 0], intercept[y >= 0], targets[y >= 0], y[y >= 0]
    if (x >= 0).all():
        return coef, intercept, landmarks, targets
    lost = landmarks.index[x < 0]
    warn(
        f"{len(lost):,} landmark genes of the weights are not in the dataset and are held at their mean: {first(lost)}"
    )
    coef = coef[:, x >= 0]
    mean_x, mean_y = normalization.landmark_mean[x[x >= 0]], normalization.target_mean[y]
    intercept = mean_y - coef.astype(np.float64) @ mean_x
    return coef, intercept, landmarks[x >= 0], targets
