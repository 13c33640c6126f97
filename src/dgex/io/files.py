"""The face of this room: read, open, create, write, convert, in any format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from dgex import progress
from dgex.errors import DataError, FileError, SettingsError
from dgex.io.base import ExpressionFile, Selection, Turned
from dgex.io.checks import check_ids
from dgex.io.genes import tidy
from dgex.io.orientation import ORIENTATIONS, check_not_turned, wanted_names
from dgex.io.registry import find, ready, recognise
from dgex.io.writer import Writer
from dgex.remote.places import located
from dgex.remote.sending import sends

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
from dgex.aliases import PathLike

__all__ = ["create", "open", "read", "write"]


def open(
    path: PathLike | AnnData | Sequence[PathLike],
    *,
    orientation: str = "auto",
    format: str | None = None,
    layer: str | None = None,
    genes: pd.DataFrame | Iterable[str] | None = None,
    allow_missing: bool = False,
    allow_repeats: bool = False,
) -> ExpressionFile:
    """Open an expression file lazily: metadata at once, values block by block.

    Text is parsed once, into a temporary float32 file outside memory (where `TMPDIR` says); all else is read in place.

    Parameters
    ----------
    path : path, AnnData, or sequence of paths
        The suffix says the format; see `dgex.io.formats()`. An AnnData in memory is read the same way. Several paths
        are files with the same genes, such as those of a quantifier, one a sample; they become one matrix.
    orientation : {"auto", "genes-in-rows", "genes-in-columns"}
        How the genes lie in the file. `"auto"` follows the format where it has a rule (GCT, GCTX and AnnData), and else
        looks at ids, column names and size, and says what it found in `notes["orientation"]`.
    format : str, optional
        Key of the format for files whose suffix does not say it.
    layer : str, optional
        AnnData: the layer that holds the values, or `"raw"`; X unless told.
    genes : DataFrame or iterable of str, optional
        Genes that are looked for, those of a model or a gene table: where they lie is where the genes are.
    allow_missing : bool
        Let NaN and infinity pass instead of raising an error when they are read.
    allow_repeats : bool
        Let gene ids be empty or occur twice, for who collapses them.

    Returns
    -------
    ExpressionFile
        To be used as a context manager.

    Raises
    ------
    FileError
        The file is missing, truncated, damaged, or of another format than it claims.
    DataError
        Duplicate or no ids, text where numbers belong, a matrix turned the wrong way.

    Examples
    --------
    >>> import dgex
    >>> dgex.simulate("opened.gctx", samples=50, landmarks=5, targets=10)
    >>> with dgex.open("opened.gctx") as file:
    ...     blocks = [values.shape for _, values in file.iter_blocks(20, genes=slice(0, 5))]
    >>> blocks
    [(20, 5), (20, 5), (10, 5)]
    """
    if orientation not in ORIENTATIONS:
        raise SettingsError(f"orientation {orientation!r} is unknown", accepted=ORIENTATIONS)
    wanted = wanted_names(genes)
    if isinstance(path, list | tuple) and all(isinstance(one, str | os.PathLike) for one in path):
        from dgex.io.joined import Joined

        options: dict[str, Any] = {"orientation": orientation, "format": format, "layer": layer, "genes": genes}
        options["allow_repeats"] = allow_repeats
        handle: ExpressionFile = Joined([located(one) for one in path], lambda one: open(one, **options))
    elif isinstance(path, str | os.PathLike):
        handle = _open_file(located(path), orientation, format, layer, wanted)
    else:
        handle = _open_memory(path, layer)
    try:
        handle = tidy(handle)
        check_ids(handle.var.index.tolist(), "gene", handle.path, repeats=allow_repeats)
    except BaseException:
        handle.close()
        raise
    handle.allow_missing = allow_missing
    return handle


def _open_file(
    source: Path, orientation: str, format: str | None, layer: str | None, genes: frozenset[str]
) -> ExpressionFile:
    source = ready(source, format)
    chosen = recognise(source, format)
    options: dict[str, Any] = {}
    if layer is not None:
        if "layer" not in chosen.takes:
            raise SettingsError(f"{source} is {chosen.name} and has no layers: layer", found=layer, accepted="AnnData")
        options["layer"] = layer
    if "orientation" in chosen.takes:
        reader: Any = chosen.reader
        return cast(ExpressionFile, reader(source, orientation=orientation, genes=genes, **options))
    handle = chosen.reader(source, **options)
    if orientation not in ("auto", handle.native):
        return Turned(handle)
    if orientation == "auto":
        try:
            check_not_turned(handle, genes)
        except BaseException:
            handle.close()
            raise
    return handle


def _open_memory(adata: AnnData | Sequence[PathLike], layer: str | None) -> ExpressionFile:
    from anndata import AnnData

    if not isinstance(adata, AnnData):
        raise DataError(
            "this is no matrix with names of profiles and genes",
            found=type(adata).__name__,
            accepted="the path of an expression file, or an AnnData",
        )
    from dgex.io.memory import MemoryFile

    return MemoryFile(adata, layer=layer)


def read(
    path: PathLike | Sequence[PathLike],
    *,
    genes: Selection = None,
    samples: Selection = None,
    orientation: str = "auto",
    format: str | None = None,
    layer: str | None = None,
    allow_missing: bool = False,
) -> AnnData:
    """Read an expression file into memory.

    Parameters
    ----------
    path, orientation, format, layer, allow_missing
        As for `open`.
    genes, samples : slice, positions, names or None
        What to read and in which order; None means all.

    Returns
    -------
    AnnData
        Profiles x genes, `X` dense float32, C-contiguous.

    Raises
    ------
    FileError, DataError
        As for `open`; DataError also for NaN or infinity.

    Examples
    --------
    >>> import dgex
    >>> dgex.simulate("read.gctx", samples=50, landmarks=5, targets=10)
    >>> dgex.read("read.gctx", samples=slice(0, 3)).shape
    (3, 15)
    """
    with open(path, orientation=orientation, format=format, layer=layer, allow_missing=allow_missing) as source:
        return source.to_adata(genes, samples)


def create(
    path: PathLike,
    obs: pd.DataFrame,
    var: pd.DataFrame,
    *,
    uns: Mapping[str, Any] | None = None,
    varm: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    format: str | None = None,
    **format_options: Any,
) -> Writer:
    """Start an expression file, to be filled block by block.

    >>> import dgex
    >>> profiles = dgex.simulate(samples=50, landmarks=5, targets=10)
    >>> with dgex.create("out.gctx", profiles.obs, profiles.var) as out:
    ...     for start in range(0, 50, 25):
    ...         out.append(profiles.X[start : start + 25])

    Parameters
    ----------
    path : path
        The suffix says the format.
    obs, var : DataFrame
        Metadata of all profiles and genes; the index holds their ids.
    uns, varm : mapping, optional
        Annotations; only `.h5ad` and `.zarr` hold them, other formats leave them out with a note.
    overwrite : bool
        Replace an existing file, once the new one is complete.
    format : str, optional
        Key of the format where the suffix does not say it.
    **format_options
        `compression`, `chunks`, `dtype` (GCTX, AnnData), `layout`, `compression` (Parquet), `version` (GCT),
        `genes_in` (text, Excel).

    Returns
    -------
    Writer
        A context manager with `append(block)`; the file gets its name when all profiles have come.

    Raises
    ------
    OutputExistsError, FileError, DataError, SettingsError
    """
    target = Path(path)
    chosen = find(target, format)
    writer = chosen.writer
    unknown = sorted(set(format_options) - set(writer.options))
    if unknown:
        accepted = ", ".join(writer.options) or "none"
        raise SettingsError(f"{chosen.name} has no option {', '.join(unknown)}", accepted=f"{accepted}")
    if not writer.keeps_uns and (uns or varm):
        left = " and ".join(name for name, value in (("uns", uns), ("varm", varm)) if value)
        progress.note(f"{chosen.name} holds no {left}: left out of {target}; .h5ad and .zarr hold all")
        uns = varm = None
    return writer(target, obs, var, uns=uns, varm=varm, overwrite=overwrite, **format_options)


@sends("path")
def write(
    adata: AnnData,
    path: PathLike,
    *,
    overwrite: bool = False,
    format: str | None = None,
    block: int = 4096,
    **format_options: Any,
) -> None:
    """Write an AnnData, dense, sparse or backed, as float32, block by block.

    Parameters
    ----------
    adata : AnnData
    path, overwrite, format, **format_options
        As for `create`.
    block : int
        Profiles at a time.

    Raises
    ------
    OutputExistsError, FileError, DataError, SettingsError

    Examples
    --------
    >>> import dgex
    >>> dgex.write(dgex.simulate(samples=50, landmarks=5, targets=10), "written.h5ad")
    >>> dgex.read("written.h5ad").shape
    (50, 15)
    """
    if adata.X is None:
        raise FileError(f"cannot write {path}: the AnnData has no X")
    writer = create(
        path,
        adata.obs,
        adata.var,
        uns=adata.uns,
        varm=dict(adata.varm),
        overwrite=overwrite,
        format=format,
        **format_options,
    )
    writer.extras(adata)
    with writer:
        for start in range(0, adata.n_obs, block):
            values = adata.X[start : start + block]
            writer.append(np.asarray(values.toarray() if hasattr(values, "toarray") else values, np.float32))
