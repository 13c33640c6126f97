"""The Hub as this package asks it: named repositories, and whatever goes wrong there as one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dgex._version import __version__
from dgex.errors import DgexError, FileError, SettingsError
from dgex.models.folder import ARRAYS, CARD, CONFIG, DESCRIPTION, HISTORY
from dgex.remote import addresses

__all__ = ["NEEDED", "SHARED", "asking", "hub", "interface", "named", "quiet"]

#: What a shared model is; nothing else goes to the Hub or comes from it.
SHARED = (DESCRIPTION, ARRAYS, CARD, CONFIG, HISTORY)
NEEDED = (DESCRIPTION, ARRAYS)
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
_NAMED = re.compile(rf"(?:hf://)?({_PART}/{_PART})(?:@([A-Za-z0-9][A-Za-z0-9._/-]{{0,199}}))?")


def hub() -> Any:
    """The package huggingface_hub.

    Raises
    ------
    SettingsError
        It is not installed.
    """
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError:
        raise SettingsError("sharing models needs the package huggingface_hub: pip install 'dgex-infer[hub]'") from None
    return huggingface_hub


def interface() -> Any:
    """The Hub as HF_ENDPOINT names it, asked in this library's name."""
    return hub().HfApi(library_name="dgex", library_version=__version__)


def named(repo: str) -> tuple[str, str | None]:
    """Repository and revision of `OWNER/NAME[@REV]`.

    Raises
    ------
    SettingsError

    >>> named("lab/l1000-ridge@v1")
    ('lab/l1000-ridge', 'v1')
    """
    match = _NAMED.fullmatch(repo) if isinstance(repo, str) else None
    if match is None or any(mark in repo for mark in ("..", "--")) or repo.endswith(".git"):
        raise SettingsError("a repository on the Hub", found=str(repo)[:120], accepted="OWNER/NAME or OWNER/NAME@REV")
    return match[1], match[2]


@contextmanager
def quiet() -> Iterator[None]:
    """Let the Hub's own bars and advice be silent meanwhile: dgex tells what is done."""
    package = hub()
    bars = package.utils.are_progress_bars_disabled()
    level = package.utils.logging.get_verbosity()
    if not bars:
        package.utils.disable_progress_bars()
    package.utils.logging.set_verbosity_error()
    try:
        yield
    finally:
        package.utils.logging.set_verbosity(level)
        if not bars:
            package.utils.enable_progress_bars()


@contextmanager
def asking(repo: str, endpoint: str, revision: str | None = None) -> Iterator[None]:
    """Turn what the Hub, its package or the way there refuses into the usual one line."""
    try:
        yield
    except DgexError:
        raise
    except Exception as error:  # of any of three packages, by the version of huggingface_hub
        raise _told(error, repo, endpoint, revision) from error


def _told(error: Exception, repo: str, endpoint: str, revision: str | None) -> FileError:
    hidden, errors = f"{repo} on {addresses.shown(endpoint)}", hub().errors
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return FileError(f"{hidden} is given only to those who accept its terms; do so on its page, then log in")
    if isinstance(error, errors.RepositoryNotFoundError):
        return FileError(
            f"{hidden} does not exist, or is private and you are not logged in (hf auth login, or HF_TOKEN)"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return FileError(f"{hidden} has no revision {revision or 'main'}", accepted="a branch, a tag or a commit")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return FileError(f"{hidden} was not asked: HF_HUB_OFFLINE forbids it")
    if isinstance(error, errors.LocalEntryNotFoundError):
        return FileError(f"{hidden} cannot be reached, and what is asked for was not fetched before")
    if status in (401, 403):
        return FileError(f"{hidden} refuses you ({status}): log in with a token that may do this (hf auth login)")
    if status is not None:
        return FileError(f"{hidden} answers {status}: {_first_line(getattr(error, 'server_message', None) or error)}")
    if type(error).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "requests", "urllib3"):
        return FileError(f"{hidden} cannot be reached ({type(error).__name__}: {_first_line(error)})")
    return FileError(f"{hidden}: {type(error).__name__}: {_first_line(error)}")


def _first_line(said: object) -> str:
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    return addresses.scrubbed(lines[0])[:300] if lines else "no more is told"
