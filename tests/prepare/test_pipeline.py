"""Raw matrices to a dataset, against the same steps taken plainly in float64."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import dgex
from dgex.dataset.roles import check_dataset, set_statistics
from dgex.errors import DataError, DgexError, FileError, GeneError, OutputExistsError, SettingsError
from dgex.gene_table import GeneTable
from dgex.prepare import collapse
from dgex.prepare.pipeline import prepare

GENES = [f"G{i}" for i in range(12)]
TABLE = GeneTable(
    pd.DataFrame(
        {
            "symbol": GENES,
            "ensembl": [f"ENSG{i:011d}" for i in range(12)],
            "probes": [[f"{i}0_at", f"{i}1_s_at"] if i % 3 == 0 else [f"{i}0_at"] for i in range(12)],
            "role": ["landmark"] * 4 + ["target"] * 8,
        },
        index=GENES,
    )
)
PROBES = [probe for probes in TABLE.frame["probes"] for probe in probes]
SEEDS = itertools.count()


@pytest.fixture(autouse=True)
def _own_seeds() -> None:
    """What a test draws depends on no other test."""
    global SEEDS
    SEEDS = itertools.count()


def arrays(samples: int = 40, prefix: str = "a") -> AnnData:
    """Probes of a microarray, log2 scale, out of order, with some that are in no table."""
    generator = np.random.default_rng(next(SEEDS))
    names = generator.permutation([*PROBES, "900_at", "901_at"])
    X = generator.gamma(9, 0.9, (samples, len(names))).astype(np.float32)
    obs = pd.DataFrame({"study": [f"{prefix}{i % 7}" for i in range(samples)]}, index=names_of(prefix, samples))
    return AnnData(X, obs=obs, var=pd.DataFrame(index=names))


def rnaseq(samples: int = 25, prefix: str = "r") -> AnnData:
    """Symbols, linear scale, many zeros."""
    generator = np.random.default_rng(next(SEEDS))
    X = np.exp(generator.normal(4, 2, (samples, 13))) * (generator.random((samples, 13)) > 0.3)
    obs = pd.DataFrame({"study": [f"{prefix}{i % 5}" for i in range(samples)]}, index=names_of(prefix, samples))
    return AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[*GENES[::-1], "OTHER"]))


def with_roles(samples: int = 50) -> AnnData:
    generator = np.random.default_rng(next(SEEDS))
    data = AnnData(
        generator.normal(8, 2, (samples, 12)).astype(np.float32), obs=pd.DataFrame(index=names_of("h", samples))
    )
    data.var = TABLE.frame[["role", "ensembl"]].copy()
    return data


def names_of(prefix: str, samples: int) -> list[str]:
    return [f"{prefix}_{i}" for i in range(samples)]


def plain(data: AnnData) -> np.ndarray:
    """Genes of the table in float64: means of probes, or columns by symbol."""
    frame = data.to_df().astype(np.float64)
    if "10_at" in frame:
        return np.stack([frame[probes].mean(axis=1) for probes in TABLE.frame["probes"]], axis=1)
    return frame[GENES].to_numpy()


def original(data: AnnData) -> np.ndarray:
    """Values before standardising."""
    out = np.empty(data.shape)
    for name in data.obs["set"].unique():
        at = (data.obs["set"] == name).to_numpy()
        mean, std = set_statistics(data, name)  # type: ignore[misc]
        out[at] = data.X[at].astype(np.float64) * std + mean
    return out


def test_inductive_statistics_are_those_of_training() -> None:
    raw = arrays()
    data = prepare(raw, genes=TABLE)
    check_dataset(data)
    assert data.var_names.tolist() == GENES
    assert data.X.dtype == np.float32
    assert data.X.flags.c_contiguous
    train = (data.obs["split"] == "train").to_numpy()
    expected = plain(raw)
    np.testing.assert_allclose(data.varm["mean"]["train"], expected[train].mean(0), rtol=1e-6)
    np.testing.assert_allclose(data.varm["std"]["train"], expected[train].std(0), rtol=1e-6)
    np.testing.assert_allclose(original(data), expected, rtol=1e-5)
    assert data.obs["split"].value_counts().to_dict() == {"train": 32, "validation": 4, "test": 4}


def test_paper_rules_on_two_platforms_and_a_named_set(tmp_path: Path) -> None:
    one, two, three = arrays(30), rnaseq(25), rnaseq(20, "g")
    three.write_h5ad(tmp_path / "gtex.h5ad")
    data = prepare([one, two, f"GTEx={tmp_path / 'gtex.h5ad'}"], genes=TABLE, quantile="paper", standardize="paper")
    assert data.obs["set"].tolist() == ["array"] * 30 + ["rnaseq"] * 25 + ["GTEx"] * 20
    assert (data.obs["split"][55:] == "GTEx").all()
    assert set(data.obs["split"][:55]) == {"train", "validation", "test"}
    reference = np.sort(plain(one), axis=1).mean(0)
    np.testing.assert_allclose(data.uns["dgex"]["quantile"]["reference"], reference, rtol=1e-6)
    expected = np.concatenate([plain(one), plain(two), plain(three)])
    for row in range(75):  # arrays have no ties here; RNA-Seq has its zeros
        unique, dense = np.unique(expected[row].astype(np.float32), return_inverse=True)
        expected[row] = reference[(dense + 1) * 12 // len(unique) - 1]
    for name in ("array", "rnaseq", "GTEx"):
        at = (data.obs["set"] == name).to_numpy()
        by_hand = (expected[at] - expected[at].mean(0)) / (expected[at].std(0) + 1e-3)
        np.testing.assert_allclose(data.X[at], by_hand, atol=2e-4)


def test_inductive_quantiles_know_only_training(tmp_path: Path) -> None:
    raw = arrays(30)
    alone = {"genes": TABLE, "seed": 3, "together": 0}  # what is near to others would move them to other sides
    data = prepare(raw, quantile=True, **alone)
    train = (data.obs["split"] == "train").to_numpy()
    changed = raw.copy()
    changed.X[~train] = changed.X[~train][:, ::-1] * 3 + 1  # what is held out may do what it likes
    again = prepare(changed, quantile="inductive", **alone)
    np.testing.assert_array_equal(again.X[train], data.X[train])
    for key in ("reference", "landmark_reference"):
        np.testing.assert_array_equal(data.uns["dgex"]["quantile"][key], again.uns["dgex"]["quantile"][key])
    assert data.uns["dgex"]["quantile"]["landmark_reference"].shape == (4,)


def test_arrays_of_a_named_set_leave_the_papers_reference_alone(tmp_path: Path) -> None:
    one = arrays(20)
    further = arrays(20, "f")
    further.X += 3
    further.write_h5ad(tmp_path / "further.h5ad")
    data = prepare([one, f"Further={tmp_path / 'further.h5ad'}"], genes=TABLE, quantile="paper", standardize="paper")
    np.testing.assert_allclose(
        data.uns["dgex"]["quantile"]["reference"], np.sort(plain(one), axis=1).mean(0), rtol=1e-6
    )
    assert data.obs["set"].tolist() == ["compendium"] * 20 + ["Further"] * 20


def test_rnaseq_alone_by_the_papers_rules_keeps_average_ranks() -> None:
    raw = rnaseq(30)
    data = prepare(raw, genes=TABLE, quantile="paper", standardize="none", log2="auto")
    np.testing.assert_allclose(
        data.uns["dgex"]["quantile"]["reference"], np.sort(np.log2(plain(raw) + 1), 1).mean(0), rtol=1e-5
    )
    assert data.uns["dgex"]["quantile"]["ties"] == {"floor": 30}


def test_rounded_values_spread_the_means_by_dense_ranks_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    genes = 16
    generator = np.random.default_rng(0)
    one = AnnData(np.stack([generator.permutation(genes) for _ in range(20)]).astype(np.float32) / 4 + 0.125)
    distinct = np.repeat([2, 4, 8, 16], 5)
    two = AnnData(np.stack([generator.permutation(np.arange(genes) * n // genes) / n + 4.125 for n in distinct]))
    for data, name in ((one, "a"), (two, "r")):
        data.var_names = [f"G{i}" for i in range(genes)]
        data.var["role"] = ["landmark"] * 8 + ["target"] * 8
        data.obs = pd.DataFrame({"platform": "rnaseq" if name == "r" else "array"}, index=names_of(name, 20))
    # number d of n different values gets the reference at rank 16 d / n, whose mean over d is 8 (1 + 1 / n)
    dense = (8 * (1 + 1 / distinct) - 1) / 4 + 0.125
    for ties, means in (("published", dense), ("average", np.full(20, 7.5 / 4 + 0.125))):
        caplog.clear()
        data = prepare([one, two], quantile="paper", standardize="none", constant="drop", ties=ties)
        np.testing.assert_allclose(data.X[20:].mean(1), means, rtol=1e-6)
        rule = "dense" if ties == "published" else "average"
        measures = data.uns["dgex"]["quantile"]["measures"][rule]
        every = [measures[name] for name in ("spread_before", "spread_after")]
        if ties == "published":
            np.testing.assert_allclose(every, [two.X.mean(1).std(), dense.std()], rtol=1e-5)
            assert measures["different"] == 6 / 16
        assert ("ties='average' is safe" in caplog.text) == (ties == "published")


@pytest.mark.parametrize(("rounded", "heavy"), [(True, True), (False, False)])
def test_real_values_are_judged_by_what_the_rule_does(
    rounded: bool, heavy: bool, real_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Values rounded to 11 bits spread; FPKM as published, to two decimals, have ties alike in all profiles."""
    second = real_data / ("human_rnaseq.h5ad" if rounded else "rnaseqdb/kidney-rsem-fpkm-gtex.txt.gz")
    prepare([real_data / "human_array.h5ad", second], quantile="paper", standardize="paper")
    assert ("ties='average' is safe" in caplog.text) == heavy


