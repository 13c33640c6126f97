"""Formats to download a result in."""

from __future__ import annotations

from dataclasses import dataclass

from dgex.web.result import RESULT

__all__ = ["FORMATS", "Download"]


@dataclass(frozen=True)
class Download:
    """A format to download a result in: its suffix, its name, what it is good for, its media type."""

    suffix: str
    name: str
    told: str
    media: str
    ready: str = ""  # file of the job that is it already


FORMATS = {
    "xlsx": Download(
        ".xlsx",
        "Excel",
        "genes in rows with their trust; sheets of intervals, profiles and how it was made",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    "csv": Download(".csv", "CSV", "genes in rows with their trust, a column a profile", "text/csv; charset=utf-8"),
    "h5ad": Download(
        ".h5ad",
        "h5ad",
        "everything as an AnnData, for Python: trust in var, half-widths in layers",
        "application/octet-stream",
        RESULT,
    ),
    "gctx": Download(
        ".gctx", "GCTX", "for cmapR and cmapPy: trust in the metadata of rows", "application/octet-stream"
    ),
    "html": Download(
        ".html",
        "Report",
        "one page about the file, its profiles and every gene, to keep",
        "text/html; charset=utf-8",
        "report/report.html",
    ),
}
