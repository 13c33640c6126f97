"""Which public data sets there are, where their files lie, and what is known of them beforehand."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files as package_files
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from dgex.aliases import PathLike
from dgex.errors import FileError, SettingsError
from dgex.inputs import regular

__all__ = [
    "DIGESTS",
    "MODELS",
    "Source",
    "SourceFile",
    "checked",
    "find",
    "located",
    "read_source",
    "sources",
    "tables",
]

DIGESTS = {"md5": 32, "sha256": 64, "sha512": 128}  # hexadecimal digits
MODELS = "models"  # `dgex download models` lists models: no data set may be called so
_KINDS = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number with a point",
    dict: "a table",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class SourceFile:
    """One file of a source; `size` (bytes) and `checksum` ("md5:…") are those of the file as served."""

    key: str
    address: str
    description: str
    unpack: bool
    size: int | None = None
    checksum: str | None = None

    @property
    def served(self) -> str:
        """Name under which the file is served."""
        return PurePosixPath(unquote(self.address)).name

    @property
    def name(self) -> str:
        """Name of the finished file in the user's folder."""
        return self.served.removesuffix(".gz") if self.unpack else self.served


@dataclass(frozen=True)
class Source:
    """A public data set: its files by key, and the address that all of theirs are relative to."""

    name: str
    title: str
    base: str
    files: dict[str, SourceFile]
    citation: str = ""
    licence: str = ""
    sums: str | None = None

    def at(self, address: str) -> str:
        """Full address of a file."""
        return f"{self.base.rstrip('/')}/{address}"

    def choose(self, only: Iterable[str] | None = None) -> list[SourceFile]:
        """Files by key or by name, in the manifest's order; all of them when `only` is None.

        Raises
        ------
        SettingsError
            A name that is neither a key nor a name of a file of this source, or none at all.
        """
        if only is None:
            return list(self.files.values())
        wanted = [only] if isinstance(only, str) else list(only)
        chosen = set()
        for word in wanted:
            keys = [file.key for file in self.files.values() if word in (file.key, file.name, file.served)]
            if not keys:
                raise SettingsError(f"{self.name} has no file {word!r}", accepted=self.files)
            chosen.update(keys)
        if not chosen:
            raise SettingsError(f"no file of {self.name} was named", accepted=self.files)
        return [file for file in self.files.values() if file.key in chosen]


def sources(manifest: PathLike | None = None) -> dict[str, Source]:
    """Read the sources that come with the package, then those of `manifest`, which replace them name by name.

    Raises
    ------
    FileError
        `manifest` cannot be read or is no TOML.
    SettingsError
        `manifest` has another layout than that of `sources.toml`.
    """
    entries = tables("dgex.datasets.public", "sources.toml", manifest)
    return {name: read_source(name, table, where) for name, (table, where) in entries.items()}


