"""Which models people may infer with, and what is known of each before it is brought."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, replace
from typing import Any

from dgex.aliases import PathLike
from dgex.datasets.public.meter import size_text
from dgex.datasets.public.sources import MODELS, Source, checked, located, read_source, tables
from dgex.errors import SettingsError

__all__ = ["SharedModel", "find_model", "shared_models"]

FILES = ("model.json", "model.safetensors")  # what a model is loaded from
FURTHER = ("README.md", "history.jsonl", "LICENSE", "config.json")  # what its folder may hold besides
_HUB = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)@([0-9a-f]{40})", re.ASCII)
_FACTS = {
    "organism": str,
    "kind": str,
    "landmarks": int,
    "targets": int,
    "data": str,
    "split": str,
    "error": float,
}
_OF_SOURCE = ("title", "citation", "licence")


@dataclass(frozen=True)
class SharedModel:
    """A model of the list: its files, and what it is.

    `landmarks` and `targets` are numbers of genes; `error` is the overall error expected on `split`, in standard
    deviations of a gene.
    """

    source: Source
    organism: str
    kind: str
    landmarks: int
    targets: int
    data: str
    split: str
    error: float

    @property
    def name(self) -> str:
        """Its name on the command line."""
        return self.source.name

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        facts = {name: value for name, value in asdict(self).items() if name != "source"}
        files = {
            key: {"address": self.source.at(file.address), "size": file.size, "checksum": file.checksum}
            for key, file in self.source.files.items()
        }
        described = {name: getattr(self.source, name) for name in _OF_SOURCE}
        return {**described, **facts, "base": self.source.base, "files": files}

    def __str__(self) -> str:
        size = sum(file.size or 0 for file in self.source.files.values())
        return "\n".join(
            [
                self.name,
                f"  {self.source.title}",
                f"  {self.organism}; {self.landmarks:,} landmark genes -> {self.targets:,} target genes; {self.kind}; "
                f"{size_text(size)}",
                f"  expected overall error {self.error:.4f} on {self.split}",
                f"  trained on {self.data}",
                f"  {self.source.citation}",
                f"  licence: {self.source.licence}",
                f"  from {self.source.base}",
            ]
        )


def shared_models(manifest: PathLike | None = None) -> dict[str, SharedModel]:
    """Read the list that comes with the package, then that of `manifest`, which replaces it name by name.

    Parameters
    ----------
    manifest : path, optional
        TOML of the layout of `dgex/shared/models.toml`.

    Returns
    -------
    dict of str to SharedModel

    Raises
    ------
    FileError
        `manifest` cannot be read or is no TOML.
    SettingsError
        `manifest` has another layout.

    Examples
    --------
    >>> shared_models()  # none is shared yet
    {}
    """
    found = tables("dgex.shared", "models.toml", manifest)
    return {name: _model(name, table, where) for name, (table, where) in found.items()}


def find_model(name: str, manifest: PathLike | None = None, base: str | None = None) -> SharedModel:
    """Find a model and where it lies: `base`, else `$DGEX_BASE_NAME`, else the list.

    Raises
    ------
    SettingsError, FileError
        `name` is not known; else as `shared_models`.
    """
    known = shared_models(manifest)
    if name not in known:
        none = "none is listed yet; dgex train makes your own, --manifest FILE adds a list"
        raise SettingsError(f"model {name!r} is unknown", accepted=list(known) or none)
    model = known[name]
    return replace(model, source=located(model.source, base))


def _model(name: str, table: Any, where: str) -> SharedModel:
    fields = {**_FACTS, **dict.fromkeys((*_OF_SOURCE, "base", "hub"), str), "files": dict}
    values = checked(table, fields, (*_OF_SOURCE, *_FACTS, "files"), where)
    facts = {fact: values.pop(fact) for fact in _FACTS}
    for count in ("landmarks", "targets"):
        if facts[count] < 1:
            raise SettingsError(f"{where}: {count} is {facts[count]}", accepted="a number of genes, at least 1")
    if not 0 < facts["error"] < float("inf"):
        raise SettingsError(f"{where}: error is {facts['error']}", accepted="standard deviations, above 0")
    if ("hub" in values) == ("base" in values):
        found = "both base and hub" if "hub" in values else "neither base nor hub"
        raise SettingsError(f"{where}: {found}", accepted="one of them")
    if "hub" in values:
        values["base"] = _hub(values.pop("hub"), where)
    source = read_source(name, values, where)
    _check_files(source, where)
    return SharedModel(source, **facts)


def _hub(text: str, where: str) -> str:
    """The address of a revision on the Hub, or on what stands in for it (`$HF_ENDPOINT`)."""
    match = _HUB.fullmatch(text)
    if match is None:
        raise SettingsError(f"{where}: hub is {text!r}", accepted="OWNER/NAME@REVISION, the revision 40 digits")
    return f"{(os.environ.get('HF_ENDPOINT') or 'https://huggingface.co').rstrip('/')}/{match[1]}/resolve/{match[2]}/"


def _check_files(source: Source, where: str) -> None:
    """Refuse what is no model folder, and files that could be changed unseen."""
    for key, file in source.files.items():
        place = f"{where[:-1]}.files.{key}]"
        if file.name not in FILES + FURTHER:
            raise SettingsError(f"{place}: the file is {file.name}", accepted=FILES + FURTHER)
        if file.size is None or not (file.checksum or "").startswith("sha256:"):
            raise SettingsError(f"{place}: {file.name} needs both", accepted="size in bytes, and checksum sha256:…")
    missing = [name for name in FILES if name not in {file.name for file in source.files.values()}]
    if missing:
        raise SettingsError(f"{where}: no {missing[0]} among the files of {MODELS}", accepted=FILES + FURTHER)
