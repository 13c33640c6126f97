"""Several networks alike but for their seeds, one after the other: an ensemble, killed and resumed as one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dgex.aliases import Sets
from dgex.errors import ModelError
from dgex.progress import note
from dgex.training.processes.group import ALONE, Group
from dgex.training.run.checkpoint import DESCRIPTION, refuse_existing
from dgex.training.run.parts import Part, Recipe, RunFiles, train_one

__all__ = ["train_members"]


def train_members(
    recipes: Sequence[Recipe], X: np.ndarray, Y: np.ndarray, sets: Sets, files: RunFiles, group: Group = ALONE
) -> list[Part]:
    """Train a network by each of `recipes`, for all targets.

    Parameters
    ----------
    recipes : sequence of Recipe
        One for each network.
    X, Y : ndarray of float32
        Profiles x landmarks and profiles x targets.
    sets : dict of name to (X, Y)
        Evaluation sets.
    files : RunFiles
        With several networks each has the folder `part-K` in the folder of checkpoints; those that are finished are
        not trained again.
    group : Group
        The processes that train each of them together.

    Returns
    -------
    list of Part
        After Ctrl-C those that were finished; where none was, the first as it was at its best epochs. The last one
        of the list then says "interrupted".

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C before the first network's first epoch was done.
    ModelError, OutputExistsError
        As `train_one`, or the checkpoint is of one network and several are asked for.
    """
    everything = np.arange(Y.shape[1])
    group.from_first(lambda: _refuse_other_kind(len(recipes), files))
    if len(recipes) == 1:
        return [train_one(recipes[0], X, Y, sets, files, everything, group)]
    members: list[Part] = []
    for at, recipe in enumerate(recipes, start=1):
        note(f"network {at} of {len(recipes)}, seed {recipe.settings.seed}")
        own = files.of_part(at)
        try:
            member = train_one(recipe, X, Y, sets, own, everything, group)
        except KeyboardInterrupt:
            if not members:
                raise
            members[-1].stopped = "interrupted"
            return members
        if member.stopped == "interrupted":
            if members:  # half-trained beside finished ones it would do harm
                members[-1].stopped = "interrupted"
                return members
            return [member]
        members.append(member)
    return members


def _refuse_other_kind(members: int, files: RunFiles) -> None:
    """Refuse the checkpoints of one network for several, and the other way round."""
    if files.checkpoint_dir is None:
        return
    folder = Path(files.checkpoint_dir)
    one, first = folder / DESCRIPTION, folder / "part-1" / DESCRIPTION
    if (first if members == 1 else one).exists():
        there = "several" if members == 1 else "1"
        raise ModelError(f"the checkpoint in {folder} is of other settings (ensemble: there {there}, now {members})")
    if not files.resume:
        refuse_existing(folder if members == 1 else first.parent)