@pytest.mark.parametrize(
    ("log2", "logs"), [("never", (False, False)), ("auto", (False, True)), ("always", (True, True))]
)
def test_log2(log2: str, logs: tuple[bool, bool]) -> None:
    inputs = [arrays(10), rnaseq(10)]
    data = prepare(inputs, genes=TABLE, standardize="none", log2=log2)
    expected = [np.log2(plain(raw) + 1) if log else plain(raw) for raw, log in zip(inputs, logs)]
    np.testing.assert_allclose(data.X, np.concatenate(expected), rtol=1e-5)
    assert [facts["logged"] for facts in data.uns["dgex"]["inputs"].values()] == list(logs)


def test_linear_values_are_pointed_at(caplog: pytest.LogCaptureFixture) -> None:
    prepare(rnaseq(), genes=TABLE)
    assert "--log2" in caplog.text


@pytest.mark.parametrize("method", ["exact", "clusters"])
def test_duplicates_across_scales(method: str) -> None:
    one = with_roles(20)
    two = AnnData(np.exp2(one.X[[3, 7]]) - 1, obs=pd.DataFrame(index=["copy3", "copy7"]), var=one.var[["ensembl"]])
    two.X[two.X < 0] = 0
    data = prepare([one, two], dedup=0.01, dedup_method=method, log2="never", standardize="none")
    found = data.uns["dgex"]["duplicates"]
    if method == "exact":
        assert found["dropped_samples"] == ["copy3", "copy7"]
        assert data.n_obs == 20
    np.testing.assert_allclose(data[one.obs_names[:20]].X, one.X)


