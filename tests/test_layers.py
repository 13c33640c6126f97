"""The rooms of docs/architecture.md: imports point up the list, and nothing imports the command line."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "dgex"
ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"
FREE = {"__init__", "__main__", "_version"}


def listed_rooms() -> list[str]:
    block = ARCHITECTURE.read_text("utf-8").split("```")[1]
    return re.findall(r"^  (\w+)(?:\.py|/)", block, flags=re.MULTILINE)


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "dgex":
                found |= {alias.name for alias in node.names}
            elif node.module.startswith("dgex."):
                found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("dgex.")}
    return found - FREE


def test_the_list_names_every_room_and_no_other() -> None:
    rooms = {room_of(path) for path in SOURCE.rglob("*.py")} - FREE
    assert set(listed_rooms()) == rooms


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_up_the_list(path: Path) -> None:
    room = room_of(path)
    if room in FREE:
        return
    order = listed_rooms()
    below = {name for name in imported_rooms(path) - {room} if order.index(name) > order.index(room)}
    assert not below, f"{path.name} of {room} imports {below}, which stand below it"


@pytest.mark.parametrize("arguments", [["-c", "import dgex"], ["-m", "dgex", "--help"]])
def test_the_package_and_its_help_stay_light(arguments: list[str]) -> None:
    finished = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    )
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in finished.stderr.splitlines() if "|" in line}
    assert "dgex" in loaded
    assert not loaded & {"torch", "matplotlib", "pandas", "anndata", "sklearn", "scipy"}


def test_every_public_name_can_be_had() -> None:
    import dgex

    assert all(callable(getattr(dgex, name)) or name == "__version__" for name in dgex.__all__)
