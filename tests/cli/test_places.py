"""Every command that writes, at every kind of place: what is not its own is never touched."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_cli import call

from dgex import io
from dgex.locks import alone


@dataclass(frozen=True)
class Command:
    """A command line that writes OUT from what lies in the folder IN."""

    words: str
    folder: bool = True  # what it writes
    inputs: tuple[str, ...] = ()  # that may lie in the output
    works_in: bool = False  # fills a folder bit by bit, and never replaces it
    own: str = ""  # another command that makes the output, where this one takes minutes

    def line(self, inputs: Path, out: Path, where: Path | None = None) -> list[str]:
        """`where`: the folder to take this command's inputs from."""
        words = self.words.replace("OUT", str(out)).split()
        return [word.replace("IN/", f"{where or inputs}/") for word in words]


COMMANDS = {
    "convert": Command("convert IN/panel.gctx OUT", folder=False, inputs=("panel.gctx",)),
    "convert-zarr": Command("convert IN/panel.gctx OUT", inputs=("panel.gctx",)),
    "simulate": Command("simulate OUT --samples 40 --landmarks 4 --targets 5", folder=False),
    "simulate-zarr": Command("simulate OUT --samples 40 --landmarks 4 --targets 5"),
    "prepare": Command("prepare IN/raw.h5ad OUT --genes IN/genes.tsv", folder=False, inputs=("raw.h5ad", "genes.tsv")),
    "prepare-zarr": Command("prepare IN/raw.h5ad OUT --genes IN/genes.tsv", inputs=("raw.h5ad", "genes.tsv")),
    "train": Command("train IN/data.h5ad OUT --method ridge", inputs=("data.h5ad",)),
    "train-network": Command("train IN/data.h5ad OUT --method dgex --hidden 4 --epochs 1", inputs=("data.h5ad",)),
    "train-grid": Command(
        "train IN/data.h5ad OUT --grid hidden=4 layers=1 --epochs 1", inputs=("data.h5ad",), works_in=True
    ),
    "convert-weights": Command("convert-weights IN/weights.tsv OUT", inputs=("weights.tsv",)),
    "evaluate": Command("evaluate IN/model IN/data.h5ad --out OUT", inputs=("model", "data.h5ad")),
    "infer": Command("infer IN/panel.gctx IN/model OUT", folder=False, inputs=("panel.gctx", "model")),
    "infer-zarr": Command("infer IN/panel.gctx IN/model OUT", inputs=("panel.gctx", "model")),
    "infer-parts": Command("infer IN/panel.gctx IN/model OUT", inputs=("panel.gctx", "model"), works_in=True),
    "interpret": Command("interpret IN/model IN/data.h5ad OUT --samples 4", inputs=("model", "data.h5ad")),
    "demo": Command("demo OUT --scale tiny", works_in=True, own="demo"),
    "reproduce": Command("reproduce OUT", works_in=True, own="reproduce"),
}
FOLDERS = [name for name, command in COMMANDS.items() if command.folder]
REPLACED = [name for name in FOLDERS if not COMMANDS[name].works_in]
FILES = [name for name, command in COMMANDS.items() if not command.folder]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the commands read."""
    folder = tmp_path_factory.mktemp("inputs")
    for line in (
        "simulate raw.h5ad --samples 80 --landmarks 6 --targets 8 --seed 1",
        "prepare raw.h5ad data.h5ad",
        "train data.h5ad model --method ridge",
    ):
        words = [str(folder / word) if "." in word or word == "model" else word for word in line.split()]
        assert call(*words) == 0
    with io.open(folder / "raw.h5ad") as raw:
        genes = raw.var.index[raw.var["role"] == "landmark"].tolist()
        io.write(raw.to_adata(genes=genes)[:5], folder / "panel.gctx")
        table = [f"{name}\t{role}" for name, role in raw.var["role"].items()]
    (folder / "genes.tsv").write_text("gene\trole\n" + "\n".join(table) + "\n")
    (folder / "weights.tsv").write_text("id\tOFFSET\tLM1\tLM2\nTG1\t1.0\t2.0\t0.5\nTG2\t0.0\t1.0\t1.0\n")
    return folder


@pytest.fixture(scope="module")
def made(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Outputs that the commands themselves made, each once."""
    done: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in done:
            out = place_of(tmp_path_factory.mktemp("made"), name)
            if COMMANDS[name].own == "demo":
                from dgex.tour import place

                place(out).begin({"scale": "laptop", "seed": 0})
            elif COMMANDS[name].own == "reproduce":
                from dgex.paper.folder import place

                place(out).begin({})
            else:
                assert call(*COMMANDS[name].line(inputs, out)) == 0
            done[name] = out
        return done[name]

    return make