def test_groups_named_splits_and_seeds() -> None:
    raw = arrays(60)
    data = prepare(raw, genes=TABLE, group="study")
    sides = data.obs.groupby("study", observed=True)["split"].nunique()
    assert (sides == 1).all()
    same, other = prepare(raw, genes=TABLE), prepare(raw, genes=TABLE, seed=1)
    pd.testing.assert_frame_equal(same.obs, prepare(raw, genes=TABLE).obs)
    assert (same.obs["split"] != other.obs["split"]).any()


def test_splits_by_name(tmp_path: Path) -> None:
    paths = []
    for name in ("train", "validation", "test"):
        arrays(12, name).write_h5ad(tmp_path / f"{name}.h5ad")
        paths.append(f"{name}={tmp_path / name}.h5ad")
    data = prepare(paths, genes=TABLE)
    assert data.obs["split"].tolist() == ["train"] * 12 + ["validation"] * 12 + ["test"] * 12
    assert set(data.obs["set"]) == {"compendium"}


def test_platform_of_samples_is_kept() -> None:
    raw = with_roles(30)
    raw.obs["platform"] = ["array"] * 20 + ["rnaseq"] * 10
    data = prepare(raw, standardize="paper")
    assert data.obs["set"].tolist() == data.obs["platform"].tolist() == raw.obs["platform"].tolist()
    assert list(data.varm["mean"]) == ["array", "rnaseq"]


