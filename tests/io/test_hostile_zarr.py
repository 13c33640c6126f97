"""Zarr folders made to do harm: each is refused in one line, before zarr opens an array of it."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import zarr
from hostile import SECRET, listening, refused_or_harmless

import dgex

NEW = int(zarr.__version__.split(".")[0]) >= 3
FORMATS = [2, 3] if NEW else [2]


class Runs:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A store that is as it should be, in each format."""
    folder = tmp_path_factory.mktemp("sound")
    data = dgex.simulate(samples=10, landmarks=5, targets=10)
    dgex.write(data, folder / "2.zarr")
    if NEW:
        with anndata.settings.override(zarr_write_format=3):
            data.write_zarr(folder / "3.zarr")
    return {version: folder / f"{version}.zarr" for version in FORMATS}


@pytest.fixture
def path(stores: dict[int, Path], tmp_path: Path) -> Path:
    return shutil.copytree(stores[2], tmp_path / "hostile.zarr")


@pytest.fixture
def path_3(stores: dict[int, Path], tmp_path: Path) -> Path:
    return shutil.copytree(stores[3], tmp_path / "hostile.zarr")


def change(path: Path, **said: Any) -> None:
    """Change the description of one array, and what a store repeats of it."""
    described = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(described | said))


def forget_repeats(path: Path) -> None:
    (path / ".zmetadata").unlink(missing_ok=True)
    if (path / "zarr.json").exists():
        described = json.loads((path / "zarr.json").read_text("utf-8"))
        described.pop("consolidated_metadata", None)
        (path / "zarr.json").write_text(json.dumps(described))


OF_2: list[tuple[dict[str, Any], str]] = [
    ({"compressor": {"id": "pickle"}}, "codec pickle"),
    ({"filters": [{"id": "pickle"}]}, "codec pickle"),
    ({"filters": [{"id": "delta", "dtype": "<f4"}, {"id": "pickle", "protocol": 5}]}, "codec pickle"),
    ({"compressor": {"id": "msgpack2"}}, "codec msgpack2"),
    ({"compressor": {"id": "json2"}}, "codec json2"),
    ({"compressor": {"id": "categorize", "codec": {"id": "pickle"}}}, "codec categorize, pickle"),
    ({"compressor": {"id": "imagecodecs_jpeg"}}, "codec imagecodecs_jpeg"),
    ({"compressor": {"id": ["pickle"]}}, "where a codec belongs"),
    ({"compressor": 5}, "where a codec belongs"),
    ({"filters": "pickle"}, "codec pickle"),
    ({"dtype": "|O", "filters": None}, "Python objects"),
    ({"dtype": [["a", "|O"]], "filters": None}, "Python objects"),
    ({"dtype": "|O", "filters": [{"id": "vlen-bytes"}]}, "codec vlen-bytes"),
    ({"shape": [10**12, 15]}, "DGEX_MAX_MEMORY="),
    ({"chunks": [10**6, 10**6]}, "DGEX_MAX_MEMORY="),
    ({"shape": "many"}, "where a shape belongs"),
    ({"shape": [-1, 15]}, "where a shape belongs"),
    ({"dtype": "<U100000000"}, "DGEX_MAX_MEMORY="),
]


@pytest.mark.parametrize(("said", "words"), OF_2)
@pytest.mark.parametrize("name", ["X", "obs/_index"])
def test_an_array_of_format_2(said: dict[str, Any], words: str, name: str, path: Path) -> None:
    change(path / name / ".zarray", **said)
    forget_repeats(path)
    assert words in refused_or_harmless(path)


def test_an_array_that_is_repeated(path: Path) -> None:
    described = json.loads((path / ".zmetadata").read_text("utf-8"))
    described["metadata"]["X/.zarray"]["compressor"] = {"id": "pickle"}
    (path / ".zmetadata").write_text(json.dumps(described))
    assert "codec pickle" in refused_or_harmless(path)


