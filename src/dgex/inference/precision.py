"""In which precision networks infer: that which is asked for, and not whatever suits the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dgex.errors import SettingsError
from dgex.models.base import Estimator

__all__ = ["PRECISIONS", "in_precision"]

PRECISIONS = ("float32", "tf32", "bf16", "auto")


@contextmanager
def in_precision(model: Estimator, precision: str) -> Iterator[str]:
    """Let a model and those that it holds infer in a precision, then have their own settings back.

    Gives the precision, or "" where nothing of the model is a network: other methods compute in float32 always.

    Raises
    ------
    SettingsError
        A precision that there is not.
    """
    if precision not in PRECISIONS:
        raise SettingsError("precision", found=precision, accepted=PRECISIONS)
    networks = [one for one in _all(model) if "precision" in one.get_params()]
    before = [one.get_params()["precision"] for one in networks]
    try:
        for one in networks:
            one.set_params(precision=precision)
        yield precision if networks else ""
    finally:
        for one, own in zip(networks, before):
            one.set_params(precision=own)


def _all(model: Estimator) -> Iterator[Estimator]:
    yield model
    for held in model.held_models():
        yield from _all(held)
