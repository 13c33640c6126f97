"""Types that arguments have in most rooms."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np

__all__ = ["PathLike", "Sets"]

#: What a path may be given as.
PathLike: TypeAlias = str | os.PathLike[str]
#: Named sets of profiles, each its landmark and its target values (profiles x genes, float32).
Sets: TypeAlias = Mapping[str, "tuple[np.ndarray, np.ndarray]"]
