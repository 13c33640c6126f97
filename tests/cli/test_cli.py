"""The command as a user meets it: what it prints, its exit codes, and one line for every mistake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import typer

from dgex import io
from dgex.cli import app as app_module
from dgex.cli.app import run
from dgex.fitting.train import train
from dgex.inference.infer import infer


def dgex(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dgex", *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False
    )


# The command tree is the same at every call; building it takes most of the time of a refusal.
TREE = cache(typer.main.get_command)


def call(*arguments: object) -> int:
    """Run a command in this process and return its exit code: quick, and enough for what fails early."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["dgex", "--quiet", *map(str, arguments)])
        patch.setattr(typer.main, "get_command", TREE)
        try:
            run()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


def dgex_model(dataset: ad.AnnData, folder: Path) -> Any:
    """A quick model in a folder."""
    model = train(dataset, "ridge", alpha=10.0)
    model.save(folder)
    return model


def fails(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 1) -> str:
    """Run a command that must fail with one line on stderr and nothing on stdout."""
    capsys.readouterr()
    assert call(*arguments) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    if code == 1:
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1, said.err
    return said.err


def wait_for_epochs(running: subprocess.Popen[str] | subprocess.Popen[bytes], history: Path, least: int) -> None:
    """Wait until a training has finished some epochs."""
    deadline = time.monotonic() + 60
    while not (history.exists() and history.read_text().count("\n") >= least) and time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):  # leaves the processor to the process, unlike a busy loop
            running.wait(0.02)
            return


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert dgex("--version").stdout.startswith("dgex ")
    for command in (
        "info",
        "convert",
        "simulate",
        "download",
        "prepare",
        "train",
        "convert-weights",
        "evaluate",
        "infer",
        "adapt",
        "interpret",
        "demo",
        "reproduce",
    ):
        assert call(command, "--help") == 0
        assert "Example" in capsys.readouterr().out, f"{command} --help shows no example"


def test_from_raw_matrix_to_inferred_transcriptome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = [
        ("simulate", "raw.gctx", "--samples", 200, "--landmarks", 12, "--targets", 20, "--seed", 3),
        ("convert", "raw.gctx", "raw.h5ad"),
        ("prepare", "raw.h5ad", "data.h5ad", "--quantile", "--split", ".7,.15,.15", "--group", "study"),
        ("train", "data.h5ad", "models/ridge", "--method", "ridge"),
        ("train", "data.h5ad", "models/dgex", "--hidden", "16", "--epochs", 3),
        ("evaluate", "data.h5ad", "models/ridge", "models/dgex", "--out", "eval", "--split", "test,validation"),
        ("evaluate", "models/ridge", "data.h5ad", "--out", "few", "--cards", "TG00003"),
        ("infer", "models/dgex", "raw.gctx", "full.parquet", "--block", 64, "--report", "worth"),
        ("infer", "raw.gctx", "models/ridge", "again.h5ad", "--scale", "log2", "--measured", "infer", "--log2", "auto"),
        ("prepare", "raw.h5ad", "panel.h5ad", "--landmarks", "panel.txt", "--collapse", "median"),
    ]
    (tmp_path / "panel.txt").write_text("LM0001\nLM0002\n")
    for step in steps:
        assert call(*step) == 0, (step, capsys.readouterr().err)
    assert "ridge" in (tmp_path / "eval" / "overall.csv").read_text()
    assert io.read(tmp_path / "full.parquet").shape == (200, 32)
    assert "Find genes" in (tmp_path / "worth" / "report.html").read_text("utf-8")
    report = (tmp_path / "eval" / "report.html").read_text("utf-8")
    assert "<html" in report
    assert not list(tmp_path.rglob(".partial*"))
    capsys.readouterr()
    assert call("info", "data.h5ad", "--json") == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["samples"], info["genes"]) == (200, 32)
    assert call("info", "models/ridge") == 0
    assert "ridge" in capsys.readouterr().out
    found = dgex("info", "raw.gctx", "--model", "models/ridge", cwd=tmp_path)
    assert "12 of 12" in found.stdout


