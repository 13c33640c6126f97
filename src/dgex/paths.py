"""What a path may be given as."""

from __future__ import annotations

import os
from typing import TypeAlias

__all__ = ["PathLike"]

PathLike: TypeAlias = str | os.PathLike[str]