def test_clashing_samples_and_what_the_caller_passed() -> None:
    one, two = with_roles(10), with_roles(10)
    before = one.copy()
    data = prepare([one, two])
    assert data.obs_names.is_unique
    assert data.obs_names[10] == "in-memory_2:h_0"
    np.testing.assert_array_equal(one.X, before.X)
    pd.testing.assert_frame_equal(one.obs, before.obs)


def test_metadata_of_all_inputs_is_joined_and_can_be_written(tmp_path: Path) -> None:
    one, two = with_roles(10), with_roles(10)
    two.obs_names = names_of("second", 10)
    one.obs["age"], one.obs["sex"] = np.arange(10.0), pd.Categorical(["f", "m"] * 5)
    two.obs["sex"], two.obs["note"] = pd.Categorical(["x"] * 10), [1, "a", None, True, *["b"] * 6]
    prepare([one, two], tmp_path / "data.h5ad")
    obs = ad.read_h5ad(tmp_path / "data.h5ad").obs
    assert obs["sex"].astype(str).tolist() == ["f", "m"] * 5 + ["x"] * 10
    assert obs["note"].astype(str).tolist()[9:14] == ["", "1", "a", "", "True"]
    np.testing.assert_array_equal(obs["age"], [*range(10), *[np.nan] * 10])


def test_same_gene_as_a_landmark() -> None:
    raw = with_roles()
    raw.var["ensembl"] = [*raw.var["ensembl"][:10], raw.var["ensembl"].iloc[0], ""]
    data = prepare(raw)
    assert "G10" not in data.var_names
    assert data.uns["dgex"]["genes"]["same_gene_as_landmark"] == 1
    assert "G10" in prepare(raw, same_gene="keep").var_names


def test_an_entrez_id_of_zero_is_none() -> None:
    raw = with_roles()
    raw.var["entrez"] = ["0"] * raw.n_vars  # as tables write "has none"
    assert prepare(raw).uns["dgex"]["genes"]["same_gene_as_landmark"] == 0


def test_probes_by_a_platforms_table_and_a_list_of_landmark_genes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    probes = [f"{at}_at" for at in range(40)]
    symbols = [f"SYM{at // 2}" for at in range(36)] + ["SYM0 /// SYM9", "", "---", "SYM18"]
    X = rng.normal(7, 2, (40, 40)).astype(np.float32)
    raw = ad.AnnData(X, obs=pd.DataFrame(index=[f"GSM{at}" for at in range(40)]), var=pd.DataFrame(index=probes))
    order = rng.permutation(40)
    lines = [f"{probes[at]}\tNM_1\tany title\t{symbols[at]}\t{at}\n" for at in order]
    head = "#ID = probe set\n#Gene Symbol = symbol\nID\tGB_ACC\tGene Title\tGene Symbol\tENTREZ_GENE_ID\n"
    (tmp_path / "GPL1.txt").write_text(head + "".join(lines))
    annot = "^Annotation\n!Annotation_date = May\n#ID = probe\n!platform_table_begin\nID\tGene title\tGene symbol\n"
    lines = [f"{probes[at]}\tany title\t{symbols[at]}\n" for at in range(40)]
    (tmp_path / "GPL1.annot.gz").write_bytes(gzip.compress((annot + "".join(lines) + "!platform_table_end\n").encode()))
    for table in ("GPL1.txt", "GPL1.annot.gz"):
        data = prepare(raw, genes=tmp_path / table, landmarks=["SYM3", "SYM5"], standardize="none")
        assert set(data.var_names) == {f"SYM{at}" for at in range(19)}
        assert set(data.var_names[data.var["role"] == "landmark"]) == {"SYM3", "SYM5"}
        found = np.asarray(data[raw.obs_names, [f"SYM{at}" for at in range(18)]].X)
        np.testing.assert_allclose(found, X[:, :36].reshape(40, 18, 2).mean(axis=2), rtol=1e-6)
        with pytest.raises(GeneError, match=r"has no role for its genes.*landmarks=FILE"):
            prepare(raw, genes=tmp_path / table)


