"""Expressions for controls: what `DataFrame.query` finds, and nothing but comparisons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dgex.errors import SettingsError
from dgex.evaluation.control import controls, within_groups


@pytest.fixture
def obs() -> pd.DataFrame:
    table = pd.DataFrame({
        "pert_type": ["ctl_vehicle", "trt_cp", None, "ctl_vehicle", "trt_oe"],
        "dose": [0.0, 10.0, np.nan, 1.0, -1.0],
        "vehicle": [True, False, False, True, False],
        "my column": list("abcde"),
    })  # fmt: skip
    table["kind"] = table["pert_type"].astype("category")
    return table


@pytest.mark.parametrize("expression", [
    'pert_type == "ctl_vehicle"',
    "kind == 'ctl_vehicle'",
    'pert_type == "ctl_vehicle" and dose < 1',
    'pert_type in ["ctl_vehicle", "trt_oe"] or dose > 5',
    'not pert_type == "trt_cp" and dose > -2.5',
    "0 <= dose < 5",
    'kind not in ("trt_cp", "trt_oe")',
    "vehicle",
    "not vehicle",
    "vehicle == True",
    "dose != 10",
    ' dose <= -1 ',
])  # fmt: skip
def test_finds_what_query_finds(obs, expression):
    expected = obs.index.isin(obs.query(expression.strip(), engine="python").index)
    assert controls(obs, expression).tolist() == expected.tolist()


@pytest.mark.parametrize("expression", [
    "pert_type.str.startswith('ctl')",
    "__import__('os').system('true')",
    "dose + 1 > 2",
    "@pd.read_pickle('x')",
    "dose == @x",
    "dose.values",
    "dose[0] == 1",
    "[x for x in dose]",
    "(lambda: 1)()",
    "dose == 1 if vehicle else dose == 2",
    "(dose := 1)",
    "f'{dose}' == 'a'",
    "dose is None",
    "~vehicle",
    "(dose == 1) & vehicle",
    "dose == -dose",
    "dose == b'x'",
    "dose = 1",
    "dose == 1; vehicle",
    "dose ==",
    "`my column` == 'a'",
    "{'a': dose}",
    "*dose",
    "dose == ...",
    "",
    "(" * 400 + "dose" + ")" * 400 + "> 1" * 40,
    "not " * 240 + "vehicle)",
])  # fmt: skip
def test_refuses_what_is_no_comparison(obs, expression):
    with pytest.raises(SettingsError, match="accepted") as caught:
        controls(obs, expression)
    assert "\n" not in str(caught.value)


def test_tells_what_does_not_fit(obs):
    with pytest.raises(SettingsError, match=r"no column plate in obs; accepted: .*pert_type"):
        controls(obs, "plate == 'a'")
    with pytest.raises(SettingsError, match="names no column"):
        controls(obs, "1 == 1")
    with pytest.raises(SettingsError, match=r"no profile fits .*pert_type holds .*ctl_vehicle, trt_cp"):
        controls(obs, "pert_type == 'DMSO'")
    for wrong in ("dose", "pert_type", "pert_type > 3"):
        with pytest.raises(SettingsError, match="cannot be evaluated"):
            controls(obs, wrong)
    with pytest.raises(SettingsError, match="within: found 'plate', accepted a column of obs: "):
        within_groups(obs, "plate")
    assert within_groups(obs, "pert_type").tolist()[2] == ""
