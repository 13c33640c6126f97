"""What a hub reads of a card, by the Hub's own reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import dgex
from dgex.models.card import card
from dgex.models.front_matter import body_of, front_matter, licence_of, with_licence

if TYPE_CHECKING:
    from anndata import AnnData

NAMES = [
    'a "b"',
    "c: d",
    "- e",
    "#f",
    "line\nbreak",
    "---",
    "!!python/object:os.system",
    "é 漢 😀",
    "\x1b[2J",
    "{x}",
    "a\\b",
]


@pytest.fixture
def folder(dataset: AnnData, tmp_path: Path) -> Path:
    dgex.train(dataset, "ridge", tmp_path / "m")
    return tmp_path / "m"


def test_the_hub_reads_results_as_they_were_measured(folder: Path) -> None:
    read = pytest.importorskip("huggingface_hub").ModelCard.load(folder / "README.md")
    (result,) = read.data.eval_results
    measured = dgex.load(folder).metrics_["sets"]["validation"]["overall"]
    assert (result.dataset_name, result.metric_type) == ("validation", "mae")
    assert result.metric_value == pytest.approx(measured, abs=1e-6)
    assert "standardised units" in result.metric_name
    assert read.data.library_name == "dgex"
    assert read.data.license is None
    assert {"dgex", "gene-expression", "transcriptomics", "ridge"} <= set(read.data.tags)


@pytest.mark.parametrize("name", NAMES)
def test_no_name_becomes_anything_but_text(folder: Path, tmp_path: Path, name: str) -> None:
    hub = pytest.importorskip("huggingface_hub")
    description: dict[str, Any] = json.loads((folder / "model.json").read_text())
    description["metrics"]["sets"] = {name: description["metrics"]["sets"]["validation"]}
    (tmp_path / "README.md").write_text(card(description, "MIT"), "utf-8")
    said = hub.metadata_load(tmp_path / "README.md")
    found = said["model-index"][0]["results"][0]["dataset"]["name"]
    assert found == (name if name.isprintable() else found)
    assert isinstance(found, str)
    assert said["license"] == "mit"


def test_a_licence_is_never_assumed_and_one_is_found_again(folder: Path) -> None:
    description = json.loads((folder / "model.json").read_text())
    text = (folder / "README.md").read_text()
    assert licence_of(text) is None
    assert licence_of(with_licence(text, "CC-BY-4.0", description)) == "cc-by-4.0"
    twice = with_licence(with_licence(text, "MIT", description), "CC-BY-4.0", description)
    assert twice == with_licence(text, "CC-BY-4.0", description)
    assert body_of(twice) == body_of(text)
    assert with_licence("# mine\n", "mit", description) == front_matter(description, "mit") + "# mine\n"
    listed = "---\nlicense:\n- mit\n- cc0-1.0\ntags: [a]\n--- \n\n# mine\n"
    assert with_licence(listed, "mit", description) == '---\nlicense: "mit"\ntags: [a]\n---\n\n# mine\n'
    assert licence_of("# no head\n\nlicense: mit\n") is None


def test_config_json_says_what_the_model_is(folder: Path) -> None:
    said = json.loads((folder / "config.json").read_text())
    assert said == {"model_type": "dgex", "kind": "ridge", "format": 1, "landmarks": 20, "targets": 30}
    (folder / "config.json").unlink()  # as folders of before
    dgex.load(folder)