def test_constant_genes() -> None:
    raw = with_roles()
    raw.X[(prepare(raw).obs["split"] == "train").to_numpy(), 5] = 4  # held-out samples may vary
    with pytest.raises(DataError, match=r"1 target genes constant.*G5.*constant='drop'"):
        prepare(raw)
    dropped = prepare(raw, constant="drop")
    assert dropped.var_names.tolist() == [name for name in GENES if name != "G5"]
    np.testing.assert_allclose(original(dropped), np.delete(raw.X, 5, axis=1), rtol=1e-5)
    kept = prepare(raw, standardize="paper")
    assert "G5" in kept.var_names
    raw.X[:, 5] = 4
    assert (prepare(raw, standardize="paper")[:, "G5"].X == 0).all()


def test_dataset_survives_the_disk(tmp_path: Path) -> None:
    raw = [arrays(30), rnaseq(20)]
    for suffix in (".h5ad", ".zarr"):
        path = tmp_path / f"data{suffix}"
        data = prepare(raw, path, genes=TABLE, quantile="paper", standardize="paper", dedup=0.1)
        back = ad.read_h5ad(path) if suffix == ".h5ad" else ad.read_zarr(path)
        np.testing.assert_array_equal(back.X, data.X)
        np.testing.assert_array_equal(back.varm["std"].to_numpy(), data.varm["std"].to_numpy())
        assert back.obs["split"].tolist() == data.obs["split"].tolist()
        assert back.var["probes"].tolist() == data.var["probes"].tolist()
        quantile = back.uns["dgex"]["quantile"]
        np.testing.assert_array_equal(quantile["reference"], data.uns["dgex"]["quantile"]["reference"])
        with pytest.raises(OutputExistsError, match="exists already"):
            prepare(raw, path, genes=TABLE)


def lonely() -> AnnData:
    raw = arrays(12)
    raw.obs["platform"] = ["array"] * 11 + ["rnaseq"]
    return raw


def spoiled(value: float) -> AnnData:
    raw = arrays()
    raw.X[3, raw.var_names.get_loc("50_at")] = value
    return raw


