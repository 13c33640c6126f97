"""Models on offer: the model folders below a folder, as far as their descriptions tell, read without their arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgex.aliases import PathLike
from dgex.errors import DgexError, ModelError, first
from dgex.io.registry import formats
from dgex.models.catalogue import known
from dgex.models.folder import describe, is_model
from dgex.models.record import fitted_profiles
from dgex.progress import warn

__all__ = ["EXAMPLES", "OnOffer", "Shelf"]

#: A folder of this name among the models holds panels to try.
EXAMPLES = "examples"
_CARD = 1 << 20  # bytes of a card that are shown


@dataclass(frozen=True)
class OnOffer:
    """A model that visitors may choose.

    Attributes
    ----------
    name : str
        Of its folder.
    path : Path
    description : dict
        Its `model.json`.
    """

    name: str
    path: Path
    description: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What its method is, in words."""
        entry = known(self.description["kind"])
        return entry.title if entry is not None else str(self.description["kind"])

    @property
    def counts(self) -> tuple[int, int]:
        """Landmark genes and target genes."""
        roles = self.description["genes"]["role"]
        return roles.count("landmark"), roles.count("target")

    @property
    def confidence(self) -> Mapping[str, Any] | None:
        """How far it can be trusted: `judged`, `trust`, `median`; None where nobody judged it."""
        found: Mapping[str, Any] | None = self.description.get("confidence") or None
        return found

    @property
    def indexed(self) -> bool:
        """Whether it knows where its training profiles lie."""
        return bool(self.description.get("training_index"))

    @property
    def trained(self) -> int | None:
        """How many profiles it was fitted on in the end; none where that is not known."""
        return fitted_profiles(self.description["metrics"])

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        try:
            with (self.path / "README.md").open(encoding="utf-8", errors="replace") as file:
                return file.read(_CARD)
        except OSError:
            return ""

    def told(self) -> dict[str, Any]:
        """What `/api/models` tells of it."""
        landmarks, targets = self.counts
        known_ = self.confidence
        return {
            "name": self.name,
            "kind": self.description["kind"],
            "title": self.title,
            "landmark_genes": landmarks,
            "target_genes": targets,
            "training_profiles": self.trained,
            "unit": (self.description["normalization"] or {}).get("units", "as given"),
            "fingerprint": self.description["fingerprint"],
            "made_with": f"dgex {self.description['dgex']}",
            "judged_by": None if known_ is None else known_["judged"]["words"],
            "median_gene": None if known_ is None else dict(known_["median"]),
            "trust": None if known_ is None else dict(known_["trust"]),
            "map": self.indexed,
        }


class Shelf:
    """The models below a folder, or the one that the folder is.

    Parameters
    ----------
    folder : path
        Model folders lie in it; panels to try may lie in its folder `examples`.

    Raises
    ------
    ModelError
        There is none that can be used.
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = Path(folder).resolve()
        self.models = {model.name: model for model in self._found()}
        if not self.models:
            raise ModelError(f"no model in {folder}", accepted="a folder of model folders, as dgex train writes them")
        self.examples = {path.name: path for path in self._panels()}

    def _found(self) -> Iterator[OnOffer]:
        if not self.folder.is_dir():
            raise ModelError(f"no folder of models at {self.folder}")
        inside = [self.folder] if is_model(self.folder) else sorted(self.folder.iterdir())
        for path in inside:
            if path.name.startswith(".") or not is_model(path):
                continue
            try:
                yield OnOffer(path.name, path, describe(path))
            except DgexError as error:
                warn(f"{path.name} is not on offer: {error}")

    def _panels(self) -> Iterator[Path]:
        known_ = tuple(suffix for suffixes in formats().values() for suffix in suffixes if suffix != ".zarr")
        folder = self.folder / EXAMPLES
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.is_file() and path.name.lower().endswith(known_):
                yield path

    def __getitem__(self, name: str) -> OnOffer:
        if name not in self.models:
            raise ModelError("no such model", found=name, accepted=first(self.models, 20))
        return self.models[name]
