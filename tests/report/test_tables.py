from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dgex.report.tables import cell, html_table, text_table


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (1234567, "", "1,234,567"),
        (np.int64(5), "", "5"),
        (-0.12345, ".2%", "−12.35%"),
        (0.5, "", "0.5"),
        (np.nan, ".2f", "–"),
        (None, "", "–"),
        ("a-b", ".2f", "a-b"),
        (True, "", "True"),
        (np.float32(2), ".1f", "2.0"),
    ],
)  # fmt: skip
def test_cell(value, spec, text):
    assert cell(value, spec) == text


def test_columns_line_up():
    frame = pd.DataFrame({"name": ["a", "longer"], "value": [1.0, 123.25], "count": [1, 10_000]})
    lines = text_table(frame, {"value": "Error"}, {"value": ".2f"}).splitlines()
    assert len({len(lines[0]), len(lines[2]), len(lines[3]), len(lines[1])}) == 1
    assert lines[0].index("Error") + len("Error") == lines[3].index("123.25") + len("123.25")
    assert lines[2].startswith("a ")
    assert "10,000" in lines[3]


def test_an_empty_frame_keeps_its_header():
    assert text_table(pd.DataFrame({"a": [], "b": []})).splitlines()[0].split() == ["a", "b"]


def test_tables_of_a_notebook_hold_names_as_text():
    frame = pd.DataFrame({"<b>": ["a & b"], "value": [0.5]})
    text = html_table(frame, formats={"value": ".2f"})
    assert ">&lt;b&gt;</th>" in text
    assert ">a &amp; b</th><td>0.50</td>" in text
