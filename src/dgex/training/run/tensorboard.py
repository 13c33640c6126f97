"""Learning curves as TensorBoard scalars, with the extra `[tensorboard]`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from numbers import Real
from types import TracebackType
from typing import Any, Self

from dgex.aliases import PathLike
from dgex.errors import SettingsError, os_error

__all__ = ["ScalarBoard", "check_tensorboard"]


def check_tensorboard() -> None:
    """Refuse to write scalars where TensorBoard is not installed.

    Raises
    ------
    SettingsError
        Says how to install it.
    """
    if find_spec("tensorboard") is None:
        raise SettingsError(
            "tensorboard: not installed; leave the setting out, or: pip install 'dgex-infer[tensorboard]'"
        )


class ScalarBoard:
    """Writes every number of a row as a scalar of the same name, at the step that is the row's epoch.

    Parameters
    ----------
    folder : path or None
        Where event files go; None writes nothing.
    first : int
        The first epoch that will be written. What earlier runs wrote there from this epoch on is no longer shown,
        so that a resumed run shows no epoch twice.

    Raises
    ------
    SettingsError
        TensorBoard is not installed.
    FileError
        The folder cannot be written.
    """

    def __init__(self, folder: PathLike | None, first: int = 1) -> None:
        self._folder, self._first = folder, first
        self._writer: Any = None
        if folder is not None:
            check_tensorboard()

    def __enter__(self) -> Self:
        if self._folder is not None:
            from torch.utils.tensorboard import SummaryWriter

            with self._written():
                self._writer = SummaryWriter(os.fspath(self._folder), purge_step=self._first)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def append(self, row: dict[str, Any]) -> None:
        """Write one epoch and flush it."""
        if self._writer is None:
            return
        with self._written():
            for name, value in row.items():
                if name != "epoch" and isinstance(value, Real):
                    self._writer.add_scalar(name, value, row["epoch"])
            self._writer.flush()

    @contextmanager
    def _written(self) -> Iterator[None]:
        assert self._folder is not None
        try:
            yield
        except OSError as error:
            raise os_error(self._folder, error) from error
