"""What a bootstrap draws anew on the test sets of a study: profiles, or whole groups of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dgex import io
from dgex.dataset.platforms import Platform
from dgex.dataset.roles import rows
from dgex.evaluation.against import groups_of
from dgex.paper.plan import Plan

__all__ = ["checked", "draws"]


def draws(path: Path, platforms: Sequence[Platform], plan: Plan) -> dict[str, dict[str, Any]]:
    """What a bootstrap draws anew on every test set, as `dgex evaluate` does; see `Described.drawn`."""
    drawn = {}
    with io.open(path) as source:
        for name in (platform.test for platform in platforms):
            # Simulated RNA-Seq is parted by study, which the dataset, whose arrays are not, does not say.
            column = "study" if plan.data == "simulated" and name == "RNA-te" else None
            members, words = groups_of(source, np.asarray(rows(source, name)), name, column)
            codes = None if members is None else np.unique(members, return_inverse=True)[1].tolist()
            drawn[name] = words | {"members": codes}
    return drawn


def checked(drawn: dict[str, dict[str, Any]], profiles: dict[str, int]) -> dict[str, dict[str, Any]]:
    """The same as it was read back.

    Raises
    ------
    ValueError, TypeError, KeyError
        It does not fit the profiles of its sets.
    """
    for name, one in drawn.items():
        members = one["members"]
        if members is not None and (len(members) != profiles[name] or not all(isinstance(m, int) for m in members)):
            raise ValueError(f"{name}: {len(members):,} groups of {profiles[name]:,} profiles")
        if not isinstance(one["over"], str) or not isinstance(one["units"], int):
            raise TypeError(f"{name}: drawn over {one['over']}, {one['units']} units")
    return drawn