def test_no_code_runs(path: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    change(path / "X" / ".zarray", compressor={"id": "pickle"})
    (path / "X" / "0.0").write_bytes(pickle.dumps(Runs(ran)))
    forget_repeats(path)
    assert "codec pickle" in refused_or_harmless(path)
    assert not ran.exists()


OF_3: list[tuple[dict[str, Any], str]] = [
    ({"codecs": [{"name": "numcodecs.pickle"}]}, "codec numcodecs.pickle"),
    ({"codecs": [{"name": "bytes"}, {"name": "pickle"}]}, "codec pickle"),
    ({"codecs": ["bytes", "numcodecs.pickle"]}, "codec numcodecs.pickle"),
    (
        {"codecs": [{"name": "sharding_indexed", "configuration": {"chunk_shape": [1, 1], "codecs": ["pickle"]}}]},
        "codec pickle",
    ),
    (
        {"codecs": [{"name": "sharding_indexed", "configuration": {"index_codecs": [{"name": "pickle"}]}}]},
        "codec pickle",
    ),
    ({"codecs": [{"name": "numcodecs.json2"}]}, "codec numcodecs.json2"),
    ({"codecs": [[]]}, "where a codec belongs"),
    ({"data_type": "variable_length_bytes"}, "values of type"),
    ({"data_type": {"name": "object"}}, "values of type"),
    ({"data_type": []}, "values of type"),
    ({"storage_transformers": [{"name": "pickle"}]}, "storage transformers"),
    ({"shape": [10**12, 15]}, "DGEX_MAX_MEMORY="),
    ({"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [10**6, 10**6]}}}, "DGEX_MAX_MEMORY="),
    ({"chunk_grid": 5}, "where a shape belongs"),
    (
        {"data_type": {"name": "fixed_length_utf32", "configuration": {"length_bytes": 10**9}}},
        "DGEX_MAX_MEMORY=",
    ),
]


@pytest.mark.skipif(not NEW, reason="this zarr reads format 2 alone")
@pytest.mark.parametrize(("said", "words"), OF_3)
@pytest.mark.parametrize("repeated", [False, True])
def test_an_array_of_format_3(said: dict[str, Any], words: str, repeated: bool, path_3: Path) -> None:
    path = path_3
    if repeated:
        root, array = (json.loads((path / name).read_text("utf-8")) for name in ("zarr.json", "X/zarr.json"))
        root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": {"X": array | said}}
        (path / "zarr.json").write_text(json.dumps(root))
    else:
        change(path / "X" / "zarr.json", **said)
        forget_repeats(path)
    assert words in refused_or_harmless(path)


@pytest.mark.parametrize(
    "content", ["[" * 10**5, '{"a": ' + "9" * 5000 + "}", "[]", "7", "", "\x00", '{"metadata": 5}']
)
def test_metadata_that_is_none(content: str, path: Path) -> None:
    (path / ".zmetadata").write_text(content)
    assert "is damaged" in refused_or_harmless(path)


def replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "a named pipe"),
        (listening, "a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "leads out"),
        (lambda path: path.symlink_to("../../../elsewhere"), "leads out"),
        (lambda path: path.symlink_to("/"), "leads out"),
        (lambda path: path.symlink_to(".."), "holds a folder twice"),
    ],
)
@pytest.mark.parametrize("name", ["X/0.0", "obs/_index/.zarray"])
def test_what_is_no_file_of_the_folder(
    make: Callable[[Path], object], words: str, name: str, path: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").write_bytes(SECRET)
    replace(path / name, make)
    assert words in refused_or_harmless(path)


@pytest.mark.parametrize("version", FORMATS)
def test_what_anndata_writes_is_read(version: int, tmp_path: Path) -> None:
    obs = pd.DataFrame(
        {
            "tissue": pd.Categorical(["a", "b", "a"]),
            "count": pd.array([1, None, 3], dtype="Int64"),
            "good": pd.array([True, None, False], dtype="boolean"),
            "name": ["x", "y", "z"],
            "age": [1.5, 2.5, np.nan],
        },
        index=["s1", "s2", "s3"],
    )
    from scipy.sparse import csr_matrix

    data = anndata.AnnData(
        csr_matrix(np.eye(3, 4, dtype=np.float32)),
        obs=obs,
        var=pd.DataFrame(index=list("abcd")),
        layers={"l": np.ones((3, 4))},
    )
    data.layers["ones"] = np.ones((3, 4))
    data.uns["table"] = obs
    data.obsm["pca"] = np.ones((3, 2))
    override = {"zarr_write_format": version} if NEW else {}
    with anndata.settings.override(**override), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.write_zarr(tmp_path / "data.zarr")
    read = dgex.read(tmp_path / "data.zarr")
    np.testing.assert_array_equal(read.X, np.eye(3, 4))
    assert read.obs["count"].tolist()[2] == 3