def tables(package: str, own: str, manifest: PathLike | None = None) -> dict[str, tuple[Any, str]]:
    """Tables of a TOML file that comes with a package, then those of `manifest`, each with where it stands.

    Raises
    ------
    FileError
        `manifest` cannot be read or is no TOML.
    """
    found = _parse((package_files(package) / own).read_text("utf-8"), own)
    if manifest is not None:
        path = regular(manifest)
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise FileError(f"cannot read the manifest {os.fspath(manifest)}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise FileError(f"{os.fspath(manifest)} is no TOML file: {error}") from error
        found |= _parse(text, os.fspath(manifest))
    return found


def find(name: str, manifest: PathLike | None = None, base: str | None = None) -> Source:
    """Find a source and where it lies: `base`, else `$DGEX_BASE_NAME`, else `manifest`, else the package.

    In the variable's name the source's is in capitals, with _ for what is neither letter nor digit.

    Raises
    ------
    SettingsError
        `name` is not known, or an address is not one of http or https.
    FileError
        See `sources`.
    """
    known = sources(manifest)
    if name not in known:
        raise SettingsError(f"data set {name!r} is unknown", accepted=known)
    return located(known[name], base)


def located(source: Source, base: str | None = None) -> Source:
    """The source at `base`, else at what the environment says of it, else as it is."""
    variable = "DGEX_BASE_" + re.sub(r"[^A-Z0-9]", "_", source.name.upper())
    for address, origin in ((base, "base"), (os.environ.get(variable) or None, f"${variable}")):
        if address is not None:
            return replace(source, base=_web(address, origin))
    return source


def _parse(text: str, origin: str) -> dict[str, tuple[Any, str]]:
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{origin} is no TOML file: {error}") from error
    return {name: (table, f"{origin}, [{name}]") for name, table in found.items()}


def read_source(name: str, table: Any, where: str) -> Source:
    """A source from its table.

    Raises
    ------
    SettingsError
        Says where it stands (`where`), what was found, and what is accepted.
    """
    if not _NAME.fullmatch(name) or name == MODELS:
        raise SettingsError(
            f"{where}: the name is {name!r}", accepted=f"letters, digits, and . _ - inside, and not {MODELS}"
        )
    fields = {"title": str, "base": str, "files": dict, "citation": str, "licence": str, "sums": str}
    values = checked(table, fields, ("title", "base", "files"), where)
    values["base"] = _web(values["base"], f"{where}: base")
    if values.get("sums"):
        _relative(values["sums"], f"{where}: sums")
    listed = {key: _file(key, entry, f"{where[:-1]}.files.{key}]") for key, entry in values["files"].items()}
    if not listed:
        raise SettingsError(f"{where}: no files", accepted=f"at least one table [{name}.files.KEY]")
    names = [name for file in listed.values() for name in {file.name, file.served}]  # both stand in one folder
    twice = {file_name for file_name in names if names.count(file_name) > 1}
    if twice:
        raise SettingsError(f"{where}: two files would be named {min(twice)}", accepted="one file a name")
    return Source(name=name, **{**values, "files": listed})


def _file(key: str, table: Any, where: str) -> SourceFile:
    fields = {"address": str, "description": str, "unpack": bool, "size": int, "checksum": str}
    values = checked(table, fields, ("address",), where)
    _relative(values["address"], f"{where}: address")
    packed = values["address"].endswith(".gz")
    if values.setdefault("unpack", packed) and not packed:
        raise SettingsError(f"{where}: unpack is true for {values['address']}", accepted="for .gz files only")
    if values.get("size", 1) < 1:
        raise SettingsError(f"{where}: size is {values['size']}", accepted="bytes, at least 1")
    if "checksum" in values:
        kind, _, digest = values["checksum"].lower().partition(":")
        if not re.fullmatch(rf"[0-9a-f]{{{DIGESTS.get(kind, 0)}}}", digest) or not digest:
            accepted = ", ".join(f"{name}: and {digits} digits" for name, digits in DIGESTS.items())
            raise SettingsError(f"{where}: checksum is {values['checksum']!r}", accepted=f"{accepted} (hexadecimal)")
        values["checksum"] = f"{kind}:{digest}"
    return SourceFile(key=key, **{"description": "", **values})


def checked(table: Any, fields: Mapping[str, type], required: Iterable[str], where: str) -> dict[str, Any]:
    """The values of a table, each of its type and none unknown."""
    if not isinstance(table, dict):
        raise SettingsError(f"{where} is {table!r}", accepted="a table")
    for name, value in table.items():
        if name not in fields:
            raise SettingsError(f"{where}: {name!r} is unknown", accepted=fields)
        if type(value) is not fields[name]:
            kind = {
                str: "text",
                bool: "true or false",
                int: "a whole number",
                float: "a number with a point",
                dict: "a table",
            }[fields[name]]
            raise SettingsError(f"{where}: {name} is {value!r}", accepted=f"{kind}")
    missing = [name for name in required if not table.get(name) and not isinstance(table.get(name), dict)]
    if missing:
        raise SettingsError(f"{where}: no {missing[0]}; needed: {', '.join(required)}")
    return dict(table)


def _web(address: str, where: str) -> str:
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and parts.port != 0
    except ValueError:
        good = False
    if not good or not address.isascii() or re.search(r"\s", address):
        raise SettingsError(f"{where} is {address!r}", accepted="an address that begins with http:// or https://")
    return address


def _relative(address: str, where: str) -> None:
    """Refuse addresses that leave the base, and names that would leave the user's folder or hide in it."""
    parts = unquote(address).split("/")
    name = parts[-1].removesuffix(".gz")
    odd = not address.isascii() or re.search(r"[\s\\?#:]", unquote(address))
    ours = name.startswith(".") or name == "download.json" or name.endswith((".partial", ".partial.json", ".unpacking"))
    if odd or ours or not name or any(part in ("", ".", "..") for part in parts):
        raise SettingsError(f"{where} is {address!r}", accepted="a path below the base, such as suppl/matrix.gctx.gz")