def test_a_network_tells_what_it_has_learned_and_neighbours_cannot(
    dataset_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = dataset_file.parent
    assert call("train", dataset_file, folder / "net", "--hidden", 20, "--epochs", 2, "--device", "cpu") == 0
    assert call("train", dataset_file, folder / "near", "--method", "knn-ge", "--n-neighbors", 2) == 0
    gene = json.loads((folder / "net" / "model.json").read_text())["genes"]["names"][-1]
    capsys.readouterr()
    options = ("--genes", gene, "--samples", 9, "--top", 3, "--device", "cpu", "--best", "validation")
    assert call("interpret", folder / "net", dataset_file, folder / "out", *options) == 0
    said = capsys.readouterr().out
    assert "Genes whose adjusted R² rises" in said
    assert said.endswith(f"report: {folder / 'out' / 'report.html'}\n")
    rows = (folder / "out" / "attributions.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["gene", gene, gene, gene]
    assert "no weights to interpret" in fails(capsys, "interpret", folder / "near", dataset_file, folder / "x")
    assert "exists already" in fails(capsys, "interpret", folder / "net", dataset_file, folder / "out")
    assert "accepted validation" in fails(
        capsys, "interpret", folder / "net", dataset_file, folder / "x", "--best", "GTEx"
    )
    assert not (folder / "x").exists()


def test_info_tells_what_was_done(compendium: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import dgex

    dgex.prepare(compendium.copy(), tmp_path / "q.h5ad", quantile=True)
    capsys.readouterr()
    assert call("info", tmp_path / "q.h5ad") == 0
    said = capsys.readouterr().out
    assert "float32 values, 50" in said
    assert "inductive" in said


def test_json_goes_to_stdout_alone(dataset_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("train", dataset_file, dataset_file.parent / "m", "--method", "ols") == 0
    capsys.readouterr()
    assert call("evaluate", dataset_file, dataset_file.parent / "m", "--json") == 0
    assert {row["model"] for row in json.loads(capsys.readouterr().out)["overall"]} >= {"m"}


def test_differences_within_groups_are_printed(
    dataset_file: Path, dataset: ad.AnnData, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = dataset_file.parent
    dgex_model(dataset, folder / "m")
    plated = dataset.copy()
    plated.obs["plate"] = [f"p{i % 2}" for i in range(len(plated))]
    plated.obs["kind"] = ["ctl" if i % 5 < 2 else "trt" for i in range(len(plated))]
    io.write(plated, folder / "plated.h5ad")
    words = "evaluate", folder / "m", folder / "plated.h5ad", "--within", "plate", "--control"
    assert call(*words, 'kind == "ctl"', "--out", folder / "ev") == 0
    assert "test: differences within plate" in capsys.readouterr().out
    assert (folder / "ev" / "profiles.csv").exists()
    assert "holds what it may not" in fails(capsys, *words, "kind.str.len()", "--out", folder / "no")
    assert not (folder / "no").exists()


def test_settings_come_from_file_then_flags(dataset_file: Path) -> None:
    folder = dataset_file.parent
    (folder / "c.toml").write_text("epochs = 2\nhidden = [4]\n[dgex]\nbatch-size = 50\nseed = 7\n")
    assert call("train", dataset_file, folder / "m", "--config", folder / "c.toml", "--seed", 9) == 0
    settings = json.loads((folder / "m" / "model.json").read_text())["settings"]
    assert {k: settings[k] for k in ("epochs", "hidden", "batch_size", "seed")} == {
        "epochs": 2,
        "hidden": [4],
        "batch_size": 50,
        "seed": 9,
    }


def test_mistakes_become_one_line(dataset_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = dataset_file.parent
    (folder / "text.gctx").write_text("not hdf5")
    (folder / "bad.toml").write_text("epochs = = 2")
    (folder / "odd.toml").write_text("colour = 2")
    (folder / "clash.toml").write_text('method = "ridge"')
    (folder / "type.toml").write_text('epochs = "5"')
    for arguments, words in [
        (("info", folder / "none.h5ad"), "does not exist"),
        (("info", folder / "text.gctx"), "no GCTX"),
        (("convert", dataset_file, folder / "x.docx"), "accepted"),
        (("convert", dataset_file, dataset_file), "is the file to read"),
        (("train", dataset_file, dataset_file), "is the file to read"),
        (("train", dataset_file, folder / "odd.toml"), "exists and is not a model folder"),
        (("train", folder / "none.h5ad", folder / "m"), "does not exist"),
        (("train", dataset_file, folder / "m", "--method", "ridge", "--hidden", "3"), "ridge does not take hidden"),
        (("train", dataset_file, folder / "m", "--config", folder / "bad.toml"), "no TOML"),
        (("train", dataset_file, folder / "m", "--config", folder / "odd.toml"), "does not take colour"),
        (("train", dataset_file, folder / "m", "--config", folder / "clash.toml"), "does not take method"),
        (("train", dataset_file, folder / "m", "--config", folder / "type.toml"), "accepted a whole number"),
        (("train", dataset_file, folder / "odd.toml", "--overwrite"), "not a model folder"),
        (("train", dataset_file, folder / "m", "--method", "ols", "--alpha", "1"), "accepted: no settings"),
        (("train", dataset_file, folder / "m", "--learning-rate", "1e9", "--hidden", "8"), "diverged"),
        (("train", dataset_file, folder / "m", "--precision", "half"), "precision: found 'half'"),
        (("train", dataset_file, folder / "m", "--validation", "mars"), "no set named mars"),
        (("evaluate", dataset_file, folder / "none"), "none does not exist"),
        (("infer", folder / "none", dataset_file, folder / "full.gctx"), "none does not exist"),
        (("simulate", folder / "s.h5ad", "--samples", "0"), "samples"),
        (("prepare", folder / "none.gctx", folder / "d.h5ad"), "does not exist"),
        (("demo", folder), "is not a demonstration"),
    ]:
        assert words in fails(capsys, *arguments), arguments
    assert sorted(p.name for p in folder.iterdir()) == [
        "bad.toml",
        "clash.toml",
        "data.h5ad",
        "odd.toml",
        "text.gctx",
        "type.toml",
    ]


def test_wrong_usage_exits_with_2(dataset_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "No such command" in fails(capsys, "guess", code=2)
    assert "lasagna" in fails(capsys, "train", dataset_file, "m", "--method", "lasagna", code=2)
    assert "three fractions" in fails(capsys, "prepare", dataset_file, "o.h5ad", "--split", ".8,.2", code=2)
    assert "whole numbers" in fails(capsys, "train", dataset_file, "m", "--hidden", "many", code=2)
    assert "one or more inputs" in fails(capsys, "infer", dataset_file, "m", code=2)


def test_files_of_one_sample_are_inferred_together_and_under_older_names(
    dataset: ad.AnnData, compendium: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = dgex_model(dataset, tmp_path / "m")
    linear = np.exp2(np.asarray(compendium[:4, model.landmarks_].X, np.float64))
    names = ["OLDNAME", *model.landmarks_[1:]]
    for sample, values in zip("abcd", linear):
        lines = [f"{name}\t900\t800\t{float(value)!r}\t7" for name, value in zip(names, values)]
        text = "\n".join(["Name\tLength\tEffectiveLength\tTPM\tNumReads", *lines]) + "\n"
        (tmp_path / f"{sample}.sf").write_text(text)
    (tmp_path / "names.tsv").write_text(f"OLDNAME\t{model.landmarks_[0]}\n")
    files = [tmp_path / f"{sample}.sf" for sample in "abcd"]
    assert call("infer", *files, *(tmp_path / "m", tmp_path / "full.h5ad", "--aliases", tmp_path / "names.tsv")) == 0
    found = ad.read_h5ad(tmp_path / "full.h5ad")
    assert found.obs_names.tolist() == list("abcd")
    panel = ad.AnnData(np.log2(linear + 1).astype(np.float32), var=compendium[:, model.landmarks_].var[[]])
    np.testing.assert_allclose(np.asarray(found.X), np.asarray(infer(panel, model).X), rtol=1e-4, atol=1e-4)
    capsys.readouterr()
    table = tmp_path / "names.tsv"
    again = ("infer", *files, tmp_path / "m", table, "--aliases", table, "--overwrite")
    assert "is the file to read" in fails(capsys, *again)
    assert "--aliases TABLE" in fails(capsys, "infer", *files, tmp_path / "m", tmp_path / "x.h5ad")


def test_the_pair_of_gene_tables_after_one_option(compendium: ad.AnnData, tmp_path: Path) -> None:
    bare = compendium.copy()
    bare.var_names = [f"{i}_at" for i in range(50)]
    bare.var = bare.var[[]]
    io.write(bare, tmp_path / "probes.gctx")
    for name, rows in (("map_lm.txt", range(20)), ("map_tg.txt", range(20, 50))):
        lines = [f"G{i}A\tENSG{i:011d}\t{i}_at" for i in rows]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    done = dgex("prepare", "--genes", "map_lm.txt", "map_tg.txt", "probes.gctx", "d.h5ad", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    data = io.read(tmp_path / "d.h5ad")
    assert data.var["role"].value_counts().to_dict() == {"target": 30, "landmark": 20}
    assert set(data.var_names[:2]) == {"G0A", "G1A"}


def test_a_killed_training_goes_on(dataset_file: Path) -> None:
    pytest.importorskip("torch")
    folder = dataset_file.parent
    settings = ["--hidden", "64", "--epochs", "3000", "--batch-size", "20"]
    running = subprocess.Popen(
        [sys.executable, "-m", "dgex", "train", str(dataset_file), str(folder / "m"), *settings],
        stderr=subprocess.DEVNULL,
    )
    history = folder / "m.checkpoint" / "history.jsonl"
    wait_for_epochs(running, history, 3)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (folder / "m").exists()
    finished = history.read_text().count("\n")
    assert finished >= 3
    settings[3] = str(finished + 2)
    assert call("train", dataset_file, folder / "m", *settings, "--resume") == 0
    epochs = [json.loads(line)["epoch"] for line in (folder / "m" / "history.jsonl").read_text().splitlines()]
    assert epochs == list(range(1, finished + 3))


def test_ctrl_c_keeps_the_best_so_far(dataset_file: Path) -> None:
    pytest.importorskip("torch")
    folder = dataset_file.parent
    settings = ["--hidden", "64", "--epochs", "5000", "--batch-size", "20"]
    running = subprocess.Popen(
        [sys.executable, "-m", "dgex", "train", str(dataset_file), str(folder / "m"), *settings],
        stderr=subprocess.PIPE,
        text=True,
    )
    history = folder / "m.checkpoint" / "history.jsonl"
    wait_for_epochs(running, history, 2)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert "interrupted" in said
    assert "Traceback" not in said
    model = json.loads((folder / "m" / "model.json").read_text())
    assert model["state"]["stopped"] == "interrupted"


@pytest.mark.parametrize(
    "words",
    [
        ("--grid", "hidden=4,6", "layers=1,2", "DATA", "OUT"),
        ("DATA", "OUT", "--grid", "hidden=4,6", "layers=1,2"),
        ("DATA", "--grid", "hidden=4,6", "OUT", "--grid", "layers=1,2", "--jobs", 2),
        ("DATA", "OUT", "--grid=hidden=4,6", "--epochs", 2, "--grid", "layers=1,2"),
    ],
)
def test_a_grid_in_every_form(
    words: tuple[object, ...], dataset_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = dataset_file.parent / "a=b"
    command = [{"DATA": dataset_file, "OUT": out}.get(str(word), word) for word in words]
    assert call("train", *command, "--epochs", 2, "--dropout", 0) == 0
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()] == ["network", "4x1", "4x2", "6x1", "6x2"]
    assert said.count("*") == 1
    assert {p.name for p in out.glob("[!.]*")} == {"4x1", "4x2", "6x1", "6x2", "grid.json", "grid.tsv"}
    assert json.loads((out / "6x2" / "model.json").read_text())["settings"]["hidden"] == [6, 6]


def test_a_grid_of_residual_networks(dataset_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = dataset_file.parent / "grid"
    axes = ("--grid", "hidden=4,6", "layers=2", "units=silu,tanh", "norm=true,false")
    grid = ("train", dataset_file, out, "--method", "residual", *axes, "--epochs", 1)
    assert call(*grid) == 0
    said = capsys.readouterr().out
    assert said.count("*") == 1
    assert len(list(out.glob("*/model.json"))) == 8
    assert json.loads((out / "4x2-normfalse-units-tanh" / "model.json").read_text())["settings"]["norm"] is False
    assert call(*grid, "--resume") == 0
    assert capsys.readouterr().out == said


def test_a_grid_goes_on_and_refuses_others(dataset_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, small = dataset_file.parent / "grid", ("--epochs", 1, "--hidden", 4)
    grid = ("train", dataset_file, out, *small, "--grid", "partition=random,cluster", "dropout=0,.5")
    assert call(*grid, "--target-parts", 2) == 0
    first = capsys.readouterr().out
    assert "dropout0.5-partition-cluster" in first
    assert call(*grid, "--target-parts", 2, "--resume") == 0
    assert capsys.readouterr().out == first
    assert "holds a grid" in fails(capsys, *grid, "--target-parts", 2)
    assert "target_parts: there 2, now 1" in fails(capsys, *grid, "--resume")
    evaluated = call("evaluate", dataset_file, *sorted(p for p in out.iterdir() if p.is_dir()))
    assert evaluated == 0


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (("--grid", "hidden"), "accepted NAME=VALUE,VALUE", 2),
        (("--grid", "hidden="), "accepted NAME=VALUE,VALUE", 2),
        (("--grid", "hidden=4,x"), "found 'x' in 'hidden=4,x', accepted numbers", 2),
        (("--grid", "hidden=4", "hidden=5"), "the axis hidden twice", 2),
        (("--jobs", 2), "is for a --grid", 2),
        (("--grid", "hidden=4", "--method", "ridge"), "is for networks, found ridge", 2),
        (("--grid", "hidden=4.5"), "axis hidden: found 4.5", 1),
        (("--grid", "learning_rate=much"), "learning_rate: found 'much', accepted a number", 1),
        (("--grid", "units=relu", "--method", "residual"), "units: found 'relu', accepted silu, tanh, adaptive", 1),
        (("--grid", "layers=4", "--method", "residual"), "the axis layers needs a width", 1),
        (("--grid", "colour=1"), "a grid has no axis 'colour'", 1),
        (("--grid", "hidden=4", "--hidden", 5), "an axis of the grid and a setting", 1),
        (("--grid", "partition=halves"), "partition: found 'halves', accepted 'random' or 'cluster'", 1),
        (("--target-parts", 99, "--hidden", 4), "target_parts: found 99, accepted 1 to 30", 1),
    ],
)
def test_grids_that_cannot_be(
    words: tuple[object, ...], message: str, code: int, dataset_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = " ".join(fails(capsys, "train", dataset_file, dataset_file.parent / "g", *words, code=code).split())
    assert message in said.replace("│ ", "").replace(" │", "")
    assert not (dataset_file.parent / "g").exists()


def test_a_full_disk_leaves_nothing(dataset_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from dgex.errors import FileError
    from dgex.fitting.train import train
    from dgex.models import folder as model_folder

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(model_folder, "save_file", full)
    with pytest.raises(FileError, match="the disk is full"):
        train(dataset_file, "ols", dataset_file.parent / "m")
    assert [p.name for p in dataset_file.parent.iterdir()] == ["data.h5ad"]


def test_stdout_holds_results_only(tmp_path: Path) -> None:
    done = dgex("simulate", tmp_path / "s.h5ad", "--samples", 30, "--landmarks", 4, "--targets", 3)
    assert done.stdout == f"{tmp_path / 's.h5ad'}\n"
    assert np.isfinite(np.asarray(io.read(tmp_path / "s.h5ad").X)).all()


def test_reproduce_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = tmp_path / "raw.h5ad"
    assert call("simulate", raw, "--samples", "120", "--landmarks", "6", "--targets", "5") == 0
    small = ["--hidden", "4", "--layers", "1", "--dropout", "0,.1", "--epochs", "1", "--methods", "ols,ridge"]
    assert call("reproduce", tmp_path / "study", "--data", raw, *small, "--no-halves") == 0
    shown = capsys.readouterr().out
    assert "raw: selected on raw-va, tested on raw-te" in shown
    assert shown.rstrip().endswith("report.html")
    assert call("reproduce", tmp_path / "study", "--data", raw, *small) == 1  # halves: another study
    assert "holds a study with other settings" in capsys.readouterr().err
    assert call("reproduce", tmp_path / "new", "--platform", "GTEx") == 2
    assert call("reproduce", tmp_path / "new", "--dropout", "much") == 2
    assert call("reproduce", tmp_path / "new", "--data", "gse92743") == 1
    assert "dgex download gse92743 DIR brings them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("resume=True goes on", "resume=True (--resume) goes on"),
        ("hidden=(300, 300), batch_size=20", "hidden=(300, 300) (--hidden 300,300), batch_size=20 (--batch-size 20)"),
        ("device='cpu' or depth=3", "device='cpu' (--device cpu) or depth=3"),
        ("resume=True (--resume)", "resume=True (--resume)"),
    ],
)
def test_flags_stand_beside_the_arguments_of_python(said: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "_called", ["train"])
    assert app_module.with_flags(said) == shown


def test_format_and_layer_are_told_on_the_command_line(
    compendium: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = compendium[:5].copy()
    data.layers["other"] = data.X + 1
    data.write_h5ad(tmp_path / "data.bin")
    source = str(tmp_path / "data.bin")
    assert call("info", source) == 1
    assert "--format" in capsys.readouterr().err
    assert call("info", source, "--format", "h5ad") == 0
    assert "layers" in capsys.readouterr().out
    target = tmp_path / "out.h5ad"
    assert call("convert", source, str(target), "--format", "h5ad", "--layer", "other") == 0
    np.testing.assert_allclose(ad.read_h5ad(target).X, data.layers["other"], rtol=1e-6)


def test_a_model_is_adapted_to_another_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    simulated = ("--landmarks", 12, "--targets", 20, "--seed", 3)
    for step in (
        ("simulate", "raw.h5ad", "--samples", 120, *simulated),
        ("prepare", "raw.h5ad", "data.h5ad"),
        ("train", "data.h5ad", "old", "--method", "ridge"),
        ("simulate", "more.h5ad", "--samples", 130, *simulated),
    ):
        assert call(*step) == 0, (step, capsys.readouterr().err)
    other = io.read(tmp_path / "more.h5ad")[100:].copy()
    other.X = np.asarray(other.X) * 0.6 + 2.0
    other.obs["place"] = [f"place {at % 5}" for at in range(30)]
    other.write_h5ad(tmp_path / "other.h5ad")
    capsys.readouterr()
    assert call("adapt", "old", "other.h5ad", "new", "--group", "place", "--scale", "log2") == 0
    said = capsys.readouterr()
    assert "new profiles alone" in said.out
    assert "more profiles would bring about" in said.out
    assert said.out.endswith("new\n")
    assert call("infer", "other.h5ad", "new", "full.h5ad", "--scale", "log2", "--measured", "infer") == 0
    assert call("evaluate", "new", "old", "data.h5ad") == 0
    assert call("info", "new") == 0
    assert "adapted" in capsys.readouterr().out
    assert "more profiles would bring about" in (tmp_path / "new" / "README.md").read_text("utf-8")
    assert "--overwrite" in fails(capsys, "adapt", "old", "other.h5ad", "new")
    assert "found 'plate', accepted" in fails(capsys, "adapt", "old", "other.h5ad", "newer", "--group", "plate")
    assert not (tmp_path / "newer").exists()
