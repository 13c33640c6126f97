"""Settings files."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgex.cli.arguments import merge_settings
from dgex.errors import DgexError, FileError


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000 + "]" * 5000, "1979-13-01", '"\\ud800"'])
def test_values_that_python_cannot_read_are_no_toml(tmp_path: Path, value: str) -> None:
    file = tmp_path / "s.toml"
    file.write_text(f"alpha = {value}\n")
    with pytest.raises(FileError, match="no TOML file"):
        merge_settings(file, "ridge", {})


def test_a_value_named_after_the_method_is_no_table_of_settings(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("ridge = 0.5\n")
    with pytest.raises(DgexError, match="ridge does not take ridge"):
        merge_settings(file, "ridge", {})
