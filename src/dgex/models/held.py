"""A fitted model held by another: its arrays under a prefix, its description in the other's."""

from __future__ import annotations

from typing import Any

from dgex.errors import ModelError
from dgex.models.base import Arrays, Estimator
from dgex.models.catalogue import known

__all__ = ["arrays_of", "restored", "state_of", "taken_back"]


def arrays_of(model: Estimator, prefix: str) -> Arrays:
    """What the held model has learned, each name after the prefix."""
    return {f"{prefix}{name}": array for name, array in model._own("give its arrays", model._arrays).items()}


def state_of(model: Estimator) -> dict[str, Any]:
    """Everything else of the held model, as JSON knows it."""
    found = known(model.kind)
    return {
        "kind": model.kind,
        "package": found.package if found is not None else "",
        "settings": model.get_params(deep=False),
        "state": model._state(),
        "fingerprint": model.fingerprint_,
    }


def restored(arrays: Arrays, state: dict[str, Any], prefix: str, holder: Estimator) -> Estimator:
    """The held model again, of the same genes as its holder.

    Raises
    ------
    ModelError
        Another package brings its method, and is not installed.
    """
    found = known(state["kind"])
    if found is None:
        brings = f"; the package {state['package']} brings it, and is not installed here" if state["package"] else ""
        raise ModelError(f"the adapted model holds one of unknown kind {state['kind']!r}{brings}")
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in state["settings"].items()}
    model = found.load()(**settings)
    taken_back(model, arrays, state["state"], prefix, holder)
    model.fingerprint_ = state["fingerprint"]
    return model


def taken_back(model: Estimator, arrays: Arrays, state: dict[str, Any], prefix: str, holder: Estimator) -> None:
    """Give an estimator back what it had learned; genes and fingerprint are its holder's."""
    model._set_genes(*(genes.drop(columns="role") for genes in (holder.landmark_genes(), holder.target_genes())))
    model.metrics_, model.fingerprint_ = {}, getattr(holder, "fingerprint_", "")
    own = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
    model._own("take back its arrays", lambda: model._restore(own, state))