def place_of(folder: Path, name: str) -> Path:
    """Where a command writes to, of the suffix that it needs."""
    command = COMMANDS[name]
    suffix = ".zarr" if name.endswith("zarr") else "" if command.folder else ".h5ad"
    return folder / f"out{suffix}"


def content(*folders: Path) -> dict[str, str]:
    """Every file, folder and link below some folders, with what is in it."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_symlink():
                found[str(path)] = f"-> {os.readlink(path)}"
            elif path.is_file():
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                found[str(path)] = "folder"
    return found


@pytest.fixture
def refused(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """Run a command that must say no in one line, and leave everything as it was."""

    def run(*line: object, flags: tuple[str, ...] = ("--overwrite",)) -> str:
        before = content(inputs, tmp_path)
        capsys.readouterr()
        code = call(*line, *flags)
        said = capsys.readouterr().err
        assert content(inputs, tmp_path) == before, said
        assert (code, said.count("\n")) == (1, 1), said
        return said

    return run


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_somebody_elses(name: str, inputs: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    out = place_of(tmp_path, name)
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert "notes.txt" in refused(*COMMANDS[name].line(inputs, out))


@pytest.mark.parametrize("name", FOLDERS)
def test_notes_in_a_folder_of_our_own(
    name: str, inputs: Path, tmp_path: Path, made: Callable[[str], Path], refused: Callable[..., str]
) -> None:
    out = place_of(tmp_path, name)
    shutil.copytree(made(name), out)
    (out / "deep" / "er").mkdir(parents=True)
    (out / "deep" / "er" / "notes.txt").write_text("mine")
    said = refused(*COMMANDS[name].line(inputs, out))
    assert "deep/er/notes.txt, which dgex did not write there" in said


@pytest.mark.parametrize("name", REPLACED)
def test_a_folder_of_our_own_is_replaced_and_nothing_is_left_beside_it(
    name: str, inputs: Path, tmp_path: Path, made: Callable[[str], Path]
) -> None:
    out = place_of(tmp_path, name)
    shutil.copytree(made(name), out)
    (tmp_path / "notes.txt").write_text("mine")
    before = content(inputs)
    assert call(*COMMANDS[name].line(inputs, out), "--overwrite") == 0
    assert content(inputs) == before
    assert sorted(os.listdir(tmp_path)) == ["notes.txt", out.name]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_there(name: str, inputs: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    out = place_of(tmp_path, name)
    out.write_text("mine")
    assert "exists already" in refused(*COMMANDS[name].line(inputs, out), flags=())
    assert call(*COMMANDS[name].line(inputs, out), "--overwrite") == 0  # just this is what the flag asks for
    assert os.listdir(tmp_path) == [out.name]
    assert out.read_bytes() != b"mine"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_where_a_folder_goes(name: str, inputs: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    out = place_of(tmp_path, name)
    out.write_text("mine")
    refused(*COMMANDS[name].line(inputs, out))


@pytest.mark.parametrize("name", FILES)
def test_a_folder_where_a_file_goes(name: str, inputs: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    out = place_of(tmp_path, name)
    out.mkdir()
    assert "is a folder and the output is a file" in refused(*COMMANDS[name].line(inputs, out))


@pytest.mark.parametrize("there", ["file", "folder", "empty folder", "nothing"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_link(name: str, there: str, inputs: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    out, goal = place_of(tmp_path, name), tmp_path / "goal"
    if there == "file":
        goal.write_text("mine")
    elif "folder" in there:
        goal.mkdir()
        if there == "folder":
            (goal / "notes.txt").write_text("mine")
    out.symlink_to(goal)
    assert "is a link to" in refused(*COMMANDS[name].line(inputs, out))


@pytest.mark.parametrize("filled", [True, False])
@pytest.mark.parametrize("name", [name for name in REPLACED if not name.endswith("zarr")])
def test_the_folder_that_one_stands_in(
    name: str, filled: bool, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    if filled:
        (here / "notes.txt").write_text("mine")
    monkeypatch.chdir(here)
    for out in (Path("."), here, tmp_path):
        refused(*COMMANDS[name].line(inputs, out))


@pytest.mark.parametrize("name", [name for name in FOLDERS if COMMANDS[name].works_in])
def test_work_in_the_folder_that_one_stands_in(
    name: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    refused(*COMMANDS[name].line(inputs, Path(".")))


@pytest.mark.parametrize("name", [name for name in FOLDERS if not name.endswith("zarr")])
def test_a_mount_point(name: str, inputs: Path, refused: Callable[..., str]) -> None:
    lines = Path("/proc/mounts").read_text().splitlines()
    mounts = (Path(line.split()[1]) for line in lines if not line.split()[1].startswith("/proc"))
    mount = next((path for path in mounts if path != Path("/") and path.is_dir() and os.path.ismount(path)), None)
    if mount is None:
        pytest.skip("no file system is mounted here but the root")
    before = sorted(os.listdir(mount))
    refused(*COMMANDS[name].line(inputs, mount))
    assert sorted(os.listdir(mount)) == before


@pytest.mark.parametrize(("name", "which"), [(name, which) for name in FOLDERS for which in COMMANDS[name].inputs])
@pytest.mark.parametrize("linked", [False, True])
def test_an_input_inside_the_output(
    name: str,
    which: str,
    linked: bool,
    inputs: Path,
    tmp_path: Path,
    made: Callable[[str], Path],
    refused: Callable[..., str],
) -> None:
    out = place_of(tmp_path, name)
    shutil.copytree(made(name), out)
    _copied(inputs, out, COMMANDS[name].inputs)
    where = out
    if linked:
        (tmp_path / "way").symlink_to(out)
        where = tmp_path / "way"
    line = [word.replace(f"{out}/{which}", f"{where}/{which}") for word in COMMANDS[name].line(inputs, out, out)]
    assert "lies in" in refused(*line)


@pytest.mark.parametrize("name", [name for name in COMMANDS if COMMANDS[name].inputs])
def test_an_input_itself(name: str, inputs: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    """Also by another name: a hard link is the same file."""
    _copied(inputs, tmp_path, COMMANDS[name].inputs)
    for which in COMMANDS[name].inputs:
        source = tmp_path / which
        refused(*COMMANDS[name].line(inputs, source, tmp_path))
        if source.is_file() and not COMMANDS[name].folder:
            out = place_of(tmp_path, name)
            os.link(source, out)
            assert "is the file to read" in refused(*COMMANDS[name].line(inputs, out, tmp_path))
            out.unlink()


@pytest.mark.parametrize("name", ["evaluate", "infer", "infer-zarr", "interpret"])
def test_an_output_inside_the_model_that_is_read(
    name: str, inputs: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    _copied(inputs, tmp_path, COMMANDS[name].inputs)
    assert "lies in" in refused(*COMMANDS[name].line(inputs, place_of(tmp_path / "model", name), tmp_path), flags=())


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", [name for name in COMMANDS if not name.endswith("zarr")])
def test_what_is_no_file(name: str, kind: str, inputs: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    out = Path("/dev/null") if kind == "device" else place_of(tmp_path, name)
    if kind == "pipe":
        os.mkfifo(out)
    refused(*COMMANDS[name].line(inputs, out))


def _copied(source: Path, target: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        else:
            shutil.copy2(source / name, target / name)


# ---- what lies beside an output while it is made


@pytest.mark.parametrize("name", COMMANDS)
def test_a_place_that_another_process_writes(
    name: str, inputs: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    out = place_of(tmp_path, name)
    with alone(out, "dgex something"):  # as another process has it: locks are of open files
        said = refused(*COMMANDS[name].line(inputs, out))
    assert f"is at work on {out} (process {os.getpid()} on " in said


def test_what_is_no_lock_in_the_place_of_one(inputs: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    out = place_of(tmp_path, "convert")
    lock = tmp_path / f".dgex-lock-{out.name}"
    os.mkfifo(lock)
    assert "is a named pipe" in refused(*COMMANDS["convert"].line(inputs, out))
    lock.unlink()
    (tmp_path / "notes.txt").write_text("mine")
    lock.symlink_to(tmp_path / "notes.txt")
    assert "cannot write" in refused(*COMMANDS["convert"].line(inputs, out))


@pytest.mark.parametrize("name", [name for name in COMMANDS if not COMMANDS[name].own])
def test_what_a_dead_process_left_is_removed(name: str, inputs: Path, tmp_path: Path) -> None:
    out = place_of(tmp_path, name)
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom dgex.locks import alone, beside\n"
        "out = Path(sys.argv[1])\nwith alone(out, 'dgex something'):\n    left = beside(out)\n    left.mkdir()\n"
        "    (left / 'half').write_text('x')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(out)], check=False)
    (tmp_path / ".dgex-partial-1.2-another").write_text("of another output")
    assert len(os.listdir(tmp_path)) == 3
    assert call(*COMMANDS[name].line(inputs, out)) == 0
    assert sorted(os.listdir(tmp_path)) == [".dgex-partial-1.2-another", out.name]


def test_notes_where_checkpoints_go(inputs: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "net.checkpoint").mkdir()
    (tmp_path / "net.checkpoint" / "notes.txt").write_text("mine")
    for flags in ((), ("--overwrite",), ("--resume",)):
        line = COMMANDS["train-network"].line(inputs, tmp_path / "net")
        assert "net.checkpoint holds notes.txt" in refused(*line, flags=flags)


def test_notes_where_finished_blocks_go(inputs: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "full.gctx.parts").mkdir()
    (tmp_path / "full.gctx.parts" / "notes.txt").write_text("mine")
    refused(*COMMANDS["infer"].line(inputs, tmp_path / "full.gctx"), flags=("--resume",))


def test_an_input_where_checkpoints_go(inputs: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "net.checkpoint").mkdir()
    _copied(inputs, tmp_path / "net.checkpoint", ("data.h5ad",))
    line = COMMANDS["train-network"].line(inputs, tmp_path / "net", tmp_path / "net.checkpoint")
    assert "lies in" in refused(*line)


@pytest.mark.parametrize("victim", ["../victim", "VICTIM", "..", ".", "a/../../victim", ".hidden", "", "x" * 300, None])
def test_a_grid_that_names_what_is_not_its_own(
    victim: str | None, inputs: Path, tmp_path: Path, made: Callable[[str], Path], refused: Callable[..., str]
) -> None:
    import json

    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "model.json").write_text("mine")
    shutil.copytree(made("train-grid"), tmp_path / "out")
    told = json.loads((tmp_path / "out" / "grid.json").read_text())
    told["members"][0]["name"] = str(tmp_path / "victim") if victim == "VICTIM" else victim
    (tmp_path / "out" / "grid.json").write_text(json.dumps(told))
    for flags in (("--overwrite",), ("--resume",)):
        refused(*COMMANDS["train-grid"].line(inputs, tmp_path / "out"), flags=flags)
