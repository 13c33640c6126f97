"""Members that are judged, on disk: a run that was killed goes on after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from dgex.aliases import PathLike
from dgex.atomic import atomic_file, json_dump
from dgex.digests import of_matrices, of_names
from dgex.errors import FileError, ModelError
from dgex.models.stack.evidence import Evidence
from dgex.models.stack.judging import Judged
from dgex.models.stack.members import Member
from dgex.records import read_json
from dgex.work import as_json

__all__ = ["Progress"]

RECORD = "checkpoint.json"


class Progress:
    """Judged members in a folder; without a folder nothing is kept.

    Parameters
    ----------
    folder : Path or None
        Where; it exists.
    judged : dict
        What is there already: settings of each member by kind.
    identity : str
        Digest of the data and of the settings that shape a judgement.
    """

    def __init__(self, folder: Path | None, judged: dict[str, Any], identity: str) -> None:
        self._folder, self._judged, self._identity = folder, judged, identity

    @classmethod
    def of(
        cls,
        folder: PathLike | None,
        resume: bool,
        evidence: Evidence,
        settings: Mapping[str, Any],
        elsewhere: Sequence[str],
    ) -> Progress:
        """Begin, or go on with what lies in `folder`.

        Raises
        ------
        ModelError
            What lies there is of other data or settings.
        """
        if folder is None:
            return cls(None, {}, "")
        shaping = {name: value for name, value in settings.items() if name not in elsewhere}
        folds = {f"fold {at}": rows for at, (_, rows) in enumerate(evidence.folds)}
        identity = of_names(
            [repr(sorted(as_json(shaping).items())), of_matrices({"X": evidence.X, "Y": evidence.Y})],
            [f"{name} {row}" for name, rows in folds.items() for row in rows],
        )
        record = Path(folder) / RECORD
        if not resume or not record.exists():
            return cls(Path(folder), {}, identity)
        try:
            before = read_json(record)
            was, judged = before["identity"], dict(before["judged"])
        except (FileError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{record} is damaged; give overwrite=True to begin anew") from error
        if was != identity:
            raise ModelError(
                f"{folder} is of other data or settings; give another name, or overwrite=True to begin anew"
            )
        return cls(Path(folder), judged, identity)

    def known(self, member: Member) -> Judged | None:
        """The judgement of a member, where it is there and whole."""
        if self._folder is None or member.kind not in self._judged:
            return None
        try:
            predicted: np.ndarray = load_file(self._path(member))["predicted"]
        except (OSError, SafetensorError, KeyError):
            return None
        settings = {k: tuple(v) if isinstance(v, list) else v for k, v in self._judged[member.kind].items()}
        return Judged(settings, predicted, None)

    def keep(self, member: Member, judged: Judged) -> None:
        """Write a judgement; the record names it only when it is whole."""
        if self._folder is None:
            return
        with atomic_file(self._path(member), overwrite=True) as path:
            save_file({"predicted": np.ascontiguousarray(judged.predicted)}, path)
        self._judged[member.kind] = as_json(judged.settings)
        json_dump({"identity": self._identity, "judged": self._judged}, self._folder / RECORD)

    def _path(self, member: Member) -> Path:
        assert self._folder is not None
        return self._folder / f"member-{member.kind}.safetensors"
