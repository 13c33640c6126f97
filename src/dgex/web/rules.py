"""What visitors may ask for: one table of limits."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Rules"]


@dataclass(frozen=True)
class Rules:
    """Limits of a server.

    Attributes
    ----------
    upload : int
        Bytes of one upload.
    files : int
        Files of one upload, as of a quantifier that writes one a sample.
    profiles : int
        Profiles of an upload.
    values : int
        Values of a result, profiles times genes.
    cells : int
        Cells of a workbook, which takes longest to write.
    kept : float
        Seconds until an upload or a result is removed.
    work : float
        Seconds that one piece of work may take.
    patience : float
        Seconds without a byte after which an upload is given up.
    at_once : int
        Uploads, and results, that are kept at a time.
    spare : int
        Bytes of the disk that stay free.
    """

    upload: int = 200 << 20
    files: int = 500
    profiles: int = 5_000
    values: int = 60_000_000
    cells: int = 12_000_000
    kept: float = 3600.0
    work: float = 600.0
    patience: float = 60.0
    at_once: int = 200
    spare: int = 1 << 30
