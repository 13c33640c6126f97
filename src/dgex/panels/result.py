"""What a choice of genes found, and how it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd
from matplotlib.figure import Figure

from dgex.aliases import PathLike
from dgex.atomic import atomic_file, atomic_folder, json_dump
from dgex.errors import FileError
from dgex.panels.comparing import OURS
from dgex.places import check_output
from dgex.records import read_json
from dgex.report.figures.evaluation import save_all
from dgex.report.page.page import Page
from dgex.report.panels import Facts, error_figure, gain_figure, html_of, laid_out, text_of
from dgex.work import Work

__all__ = ["TABLE", "PanelChoice", "place"]

TABLE = "panel.tsv"
_TABLES = ("chosen", "curve", "genes", "candidates", "going", "splits")


@dataclass(frozen=True)
class PanelChoice:
    """What `select_landmarks` found.

    Attributes
    ----------
    chosen : DataFrame
        One row a gene of the panel, the first to measure first: gene, rank (from 1), gain (share of the weighted
        variance of all genes that it explains of the others beyond those before it), kept (whether it had to be in),
        cost (what would be lost if it alone went, in the same unit), also_inferred_from (genes of the panel that
        tell most of it, `;` between).
    curve : DataFrame
        Error against size: one row a size and panel; size, panel ("chosen", or a name of `against`), error (overall
        error on test profiles, mean over splits), low, high (95 % interval over splits), improvement (relative, of
        the panel chosen over this one), improvement_low, improvement_high (its 95 % interval by bootstrap), tie,
        splits.
    genes : DataFrame
        One row a gene outside the panel: gene, pearson (of inferred and measured values on test profiles), the error by
        every panel of full size (NaN of a gene in it), inferred_from. Means over the splits on which it was to be
        inferred.
    candidates : DataFrame
        The genes that would come next: gene, rank, gain, also_inferred_from.
    going : DataFrame
        The genes of the panel that can go first: gene, order, cost (with those before gone).
    roles : DataFrame
        The gene table: see `table`.
    splits : DataFrame
        One row a split, size and panel: split, size, panel, error, genes.
    settings : dict
        Data, settings, and what was excluded.
    """

    chosen: pd.DataFrame
    curve: pd.DataFrame
    genes: pd.DataFrame
    candidates: pd.DataFrame
    going: pd.DataFrame
    roles: pd.DataFrame
    splits: pd.DataFrame
    settings: dict[str, Any]

    @property
    def panel(self) -> list[str]:
        """Names of the genes of the panel, the first to measure first."""
        return [str(name) for name in self.chosen["gene"]]

    @property
    def uninferable(self) -> pd.DataFrame:
        """Genes whose inferred and measured values correlate less than asked for, the worst first."""
        poor = self.genes[~(self.genes["pearson"] >= self.settings["accuracy"])]
        found: pd.DataFrame = poor.sort_values("pearson", kind="stable", na_position="first")
        return found.reset_index(drop=True)

    def table(self) -> pd.DataFrame:
        """The gene table that `dgex.prepare(genes=)` takes: gene, role, rank, gain, also_inferred_from, and ids."""
        return self.roles.copy()

    def text(self) -> str:
        """The curve, and the genes that come and go next, as aligned plain text."""
        return text_of(self._facts())

    __str__ = __repr__ = text

    def _repr_html_(self) -> str:
        return html_of(self._facts())

    def figures(self) -> dict[str, Figure]:
        """Every figure of the page by its file name, without suffix; pyplot does not know them.

        Examples
        --------
        >>> import dgex
        >>> raw = dgex.simulate(samples=80, landmarks=10, targets=20, seed=0)
        >>> figures = dgex.select_landmarks(raw, size=3, sizes=[3], splits=1).figures()
        >>> list(figures)
        ['error-by-size', 'gain-by-rank']
        >>> figures["gain-by-rank"].axes[0].set_xlabel("Genes measured")  # doctest: +ELLIPSIS
        Text(...)
        >>> figures["gain-by-rank"].savefig("gain.pdf")
        """
        return {"error-by-size": error_figure(self.curve, OURS), "gain-by-rank": gain_figure(self.chosen["gain"])}

    def page(self, figures: Mapping[str, Figure] | None = None) -> Page:
        """One page: the curve, the panel, what stays uninferable, candidates, and genes that can go."""
        return laid_out(self._facts(), self.figures() if figures is None else figures)

    def to_html(self, path: PathLike, *, overwrite: bool = False) -> Path:
        """Write the page alone."""
        return self.page().save(path, overwrite=overwrite)

    def save(self, folder: PathLike, *, overwrite: bool = False) -> None:
        """Write the gene table `panel.tsv`, `report.html`, figures, tables as CSV and `selection.json`.

        Raises
        ------
        OutputExistsError
            The folder exists and `overwrite` is False, or it holds something else.
        FileError
            It cannot be written.
        """
        place(folder).refuse_other()
        with atomic_folder(check_output(folder, overwrite, folder=True), overwrite) as temporary:
            drawn = self.figures()
            save_all(drawn, temporary / "figures")
            self.page(drawn).save(temporary / "report.html")
            with atomic_file(temporary / TABLE) as path:
                self.roles.to_csv(path, sep="\t", index=False, float_format="%.6g", na_rep="")
            for name in _TABLES:
                with atomic_file(temporary / f"{name}.csv") as path:
                    getattr(self, name).to_csv(path, index=False)
            json_dump(self.settings, temporary / "selection.json")

    @classmethod
    def load(cls, folder: PathLike) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        FileError
            The folder holds no choice of genes, or a part of it is missing.
        """
        where = Path(folder)
        words: dict[str, Any] = dict.fromkeys(("gene", "role", "panel", "also_inferred_from", "inferred_from"), str)
        try:
            settings = read_json(where / "selection.json")
            tables = {name: _read(where / f"{name}.csv", ",", words) for name in _TABLES}
            roles = _read(where / TABLE, "\t", words | dict.fromkeys(("symbol", "ensembl", "entrez"), str))
            return cls(**tables, roles=roles.astype({"rank": "Int64"}), settings=settings)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise FileError(f"{where} holds no whole choice of genes: {str(error).splitlines()[0]}") from None

    def _facts(self) -> Facts:
        return Facts(
            self.chosen, self.curve, self.genes, self.uninferable, self.candidates, self.going, self.settings, OURS
        )


def _read(path: Path, separator: str, words: Mapping[str, Any]) -> pd.DataFrame:
    """A table whose genes may be called NA."""
    head = pd.read_csv(path, sep=separator, nrows=0).columns
    numbers = {name: [""] for name in head if name not in words}
    return pd.read_csv(path, sep=separator, dtype=dict(words), keep_default_na=False, na_values=numbers)


def place(folder: PathLike) -> Work:
    """A folder of a choice of genes as a place that may be written to."""
    return Work(folder, "selection.json", "a choice of genes")
