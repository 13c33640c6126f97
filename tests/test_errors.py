"""Errors as text."""

from __future__ import annotations

import pytest

from dgex.errors import DataError, FileError, SettingsError, printable


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2Jgone", "\u202eturned", "\x85", "\udcff", "\x9b31m", "\u2028"])
def test_names_from_files_cannot_break_a_line_or_steer_a_terminal(name: str) -> None:
    for error in (DataError(f"gene {name}"), FileError("gene", found=name, accepted=[name])):
        assert str(error).isprintable()


def test_a_number_that_python_does_not_write_out_is_told_in_words() -> None:
    assert str(SettingsError("epochs", found=16**5000)) == "epochs: found a number of thousands of digits"


def test_an_endless_name_keeps_both_ends_of_the_line() -> None:
    said = str(SettingsError(f"genes {'x' * 10**6} are unknown", accepted="others"))
    assert len(said) < 2000
    assert said.startswith("genes x")
    assert said.endswith("x are unknown; accepted: others")


def test_letters_of_all_languages_stay() -> None:
    assert printable("Größe µ 遺伝子 ± …") == "Größe µ 遺伝子 ± …"
