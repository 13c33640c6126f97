"""The example of measured profiles: brought, checked, and nothing of the panel's people in what it learns from."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from serving import Site

import dgex
from dgex.datasets.public.fetch import Patience
from dgex.errors import DataError, FileError, SettingsError

NAME = "GD462.GeneQuantRPKM.50FN.samplename.resk10.txt.gz"


def people(count: int, genes: int = 60) -> pd.DataFrame:
    """People x genes on the linear scale: genes follow one another, the last ten are not expressed."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(count, 4))
    values = np.exp2(4 + hidden @ rng.normal(size=(4, genes)) + 0.2 * rng.normal(size=(count, genes)))
    values[:, -10:] = 0.01 * rng.random((count, 10))
    ids = [f"ENSG{i:011d}.{i % 9}" for i in range(genes)]
    return pd.DataFrame(values.round(4), index=[f"HG{i:05d}" for i in range(count)], columns=ids)


def listed(site: Site, folder: Path, table: pd.DataFrame, digest: str | None = None) -> Path:
    """The file as Geuvadis lays it out, on a server, and a list that says so."""
    text = table.T.rename_axis("TargetID").reset_index()
    for at, (name, values) in enumerate({"Gene_Symbol": text["TargetID"], "Chr": 1, "Coord": 5}.items()):
        text.insert(at + 1, name, values)
    body = gzip.compress(text.to_csv(sep="\t", index=False).encode(), 1)
    site.files[f"/{NAME}"] = body
    lines = ["[1000g]", 'title = "people"', f'base = "{site.url}"', 'citation = "ours"', 'licence = "CC0"']
    lines += ["[1000g.files.gene_rpkm]", f'address = "{NAME}"', 'description = "genes"', f"size = {len(body)}"]
    lines += [f'checksum = "md5:{digest or hashlib.md5(body).hexdigest()}"']
    (folder / "list.toml").write_text("\n".join(lines), "utf-8")
    return folder / "list.toml"


def test_whole_profiles_and_others_by_the_genes_that_tell_most(site: Site, tmp_path: Path, patience: Patience) -> None:
    table = people(70)
    manifest = listed(site, tmp_path, table)
    folder = dgex.example(tmp_path / "cells", real=True, manifest=manifest, patience=patience)
    whole, panel, measured = (dgex.read(folder / name) for name in ("compendium.h5ad", "panel.csv", "measured.csv"))
    assert (whole.n_obs, panel.n_obs) == (70 - 24, 24)
    assert set(whole.obs_names) | set(panel.obs_names) == set(table.index)
    assert list(measured.obs_names) == list(panel.obs_names)
    for part in (whole, panel, measured):
        expected = np.log2(table.loc[part.obs_names, part.var_names].to_numpy() + 1)
        np.testing.assert_allclose(np.asarray(part.X), expected, rtol=1e-5, atol=1e-6)
    landmarks = whole.var_names[whole.var["role"] == "landmark"]
    assert set(panel.var_names) == set(landmarks)
    assert set(whole.var_names) == set(measured.var_names) == set(table.columns[:-10])
    asked = len(site.log)
    again = dgex.example(tmp_path / "cells", real=True, manifest=manifest, patience=patience, overwrite=True)
    np.testing.assert_array_equal(np.asarray(dgex.read(again / "panel.csv").X), np.asarray(panel.X))
    assert len(site.log) == asked  # what is there is checked and used


def test_what_is_not_right_leaves_no_example(site: Site, tmp_path: Path, patience: Patience) -> None:
    def refused(kind: type[Exception], match: str, table: pd.DataFrame, digest: str | None = None) -> None:
        manifest = listed(site, tmp_path, table, digest)
        raw = tmp_path / f"raw-{len(table)}-{digest}"
        with pytest.raises(kind, match=match):
            dgex.example(tmp_path / "cells", real=True, raw=raw, manifest=manifest, patience=patience)
        assert not (tmp_path / "cells").exists()

    refused(FileError, "MD5|md5", people(70), "0" * 32)
    refused(DataError, "found 40, accepted 48 or more", people(40))
    with pytest.raises(SettingsError, match="real=True"):
        dgex.example(tmp_path / "cells", raw=tmp_path)
