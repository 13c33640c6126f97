"""The rooms of docs/architecture.md, sub-rooms included: imports point up the list, and in no circle."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "dgex"
ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"
FREE = {"__init__", "__main__", "_version"}
MODULES = {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in sorted(SOURCE.rglob("*.py"))}


def listed_rooms() -> list[str]:
    """Rooms from top to bottom; those inside a room are written with its name before a dot."""
    block = ARCHITECTURE.read_text("utf-8").split("```")[1]
    rooms: list[str] = []
    for indent, name in re.findall(r"^(  |    )(\w+)(?:\.py|/)", block, flags=re.MULTILINE):
        outer = next((room for room in reversed(rooms) if "." not in room), "")
        rooms.append(name if indent == "  " else f"{outer}.{name}")
    return rooms


def room_of(module: str) -> str:
    """The innermost listed room that holds a module."""
    parts = module.split(".")
    inner = ".".join(parts[:2])
    return inner if len(parts) > 1 and inner in listed_rooms() else parts[0]


def runs(tree: ast.AST) -> Iterator[ast.AST]:
    """All of a file but what is there for the type checker alone."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield node
            yield from runs(node)


def imported(path: Path) -> set[str]:
    """The modules of this package that a file imports when it runs, wherever in it."""
    found = set()
    for node in runs(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dgex":
            base = (node.module or "").removeprefix("dgex").removeprefix(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".removeprefix(".")
                found.add(inner if inner in MODULES or f"{inner}.__init__" in MODULES else base)
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("dgex.") for alias in node.names if alias.name.startswith("dgex.")}
    return {name for name in found if name and name not in FREE}


def test_the_list_names_every_room_and_no_other() -> None:
    listed = listed_rooms()
    assert {room.split(".")[0] for room in listed} == {module.split(".")[0] for module in MODULES} - FREE
    inner = {".".join(module.split(".")[:2]) for module in MODULES if module.count(".") > 1}
    assert {room for room in listed if "." in room and (SOURCE / room.replace(".", "/")).is_dir()} == inner


@pytest.mark.parametrize("module", [name for name in MODULES if name.split(".")[0] not in FREE])
def test_imports_point_up_the_list(module: str) -> None:
    order, room = listed_rooms(), room_of(module)
    below = {
        name
        for name in imported(MODULES[module])
        if room_of(name) != room
        and order.index(room_of(name)) > order.index(room)
        and not room.startswith(f"{room_of(name)}.")
    }
    assert not below, f"{module} imports {below}, which stand below it"


def test_no_module_imports_itself_by_way_of_others() -> None:
    left = {name: {other for other in imported(path) if other in MODULES} for name, path in MODULES.items()}
    left = {name: others for name, others in left.items() if name.split(".")[0] not in FREE}
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert not left, f"in circles, or below them: {sorted(left)}"


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


def test_a_linear_model_needs_neither_torch_nor_scikit_learn(dataset_file: Path) -> None:
    folder = dataset_file.parent
    for words in (["train", dataset_file, folder / "m", "--method", "ridge"], ["info", folder / "m"]):
        command = [sys.executable, "-X", "importtime", "-m", "dgex", *map(str, words)]
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
        loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in finished.stderr.splitlines() if "|" in line}
        assert "pandas" in loaded
        assert not loaded & {"torch", "sklearn", "matplotlib"}


def test_a_file_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    for words in (["train", "no.h5ad", "m"], ["infer", "no.h5ad", "m", "out.h5ad"], ["evaluate", "m", "no.h5ad"]):
        command = [sys.executable, "-X", "importtime", "-m", "dgex", *words]
        finished = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert finished.returncode == 1
        assert "does not exist" in finished.stderr
        loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in finished.stderr.splitlines() if "|" in line}
        assert not loaded & {"torch", "pandas", "anndata"}
