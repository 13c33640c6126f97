"""The model that is chosen already is the one that suits the profiles."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")

from pages import Tree

from dgex.web.pages.file import file_page
from dgex.web.rules import Rules
from dgex.web.shelf import OnOffer, Shelf
from dgex.web.store import Upload
from dgex.web.tasks import Queue, Task


def fit(found: int = 10, median: float = 0.5, doubted: bool = False, **like: Any) -> dict[str, Any]:
    """What the look at a file tells of a model."""
    near = {"known": True, "looked_at": 5, "median": median, "unlike": 0, "doubted": doubted, "said": ["far"], **like}
    enough = {"enough": found >= 5, "nearly_all": found == 10, "missing": ["A"] * (10 - found)}
    return {"found": found, "total": 10, "like": near, **enough}


def chosen(models: Path, fits: dict[str, Any], r: dict[str, float]) -> tuple[str | None, list[str], str]:
    """The model that is chosen, all in order, and the page."""
    shelf = Shelf(models)
    base = shelf.models["small"]
    shelf.models = {}
    for name, value in r.items():
        confidence = {**base.description["confidence"], "median": {"r": value, "error": 1.0, "recall": 1.0}}
        shelf.models[name] = OnOffer(name, base.path, {**base.description, "confidence": confidence})

    async def drawn() -> str:
        about: dict[str, Any] = {"what": "a matrix", "format": "CSV", "samples": 5, "genes": 10, "gene_ids": "symbol"}
        about |= {"minimum": 0.0, "maximum": 1.0, "missing": 0, "infinite": 0, "scale": "log2", "unit": "log2"}
        about |= {"scale_by": "", "scale_doubt": None, "first_genes": ["A"], "first_samples": ["a"], "organism": ""}
        task = Task("look", {}, found={**about, "orientation": "", "kind": "", "models": fits})
        task.end("done")
        return file_page(Upload(models, 0.0, name="x.csv", looked=task), shelf, Queue(models, Rules()))

    page = asyncio.run(drawn())
    Tree(re.sub("<noscript>.*?</noscript>", "", page))  # every element that opens is closed
    order = re.findall(r'name="model" id="[^"]*" value="(\w+)"', page)
    found = re.search(r'value="(\w+)" required checked', page)
    return found[1] if found else None, order, page


def test_of_those_that_are_like_it_the_best_is_chosen(models: Path) -> None:
    fits = {"near": fit(median=0.1), "good": fit(median=0.6), "far": fit(median=0.99, doubted=True)}
    found, order, _ = chosen(models, fits, {"near": 0.4, "good": 0.8, "far": 0.9})
    assert (found, order) == ("good", ["good", "near", "far"])


def test_where_none_is_like_it_the_nearest_is_chosen(models: Path) -> None:
    fits = {"far": fit(median=1.0, doubted=True), "near": fit(median=0.9, doubted=True)}
    assert chosen(models, fits, {"far": 0.9, "near": 0.4})[0] == "near"


def test_what_cannot_be_used_is_not_chosen(models: Path) -> None:
    few, refused = fit(found=4), {**fit(), "like": {"refused": "it takes counts"}}
    found, _, page = chosen(models, {"few": few, "refused": refused}, {"few": 0.9, "refused": 0.9})
    assert found is None
    assert "it takes counts" in page
    assert "No model here can use this file" in page


def test_missing_genes_are_filled_where_a_model_needs_it(models: Path) -> None:
    page = chosen(models, {"one": fit(found=7)}, {"one": 0.5})[2]
    assert '<option value="impute" selected>' in page
    assert "3 missing genes" in page