@pytest.mark.parametrize(
    ("inputs", "options", "error", "says"),
    [
        (list, {}, SettingsError, "no inputs"),
        (lambda: "no/such.gctx", {}, FileError, "no/such.gctx"),
        (lambda: arrays(), {"genes": None}, GeneError, "--genes"),
        (lambda: AnnData(np.ones((5, 2)), var=pd.DataFrame(index=["x", "y"])), {}, GeneError, "no common genes"),
        (lambda: rnaseq().T, {}, GeneError, "turned the wrong way"),
        (lambda: arrays()[:, ["40_at", "50_at"]], {}, GeneError, "no landmark genes are left"),
        (lambda: arrays()[:, ["10_at", "20_at"]], {}, GeneError, "no target genes are left"),
        (lambda: spoiled(np.nan), {}, DataError, "nan for gene G5 in sample a_3"),
        (lambda: spoiled(np.inf), {}, DataError, "inf for gene G5 in sample a_3"),
        (lambda: arrays(2), {}, DataError, "2 samples cannot be split into 3"),
        (lambda: arrays(), {"group": "donor"}, DataError, "no column 'donor'.*found study"),
        (lambda: arrays(), {"split": (0.5, 0.5)}, SettingsError, "three shares"),
        (lambda: arrays(), {"log2": "yes"}, SettingsError, "accepted: never, auto, always"),
        (lambda: arrays(), {"quantile": "both"}, SettingsError, "accepted: none, inductive, paper"),
        (lambda: arrays(), {"dedup": -1.0}, SettingsError, "above 0"),
        (lambda: lonely(), {"standardize": "paper"}, DataError, "the set rnaseq has 1 profile"),
        (lambda: arrays(), {"log2": "always", "negative": True}, DataError, "below zero"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_one_line_errors(
    inputs: Any, options: dict[str, Any], error: type[DgexError], says: str, tmp_path: Path
) -> None:
    given = inputs()
    options = {"genes": TABLE, **options}
    if options.pop("negative", False):
        given.X -= 20
    with pytest.raises(error, match=says) as caught:
        prepare(given, tmp_path / "out.h5ad", **options)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_wrong_output_is_said_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"accepted: \.h5ad, \.zarr"):
        prepare("no/such/input.gctx", tmp_path / "data.gctx")


@pytest.mark.real
def test_real_rnaseq_random_and_by_study(real_data: Path) -> None:
    for group in (None, "study"):
        data = prepare(real_data / "human_rnaseq.h5ad", group=group)
        check_dataset(data)
        assert data.shape == (1392, 9014)
        train = data.X[(data.obs["split"] == "train").to_numpy()].astype(np.float64)
        np.testing.assert_allclose(train.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(train.std(0), 1, atol=1e-4)
        shares = data.obs["split"].value_counts(normalize=True)
        assert abs(shares["test"] - 0.1) < 0.02
        if group:
            assert (data.obs.groupby("study", observed=True)["split"].nunique() == 1).all()


@pytest.mark.real
def test_real_arrays_and_rnaseq_together(real_data: Path) -> None:
    inputs = [*sorted(real_data.glob("affy/*.gctx"))[:1], real_data / "rnaseqdb" / "cervix-rsem-fpkm-gtex.txt.gz"]
    tables = [real_data / "map_lm.txt", real_data / "map_tg.txt"]
    data = prepare(inputs, genes=tables, dedup=1.0, quantile="paper", standardize="paper")
    check_dataset(data)
    assert data.uns["dgex"]["genes"]["same_gene_as_landmark"] == 445
    assert data.uns["dgex"]["genes"]["landmarks_kept"] == 942
    assert set(data.obs["set"]) == {"array", "rnaseq"}
    probes = dgex.read(inputs[0]).to_df()
    assert data.n_vars > 9000
    values = original(data)[: len(probes)]
    order = np.argsort(values[0])
    means = np.array([probes.iloc[0][text.split(",")].mean() for text in data.var["probes"]])
    assert (np.diff(means[order]) > -1e-5).all()  # quantile normalisation keeps the order of the probes' means


def test_the_verb_shows_its_signature_and_its_words() -> None:
    import inspect
    import pydoc

    assert inspect.signature(dgex.prepare) == inspect.signature(prepare)
    shown = pydoc.plain(pydoc.render_doc(dgex.prepare))
    assert "Make a dataset of raw matrices" in shown
    assert "standardize: 'str' = 'inductive'" in shown


@pytest.mark.parametrize("form", ["list", "file", "headed"])
def test_a_bare_list_of_landmark_genes(form: str, tmp_path: Path) -> None:
    raw = with_roles()
    expected = prepare(raw.copy(), seed=3)
    names = ["G3", "G0", "G1", "G2"]
    raw.var = raw.var[["ensembl"]]
    listed: Any = names
    if form != "list":
        listed = tmp_path / "panel.txt"
        listed.write_text(("gene\n" if form == "headed" else "# ours\n") + "\n".join(names) + "\n\n")
    data = prepare(raw, landmarks=listed, seed=3)
    assert data.var["role"].tolist() == expected.var["role"].tolist()
    np.testing.assert_array_equal(data.X, expected.X)
    by_table = prepare(arrays(), genes=TABLE, landmarks=["G7", "G0"])
    assert by_table.var_names[by_table.var["role"] == "landmark"].tolist() == ["G0", "G7"]
    with pytest.raises(GeneError, match="none of 1 listed landmark genes is there"):
        prepare(raw, landmarks=["NOPE"])
    with pytest.raises(FileError, match=r"no list of landmark genes at no\.txt"):
        prepare(raw, landmarks="no.txt")
    with pytest.raises(GeneError, match="names no landmark gene"):
        prepare(raw, landmarks=[" "])


def test_names_that_repeat_are_collapsed_or_ignored_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(collapse, "note", said.append)
    raw = with_roles()
    X = np.asarray(raw.X)
    names = [*GENES, "G5", "", "SPIKE", "SPIKE", f"{TABLE.frame['ensembl'].iloc[6]}_PAR_Y"]
    more = np.random.default_rng(0).normal(8, 2, (len(X), 5)).astype(np.float32)
    more[:, 4] = 0
    var = pd.DataFrame({"gene_name": [*names[:16], "G6"]}, index=names)
    doubled = AnnData(np.concatenate([X, more], axis=1), obs=raw.obs)
    doubled.var = var
    data = prepare(doubled, genes=TABLE, standardize="none")
    expected = X.copy()
    expected[:, 5] = (X[:, 5] + more[:, 0]) / 2
    np.testing.assert_allclose(data.X, expected, rtol=1e-6)
    assert any("1 genes have several rows, of which the mean is taken (collapse='mean')" in line for line in said)
    assert any("1 rows without a gene id" in line for line in said)
    assert any("1 copies on Y" in line for line in said)
    assert any("1 further names repeat, and nobody asks for them: SPIKE" in line for line in said)


@pytest.mark.parametrize(
    ("to", "options", "uns"),
    [
        (lambda x: np.exp2(x) - 1, {"log2": "auto"}, {}),
        (lambda x: np.exp2(x) - 1, {"log2": "auto", "scale": "linear"}, {}),
        (lambda x: x * np.log(2), {}, {"log1p": {"base": None}}),
        (lambda x: x * np.log(2), {"scale": "ln"}, {}),
        (lambda x: np.log2(np.exp2(x) - 0.9), {}, {"unit": "log2(TPM + 0.1)"}),
    ],
)
def test_scales_of_inputs_are_brought_to_log2(to: Any, options: dict[str, Any], uns: dict[str, Any]) -> None:
    raw = with_roles()
    raw.X = np.maximum(np.asarray(raw.X), 1)
    other = AnnData(to(np.asarray(raw.X, np.float64)).astype(np.float32), obs=raw.obs, var=raw.var, uns=uns)
    found, expected = prepare(other, **options), prepare(raw)
    np.testing.assert_allclose(found.X, expected.X, atol=1e-4)
    assert found.uns["dgex"]["units"] == "log2 expression"


def test_depth_is_taken_out_of_linear_values_alone() -> None:
    raw = rnaseq()
    raw.X = np.asarray(raw.X) + 1
    data = prepare(raw, genes=TABLE, normalize="cpm", standardize="none")
    frame = raw.to_df().astype(np.float64)
    expected = np.log2(frame.div(frame.sum(axis=1), axis=0)[GENES] * 1e6 + 1)
    np.testing.assert_allclose(data.X, expected, rtol=1e-5)
    with pytest.raises(DataError, match="takes counts or other linear values, and in-memory is log2 scale"):
        prepare(with_roles(), normalize="cpm")
    empty = raw.copy()
    empty.X[3] = 0
    with pytest.raises(DataError, match="sample r_3 adds up to 0"):
        prepare(empty, genes=TABLE, normalize="cpm")
    with pytest.raises(DataError, match=r"only 4 landmark genes are above zero.*normalize='cpm'"):
        prepare(raw, genes=TABLE, normalize="size-factors")
