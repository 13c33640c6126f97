"""Which profiles are controls: an expression over the columns of obs that can do nothing but compare."""

from __future__ import annotations

import ast

import numpy as np
import pandas as pd

from dgex.errors import SettingsError, first
from dgex.genes import texts

__all__ = ["controls", "within_groups"]

_LONGEST = 1000
_ACCEPTED = "comparisons of columns with text or numbers, joined by and, or, not, in"
_JOINED = (ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.List, ast.Tuple, ast.Load)
_SIGNS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)


def within_groups(obs: pd.DataFrame, column: str) -> np.ndarray:
    """The group of every profile as text, empty where it has none.

    Raises
    ------
    SettingsError
        There is no such column.
    """
    if column not in obs:
        raise SettingsError("within", found=column, accepted=f"a column of obs: {first(obs.columns, 20)}")
    return texts(obs[column]).to_numpy(dtype=str)


def controls(obs: pd.DataFrame, expression: str) -> np.ndarray:
    """Find the control profiles.

    Parameters
    ----------
    obs : DataFrame
        Metadata, a row a profile.
    expression : str
        As `DataFrame.query` has it, such as `pert_type == "ctl_vehicle"`: comparisons of columns with text and numbers,
        `and`, `or`, `not`, `in`. It may hold nothing else: it is checked before it is evaluated, so that a line that
        somebody copied can neither call nor read anything.

    Returns
    -------
    ndarray of bool, shape (profiles,)

    Raises
    ------
    SettingsError
        The expression holds anything else, names a column that is not there, or no profile fits it.

    Examples
    --------
    >>> obs = pd.DataFrame({"pert_type": ["ctl_vehicle", "trt_cp", "ctl_vehicle"], "dose": [0.0, 10.0, 0.0]})
    >>> controls(obs, 'pert_type == "ctl_vehicle" and dose < 1').tolist()
    [True, False, True]
    """
    columns = _columns(obs, expression)
    plain = {name: obs[name].astype(object) if obs[name].dtype == "category" else obs[name] for name in columns}
    frame = pd.DataFrame(plain).reset_index(drop=True)
    try:
        found = frame.eval(expression.strip(), engine="python", parser="pandas", local_dict={}, global_dict={})
        mask = pd.Series(found, index=frame.index)
        if not pd.api.types.is_bool_dtype(mask.dropna().infer_objects()):
            raise TypeError("it gives values, not yes or no")
        fits = mask.astype("boolean").fillna(False).to_numpy(bool)
    except Exception as error:  # whatever pandas raises of two things that cannot be compared
        words = " ".join(str(error).split())[:200]
        raise SettingsError(f"control {expression!r} cannot be evaluated: {words}", accepted=_ACCEPTED) from error
    if not fits.any():
        holds = "; ".join(f"{name} holds {first(sorted(set(texts(obs[name]))), 6)}" for name in columns)
        raise SettingsError(f"no profile fits control {expression!r}: {holds}")
    return fits


def _columns(obs: pd.DataFrame, expression: str) -> list[str]:
    """The columns it names; refuses what is no comparison."""
    if not isinstance(expression, str) or not expression.strip() or len(expression) > _LONGEST:
        raise SettingsError("control", found=str(expression)[:80], accepted=f"an expression of {_ACCEPTED}")
    if "`" in expression:  # pandas' own quotes of names, which Python does not know
        raise SettingsError("control", found=expression, accepted="columns whose names are words; rename the others")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        nodes = list(ast.walk(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise SettingsError("control cannot be read", found=expression, accepted=_ACCEPTED) from None
    for node in nodes:
        if not _allowed(node):
            part = ast.get_source_segment(expression.strip(), node) if isinstance(node, ast.expr) else None
            what = f": found {part!r} in it" if part else ""
            raise SettingsError(f"control {expression!r} holds what it may not{what}; accepted: {_ACCEPTED}")
    names = list(dict.fromkeys(node.id for node in nodes if isinstance(node, ast.Name)))
    missing = [name for name in names if name not in obs]
    if missing or not names:
        what = f"no column {first(missing)} in obs" if missing else "it names no column"
        raise SettingsError(f"control {expression!r}: {what}", accepted=[str(name) for name in obs.columns])
    return names


def _allowed(node: ast.AST) -> bool:
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not) or (
            isinstance(node.op, ast.USub)
            and isinstance(node.operand, ast.Constant)
            and type(node.operand.value) in (int, float)
        )
    if isinstance(node, ast.Constant):
        return type(node.value) in (str, int, float, bool)
    return isinstance(node, (*_JOINED, *_SIGNS, ast.Name, ast.Not, ast.USub))
